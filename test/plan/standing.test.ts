import { describe, expect, test } from 'vitest';
import type { Place } from '../../shared/domain/place.ts';
import { EMPTY_SELECTION } from '../../shared/domain/place.ts';
import type { UserLedger } from '../../shared/domain/records.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { protections } from '../../shared/plan/scope.ts';
import { standingOf } from '../../shared/plan/standing.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';
import {
  DAY_MS,
  directoryUser,
  facts as factsOf,
  HOUR_MS,
  later,
  leaf,
  USER_ID,
  userKey,
  userRow,
} from './facts.ts';

const facts = (changes: Partial<Facts> & Partial<UserLedger>): Facts => {
  const { user, keys = [], leaves = [], ...rest } = changes;
  return factsOf({
    ...rest,
    ledger: { user, keys, deviceKeys: [], leaves, keypairs: [], openWishes: [], notices: [] },
  });
};

const place = (changes: Partial<Place> = {}): Place => ({
  unitIds: ['id:other', 'id:root'],
  groupIds: new Set(),
  vanishedIds: new Set(),
  ...changes,
});

const unit = policyRule({
  name: 'staff',
  scope: { kind: 'org-unit', path: '/Staff', orgUnitId: 'id:staff' },
});
const group = policyRule({
  name: 'pilots',
  scope: { kind: 'group', address: 'pilots@acme.example', groupId: 'g-pilots' },
  exclude: { ...EMPTY_SELECTION, groups: [{ address: 'temps@acme.example', groupId: 'g-temps' }] },
});
const policy = policyOf([unit, group]);

describe('somebody whose rule names a unit or group that the directory has no more', () => {
  const gone = place({ vanishedIds: new Set(['id:staff']) });
  const present = (changes = {}) => ({
    kind: 'present' as const,
    user: directoryUser({ orgUnitPath: '/Other', ...changes }),
  });
  const held = {
    user: userRow({ ruleName: 'staff', leftScopeAt: later(-90 * DAY_MS) }),
    keys: [userKey('k1')],
    leaves: [leaf('0a', 'k1')],
  };

  test('neither leaves nor is renewed, and an admin sees why', () => {
    const plan = planFor(facts({ presence: present(), place: gone, ...held }), policy);
    expect(plan.steps).toEqual([]);
    expect(plan.verdict).toMatchObject({ state: 'blocked', nextAction: 'look-at-policy' });
    expect(plan.verdict.reason).toContain('org unit /Staff (id:staff) is gone from the directory');
  });

  test('still loses what was decided to be revoked before', () => {
    const retired = leaf('0a', 'k1', { retirement: { reason: 'superseded', dueAt: later(-1) } });
    const plan = planFor(facts({ presence: present(), place: gone, ...held, leaves: [retired] }), policy);
    expect(plan.steps.map((step) => step.kind)).toEqual(['revoke-leaf']);
  });

  test('is covered all the same when another rule covers them', () => {
    const both = place({ vanishedIds: new Set(['id:staff']), groupIds: new Set(['g-pilots']) });
    expect(standingOf(facts({ presence: present(), place: both, ...held }), policy)).toMatchObject({
      kind: 'covered',
      rule: { name: 'pilots' },
    });
  });

  test('leaves when the account is archived, which needs no unit', () => {
    const standing = standingOf(
      facts({ presence: present({ archived: true }), place: gone, ...held }),
      policy,
    );
    expect(standing).toMatchObject({ kind: 'outside', why: 'the account is archived' });
  });

  test('leaves when the unit is still there', () => {
    expect(standingOf(facts({ presence: present(), place: place(), ...held }), policy).kind).toBe('outside');
  });

  test('does not join under a rule that excludes a vanished group, and stays if they had joined before', () => {
    const unknown = place({ groupIds: new Set(['g-pilots']), vanishedIds: new Set(['g-temps']) });
    const newcomer = facts({ presence: present(), place: unknown });
    expect(standingOf(newcomer, policy)).toMatchObject({ kind: 'frozen', rule: { name: 'pilots' } });
    expect(planFor(newcomer, policy)).toMatchObject({ steps: [], verdict: { state: 'out' } });
    const member = facts({ presence: present(), place: unknown, user: userRow({ ruleName: 'pilots' }) });
    expect(standingOf(member, policy).kind).toBe('covered');
  });
});

describe('somebody who departs', () => {
  const terms = { identity: 'keep', keypair: 'disable' } as const;
  const rule = policyRule({
    ...DEPARTURES,
    grace: {
      leaveMs: HOUR_MS,
      suspendMs: 2 * HOUR_MS,
      archiveMs: 3 * HOUR_MS,
      deleteMs: 4 * HOUR_MS,
      supersededMs: 0,
      wrappedKeysMs: undefined,
    },
    onLeave: terms,
  });
  const departing = policyOf([rule]);
  const user = userRow({ ruleName: 'staff' });

  test('by leaving does so by the terms of the rule that covered them last', () => {
    const presence = { kind: 'present' as const, user: directoryUser({ orgUnitPath: '/Other' }) };
    expect(standingOf(facts({ presence, user }), departing)).toMatchObject({ graceMs: HOUR_MS, terms });
  });

  test.each([
    ['archived', { archived: true }, 3 * HOUR_MS, rule.onArchive],
    ['suspended', { suspended: true }, 2 * HOUR_MS, rule.onSuspend],
  ] as const)('by being %s has that grace period and those terms', (_how, change, graceMs, expected) => {
    const presence = { kind: 'present' as const, user: directoryUser(change) };
    expect(standingOf(facts({ presence, user }), departing)).toMatchObject({ graceMs, terms: expected });
  });

  test.each([
    ['a grace period that runs', later(-4 * HOUR_MS + 1), []],
    ['a grace period that is over', later(-4 * HOUR_MS), ['revoke-leaf']],
    ['no date of deletion', undefined, ['revoke-leaf']],
  ] as const)('by being deleted, with %s, has the steps %j', (_what, deletedAt, kinds) => {
    const presence = {
      kind: 'deleted' as const,
      userId: user.userId,
      primaryEmail: user.primaryEmail,
      ...(deletedAt === undefined ? {} : { deletedAt }),
    };
    const holding = { user, keys: [userKey('k1')], leaves: [leaf('0a', 'k1')] };
    const plan = planFor(facts({ presence, ...holding }), departing);
    expect(plan.steps.map((step) => step.kind)).toEqual(kinds);
  });
});

