import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { activationKey, activePolicySource, policyDigest } from '../../shared/activation/active-policy.ts';
import { repointed, resolvePins } from '../../shared/activation/pins.ts';
import { parsePolicy } from '../../shared/config/policy.ts';
import type { OrgUnit } from '../../shared/domain/place.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type KeptLog, keptLog } from '../support/fakes/log.ts';
import { openTestLedger } from '../support/ledger.ts';

const START = new Date('2026-11-29T08:00:00Z');
const STAFF = { orgUnitId: 'id:1', path: '/Staff', parentId: 'id:0' };
const ROOT = { orgUnitId: 'id:0', path: '/' };

const text = (scope: string) => `version: 1
rules:
  - name: people
    ${scope}
    keyService: https://kacls.acme.example
`;
const BY_UNIT = text('orgUnit: /Staff');

let tree: OrgUnit[];
let groups: { groupId: string; address: string }[];
let ledger: Ledger;
let clock: ManualClock;
let log: KeptLog;

const directory = {
  orgUnits: async () => tree,
  group: async (key: string) => groups.find(({ groupId, address }) => key === groupId || key === address),
  groups: async function* () {
    yield* groups;
  },
};

beforeEach(async () => {
  tree = [ROOT, STAFF];
  groups = [{ groupId: 'g1', address: 'pilots@acme.example' }];
  clock = manualClock(START);
  ledger = await openTestLedger(clock);
  log = keptLog();
});
afterEach(() => ledger.close());

const source = (policy: string) =>
  activePolicySource(
    { ledger, directory, clock, log },
    { text: policy, name: 'policy.yaml', activatedBy: 'test' },
  );
const scopeInForce = async (from: ReturnType<typeof source>) => (await from.current()).policy.rules[0]?.scope;
const audited = async () =>
  (await ledger.auditTrail({ limit: 100 })).map(({ step, outcome, reason }) => [step, outcome, reason]);

describe('a policy met for the first time', () => {
  it('is activated when the directory knows all it names, and pins it', async () => {
    const both = text('group: Pilots@acme.example\n    exclude: { orgUnits: [/STAFF] }');
    expect((await source(both).current()).policy.rules[0]).toMatchObject({
      scope: { kind: 'group', address: 'pilots@acme.example', groupId: 'g1' },
      exclude: { orgUnits: [{ path: '/STAFF', orgUnitId: 'id:1' }] },
    });
    expect(await ledger.latestPolicyActivation()).toEqual({
      digest: policyDigest(both),
      text: both,
      pins: { units: { '/staff': 'id:1' }, groups: { 'pilots@acme.example': 'g1' } },
      activatedBy: 'test',
      automatic: true,
      activatedAt: START,
    });
    expect(await audited()).toMatchObject([
      ['policy-activated', 'done', expect.stringMatching(/is in force; 1 org unit and 1 group pinned\.$/)],
    ]);
  });

  it('is activated once by however many instances', async () => {
    const all = await Promise.all([1, 2, 3].map(() => source(BY_UNIT).current()));
    expect(all.map(({ pins }) => pins.units['/staff'])).toEqual(['id:1', 'id:1', 'id:1']);
    tree = [ROOT, { ...STAFF, path: '/People' }];
    expect(await scopeInForce(source(BY_UNIT))).toMatchObject({ orgUnitId: 'id:1' });
  });

  it('keeps its pins through a rename and a move of the unit', async () => {
    await source(BY_UNIT).current();
    tree = [ROOT, { ...STAFF, path: '/Elsewhere/People', parentId: 'id:9' }];
    expect(await scopeInForce(source(BY_UNIT))).toEqual({
      kind: 'org-unit',
      path: '/Staff',
      orgUnitId: 'id:1',
    });
  });

  it('is refused with what may have been meant, and nothing is in force', async () => {
    const misspelt = source(text('orgUnit: /Stafff'));
    await expect(misspelt.current()).rejects.toMatchObject({ kind: 'retryable', code: 'policy-not-active' });
    await expect(misspelt.current()).rejects.toThrow('there is no org unit /Stafff; did you mean /Staff?');
    const refusals = await audited();
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toMatchObject([
      'policy-activated',
      'refused',
      expect.stringContaining('so nothing is done'),
    ]);
  });

  it('is taken up when what it names is made', async () => {
    const early = source(text('group: board@acme.example'));
    await expect(early.current()).rejects.toThrow('there is no group board@acme.example');
    groups.push({ groupId: 'g2', address: 'board@acme.example' });
    expect(await scopeInForce(early)).toMatchObject({ groupId: 'g2' });
  });
});

