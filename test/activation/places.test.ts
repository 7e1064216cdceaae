import { describe, expect, it } from 'vitest';
import { readPlace, readPlaces } from '../../shared/activation/places.ts';
import { EMPTY_SELECTION, type OrgUnit } from '../../shared/domain/place.ts';
import { pinnedPolicy } from '../../shared/domain/policy-pins.ts';
import { ruleCovering } from '../../shared/plan/scope.ts';
import { directoryUser } from '../plan/facts.ts';
import { policyOf, policyRule } from '../support/policy.ts';

const ROOT = { orgUnitId: 'id:0', path: '/' };
const BEFORE = [ROOT, { orgUnitId: 'id:1', path: '/Staff', parentId: 'id:0' }];
const AFTER = [ROOT, { orgUnitId: 'id:1', path: '/People', parentId: 'id:0' }];

const draft = policyOf([
  policyRule({ name: 'unit' }),
  policyRule({
    name: 'group',
    scope: { kind: 'group', address: 'g@acme.example' },
    exclude: { ...EMPTY_SELECTION, groups: [{ address: 'gone@acme.example' }] },
  }),
]);
const policy = pinnedPolicy(draft, {
  units: { '/staff': 'id:1' },
  groups: { 'g@acme.example': 'g', 'gone@acme.example': 'gone' },
});
const user = directoryUser({ orgUnitPath: '/People' });

/** A directory whose kept tree is older than what it answers when asked anew. */
function directory(kept: readonly OrgUnit[], fresh: readonly OrgUnit[], members: readonly string[] = []) {
  const asked: string[] = [];
  return {
    asked,
    orgUnits: async (options?: { fresh?: boolean }) => {
      asked.push(options?.fresh === true ? 'fresh' : 'kept');
      return options?.fresh === true ? fresh : kept;
    },
    isMember: async (groupId: string, userId: string) =>
      groupId === 'gone' ? ('no-such-group' as const) : members.includes(userId),
    group: async (key: string) => (key === 'gone' ? undefined : { groupId: key, address: key }),
    groupMembers: async function* () {
      yield* members;
    },
  };
}

describe('the place of a user', () => {
  it('is looked up in the kept tree as long as that finds a rule', async () => {
    const current = directory(AFTER, AFTER);
    const place = await readPlace(current, policy, user);
    expect(ruleCovering(policy, user, place)?.name).toBe('unit');
    expect(current.asked).toEqual(['kept']);
  });

  it('is read anew when the kept tree does not have the user’s unit', async () => {
    const renamed = directory(BEFORE, AFTER);
    expect(ruleCovering(policy, user, await readPlace(renamed, policy, user))?.name).toBe('unit');
    expect(renamed.asked).toEqual(['kept', 'fresh']);
  });

  it('is read anew before the user counts as uncovered', async () => {
    const swapped = directory([...BEFORE, { orgUnitId: 'id:2', path: '/People', parentId: 'id:0' }], AFTER);
    expect(ruleCovering(policy, user, await readPlace(swapped, policy, user))?.name).toBe('unit');
  });

  it('is not guessed when the directory has the user in a unit that it does not list', async () => {
    await expect(readPlace(directory(BEFORE, BEFORE), policy, user)).rejects.toMatchObject({
      kind: 'retryable',
      code: 'directory-unavailable',
    });
  });

  it('names groups that are gone', async () => {
    const place = await readPlace(directory(AFTER, AFTER, [user.userId]), policy, user);
    expect(place).toMatchObject({ groupIds: new Set(['g']), vanishedIds: new Set(['gone']) });
  });

  it('is nowhere in a draft without pins', async () => {
    expect(await readPlace(directory(AFTER, AFTER), draft, user)).toBeUndefined();
  });
});

describe('the places of everybody', () => {
  it('are those of each one', async () => {
    const there = directory(AFTER, AFTER, [user.userId]);
    const placeOf = await readPlaces(there, policy);
    expect(placeOf(user)).toEqual(await readPlace(there, policy, user));
    expect(placeOf(directoryUser({ orgUnitPath: '/New' }))).toBeUndefined();
  });
});