describe('a plan', () => {
  const watched = policyOf([policyRule({ observeOnly: true })], {
    protected: { ...EMPTY_SELECTION, users: ['ana@acme.example'], superAdmins: false },
  });

  test('says that its account is protected and that its rule only observes', () => {
    const plan = planFor(facts({ presence: { kind: 'present', user: directoryUser() } }), watched);
    expect(plan).toMatchObject({ protectedAs: 'the user ana@acme.example', observeOnly: true });
  });

  test('of a deleted account that is named by its address is protected still', () => {
    const presence = { kind: 'deleted' as const, userId: '1', primaryEmail: 'ana@acme.example' };
    expect(planFor(facts({ presence }), watched).protectedAs).toBe('the user ana@acme.example');
  });
});

describe('an account that policy protects', () => {
  const gone = {
    deleted: { kind: 'deleted', userId: USER_ID, primaryEmail: 'anna@acme.example' },
    absent: { kind: 'absent', userId: USER_ID },
  } as const;
  const protecting = (...users: readonly string[]) =>
    policyOf([policyRule({})], { protected: { ...EMPTY_SELECTION, users, superAdmins: false } });
  const inNoList = { firstMissedAt: later(-2 * DAY_MS), lastMissedAt: later(-HOUR_MS) };

  test.each(['deleted', 'absent'] as const)(
    'and that is %s is protected by its id, by the address it was seen with last, and by those before',
    (kind) => {
      const seen = facts({ presence: gone[kind], user: userRow({ primaryEmail: 'ann@acme.example' }) });
      const formerly = { ...seen, formerAddresses: ['ana@acme.example'] };
      expect(planFor(seen, protecting(USER_ID)).protectedAs).toBe(`the user ${USER_ID}`);
      expect(planFor(seen, protecting('ann@acme.example')).protectedAs).toBe('the user ann@acme.example');
      expect(planFor(formerly, protecting('ana@acme.example')).protectedAs).toBe('the user ana@acme.example');
      expect(planFor(seen, protecting('ben@acme.example')).protectedAs).toBeUndefined();
    },
  );

  const board = { path: '/Board', orgUnitId: 'id:board' };
  const held = { address: 'board@acme.example', groupId: 'group-1' };
  const protection = { users: [], orgUnits: [board], groups: [held], superAdmins: true };
  const protectedAs = (kind: 'deleted' | 'absent', protectedBy: readonly string[], changes = {}) => {
    const policy = policyOf([policyRule({})], { protected: { ...protection, ...changes } });
    return planFor(facts({ presence: gone[kind], user: userRow({ protectedBy }) }), policy).protectedAs;
  };
  const inBoard = {
    unitIds: ['id:board', 'id:root'],
    groupIds: new Set(['group-1']),
    vanishedIds: new Set<string>(),
  };

  test.each(['deleted', 'absent'] as const)(
    'and that is %s is protected as the last look at it in the directory found it, as far as the policy protects by that still',
    (kind) => {
      const admin = directoryUser({ superAdmin: true });
      const policy = policyOf([policyRule({})], { protected: protection });
      const seen = protections(policy, admin, inBoard);
      expect(protectedAs(kind, seen)).toBe('a super admin when last seen');
      expect(protectedAs(kind, seen, { superAdmins: false })).toBe('the org unit /Board when last seen');
      const orgUnits = [{ ...board, path: '/Directors' }];
      expect(protectedAs(kind, seen, { superAdmins: false, orgUnits })).toBe(
        'the org unit /Directors when last seen',
      );
      expect(protectedAs(kind, seen, { superAdmins: false, orgUnits: [] })).toBe(
        'the group board@acme.example when last seen',
      );
      expect(protectedAs(kind, seen, { superAdmins: false, orgUnits: [], groups: [] })).toBeUndefined();
      expect(protectedAs(kind, [])).toBeUndefined();
    },
  );

  test('and is in the directory is protected as it is now, whatever it was', () => {
    const presence = { kind: 'present', user: directoryUser() } as const;
    const place = { unitIds: ['id:root'], groupIds: new Set<string>(), vanishedIds: new Set<string>() };
    const seen = facts({
      presence,
      place,
      user: userRow({ protectedBy: ['super-admins', 'org-unit id:board'] }),
    });
    expect(planFor(seen, policyOf([policyRule({})], { protected: protection })).protectedAs).toBeUndefined();
  });

  test('and that two whole sweeps missed has its revocation judged as that of a protected account', () => {
    const holding = { user: userRow(), keys: [userKey('k1')], leaves: [leaf('0a', 'k1')] };
    const missed = facts({ presence: gone.absent, ...holding });
    const plan = planFor({ ...missed, ledger: { ...missed.ledger, absence: inNoList } }, protecting(USER_ID));
    expect(plan.steps).toMatchObject([{ kind: 'revoke-leaf', departure: true }]);
    expect(plan.protectedAs).toBe(`the user ${USER_ID}`);
  });
});