describe('a new policy that is refused', () => {
  beforeEach(async () => {
    await source(BY_UNIT).current();
  });

  it('leaves the one before in force, and the log says so', async () => {
    expect(await scopeInForce(source(text('orgUnit: /Nowhere')))).toMatchObject({ orgUnitId: 'id:1' });
    expect(log.of('policy-refused')).toMatchObject([{ severity: 'error' }]);
    expect((await audited()).at(-1)).toMatchObject([
      'policy-activated',
      'refused',
      expect.stringContaining('goes on'),
    ]);
  });

  it('because a unit was renamed since says what it is called now', async () => {
    tree = [ROOT, { ...STAFF, path: '/People' }];
    await source(`${BY_UNIT}# edited\n`).current();
    expect((await audited()).at(-1)?.[2]).toContain('the unit that had this path is now /People');
  });

  it('because another unit has taken the name waits for an admin, who may mean it', async () => {
    tree = [ROOT, { ...STAFF, path: '/Former' }, { orgUnitId: 'id:2', path: '/Staff', parentId: 'id:0' }];
    const edited = `${BY_UNIT}# edited\n`;
    const waiting = source(edited);
    expect(await scopeInForce(waiting)).toMatchObject({ orgUnitId: 'id:1' });
    expect((await audited()).at(-1)?.[2]).toContain('which is now /Former; another unit has its name');
    const { pins } = await resolvePins(directory, parsePolicy(edited));
    await ledger.recordPolicyActivation({
      digest: policyDigest(edited),
      text: edited,
      pins,
      activatedBy: 'admin@acme.example',
      automatic: false,
    });
    clock.advance(30_000);
    expect(await scopeInForce(waiting)).toMatchObject({ orgUnitId: 'id:2' });
  });
});

describe('a policy file', () => {
  it('with a mistake stops the start', () => {
    expect(() => source('version: 1\n')).toThrow('The policy was not taken');
  });

  it('that an admin activates anew gets new pins, in every function within half a minute', async () => {
    const running = source(BY_UNIT);
    await running.current();
    const anew = { units: { '/staff': 'id:7' }, groups: {} };
    await ledger.recordPolicyActivation({
      digest: policyDigest(BY_UNIT),
      text: BY_UNIT,
      pins: anew,
      activatedBy: 'admin@acme.example',
      automatic: false,
    });
    expect(await scopeInForce(running)).toMatchObject({ orgUnitId: 'id:1' });
    clock.advance(30_000);
    expect(await scopeInForce(running)).toMatchObject({ orgUnitId: 'id:7' });
  });
});

describe('names that stand for something else than before', () => {
  const pins = (unit: string, group = 'g1') => ({
    units: { '/staff': unit },
    groups: { 'pilots@acme.example': group },
  });

  it.each([
    ['nothing changed', 'id:1', 'g1', []],
    ['the unit before is gone', 'id:2', 'g1', []],
    ['the group before has another address', 'id:1', 'g2', [expect.stringContaining('another group')]],
  ])('are told, when %s', (_what, unit, group, told) => {
    const now = unit === 'id:2' ? [ROOT, { ...STAFF, orgUnitId: 'id:2' }] : tree;
    expect(repointed(pins('id:1'), pins(unit, group), now)).toEqual(told);
  });
});

describe('the ledger', () => {
  it('never rewrites which policy was in force', async () => {
    await source(BY_UNIT).current();
    const { openTestDatabase } = await import('../support/ledger.ts');
    const database = await openTestDatabase();
    try {
      await database.query(
        `INSERT INTO policy_activations (digest, policy_text, pins, activated_by, automatic, activated_at)
         VALUES ($1, '', '{}', 'x', false, now())`,
        ['0'.repeat(64)],
      );
      for (const change of [
        'UPDATE policy_activations SET pins = $1',
        'DELETE FROM policy_activations WHERE $1::text IS NOT NULL',
      ]) {
        await expect(database.query(change, ['{}'])).rejects.toThrow();
      }
    } finally {
      await database.close();
    }
  });
});

describe('what tells one activation from another', () => {
  const pins = { units: { '/staff': 'id:1', '/legal': 'id:2' }, groups: { 'pilots@acme.example': 'g1' } };
  const key = activationKey('a'.repeat(64), pins);

  it('is the text and what its names stand for, in whatever order', () => {
    const turned = { ...pins, units: { '/legal': 'id:2', '/staff': 'id:1' } };
    expect(activationKey('a'.repeat(64), turned)).toBe(key);
    expect(activationKey('b'.repeat(64), pins)).not.toBe(key);
    expect(
      activationKey('a'.repeat(64), { ...pins, units: { '/staff': 'id:3', '/legal': 'id:2' } }),
    ).not.toBe(key);
  });
});
