import { describe, expect, test } from 'vitest';
import type {
  CountedScope,
  DepartureStep,
  FullHeldSet,
  GuardSight,
  HeldDeparture,
  HeldSet,
  HeldState,
} from '../../shared/domain/held.ts';
import type { Plan } from '../../shared/domain/step.ts';
import {
  DISMISSED_MS,
  departureLimit,
  departureSteps,
  judge,
  type Proposal,
  scopesOf,
  withoutDepartures,
} from '../../shared/plan/guard.ts';
import { heldSetDigest, setIdOfDigest } from '../../shared/plan/held-set.ts';
import { policy } from './facts.ts';

const leaver: Plan = {
  userId: '1',
  steps: [
    {
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: '0a',
      revocationReason: 'affiliationChanged',
      departure: true,
      reason: 'left',
    },
    {
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: '0b',
      revocationReason: 'superseded',
      departure: false,
      reason: 'replaced',
    },
    { kind: 'delete-identity', chain: 'gmail', address: 'a@acme.example', departure: true, reason: 'left' },
  ],
  verdict: { state: 'out', reason: 'left' },
};

describe('the departure limit', () => {
  test.each([
    [0, 5],
    [100, 5],
    [101, 5],
    [200, 10],
    [4_000, 200],
    [1_000_000, 200],
  ])('for %d covered users is %d an hour', (covered, limit) => {
    expect(departureLimit(covered, policy.guard)).toBe(limit);
  });
});

const NOW = new Date('2026-11-29T10:00:00Z');
const none: GuardSight = { latches: [], counts: [] };
const proposal = (changes: Partial<Proposal> = {}): Proposal => ({
  steps: departureSteps(leaver),
  now: NOW,
  ...changes,
});
const counted = (departures: number, coveredUsers = 50, scope: CountedScope = 'tenant') => ({
  scope,
  departures,
  coveredUsers,
  attempted: departures,
  latchedBelow: 0,
});
const standing = (state: HeldState, changes: Partial<HeldDeparture> = {}): GuardSight => ({
  ...none,
  standing: {
    setId: 7n,
    userId: '1',
    primaryEmail: 'a@acme.example',
    steps: departureSteps(leaver),
    heldAt: NOW,
    state,
    opening: 'Too many.',
    ...changes,
    ...(state === 'held' ? {} : { decided: { by: 'admin@acme.example', at: NOW } }),
  },
});
const rule = (sight: GuardSight, changes: Partial<Proposal> = {}) =>
  judge(sight, proposal(changes), policy.guard);

describe('the guard', () => {
  test('lets the fifth departure of an hour through', () => {
    expect(rule({ ...none, counts: [counted(4)] })).toMatchObject({ kind: 'let-through' });
  });

  test('holds the sixth and names the limit', () => {
    const ruling = rule({ ...none, counts: [counted(5)] });
    expect(ruling).toMatchObject({ kind: 'held', scope: 'tenant' });
    expect(ruling.kind === 'held' && ruling.reason).toBe(
      'Held: 5 users departed from the tenant in the last hour, and the limit for 50 covered users is 5.',
    );
  });

  test('holds for the widest scope whose limit is passed', () => {
    const unit = counted(5, 40, 'unit:/staff/sales');
    expect(rule({ ...none, counts: [counted(5, 1000), unit] })).toMatchObject({ scope: 'unit:/staff/sales' });
    expect(rule({ ...none, counts: [counted(5, 40), unit] })).toMatchObject({ scope: 'tenant' });
  });

  describe('where a unit of a unit has latched,', () => {
    const team = counted(6, 125, 'unit:/staff/sales/b');
    const sales = { ...counted(12, 1000, 'unit:/staff/sales'), attempted: 49, latchedBelow: 1 };
    const staff = { ...counted(12, 9000, 'unit:/staff'), attempted: 49, latchedBelow: 1 };
    const counts = [{ ...counted(12, 10_000), attempted: 500, latchedBelow: 1 }, staff, sales, team];

    test('latches the next one by itself as long as what is held below does not pass the limit above', () => {
      expect(rule({ ...none, counts })).toMatchObject({ kind: 'held', scope: team.scope });
    });

    test('latches the narrowest unit above both once it does, and says so', () => {
      const more = { ...sales, attempted: 50 };
      const ruling = rule({
        ...none,
        counts: [...counts.slice(0, 1), { ...staff, attempted: 451 }, more, team],
      });
      expect(ruling).toMatchObject({
        kind: 'held',
        scope: 'unit:/staff/sales',
        opening:
          '50 users departed from /staff/sales or are held in units below it since an hour ago, and the limit for 1000 covered users is 50.',
      });
    });

    test('lets somebody else of the unit above go, until two have latched', () => {
      const more = { ...sales, attempted: 50 };
      const other = [counts[0] ?? staff, staff, more];
      expect(rule({ ...none, counts: other })).toMatchObject({ kind: 'let-through' });
      const two = [counts[0] ?? staff, staff, { ...more, latchedBelow: 2 }];
      expect(rule({ ...none, counts: two })).toMatchObject({ kind: 'held', scope: 'unit:/staff/sales' });
    });

    test('never latches the tenant for it', () => {
      const tenant = { ...counted(5, 100), attempted: 500, latchedBelow: 3 };
      expect(
        rule({ ...none, counts: [{ ...tenant, departures: 4 }, counted(2, 40, 'unit:/a')] }),
      ).toMatchObject({
        kind: 'let-through',
      });
    });
  });

  test('holds whoever is in a latched scope, without counting', () => {
    const latch: HeldSet = { setId: 3n, scope: 'tenant', reason: 'It shrank.', openedAt: NOW, state: 'open' };
    expect(rule({ ...none, latches: [latch] })).toMatchObject({
      kind: 'held',
      scope: 'tenant',
      reason: 'Held: It shrank.',
    });
  });

  test('holds a protected account whatever the count, and latches nothing by it', () => {
    expect(rule({ ...none, counts: [counted(0)] }, { protectedAs: 'a super admin' })).toMatchObject({
      kind: 'held',
      scope: 'protected',
      reason: expect.stringContaining('a super admin'),
    });
    expect(rule(standing('approved'), { protectedAs: 'a super admin' })).toMatchObject({ kind: 'approved' });
  });

  test('lets an approved departure through also while its scope is latched, as a whole or in part', () => {
    const latch: HeldSet = { setId: 3n, scope: 'tenant', reason: 'It shrank.', openedAt: NOW, state: 'open' };
    expect(rule({ ...standing('approved'), latches: [latch] })).toMatchObject({
      kind: 'approved',
      setId: 7n,
    });
    expect(rule(standing('approved'), { steps: departureSteps(leaver).slice(1) }).kind).toBe('approved');
  });

  test.each<[string, DepartureStep]>([
    ['another certificate', { kind: 'revoke-leaf', target: '0c', revocationReason: 'affiliationChanged' }],
    ['another reason', { kind: 'revoke-leaf', target: '0a', revocationReason: 'keyCompromise' }],
    ['a further step', { kind: 'disable-keypair', target: 'pair' }],
  ])('holds an approved departure anew when it would be %s', (_, step) => {
    const steps = [...departureSteps(leaver), step];
    expect(rule(standing('approved'), { steps })).toMatchObject({ scope: 'again', standing: 'changed' });
    expect(rule(standing('dismissed'), { steps })).toMatchObject({ scope: 'again', standing: 'changed' });
    expect(rule(standing('held'), { steps })).toMatchObject({ kind: 'held-otherwise', setId: 7n });
  });

  test('leaves a dismissed departure alone for a day, and then holds it again', () => {
    const at = (milliseconds: number) =>
      rule(standing('dismissed'), { now: new Date(NOW.getTime() + milliseconds) });
    expect(at(0)).toMatchObject({ kind: 'dismissed', until: new Date(NOW.getTime() + DISMISSED_MS) });
    expect(at(DISMISSED_MS - 1).kind).toBe('dismissed');
    expect(at(DISMISSED_MS)).toMatchObject({ kind: 'held', scope: 'again', standing: 'lapsed' });
  });

  test('takes the departures out of a plan and leaves what hurts nobody', () => {
    expect(withoutDepartures(leaver, 'Held.')).toMatchObject({
      steps: [leaver.steps[1]],
      verdict: { state: 'leaving', reason: 'Held.' },
    });
  });

  test.each<[string | undefined, readonly string[]]>([
    [undefined, ['tenant']],
    ['/', ['tenant']],
    ['/Staff', ['tenant', 'unit:/staff']],
    ['/Staff/Sales/EMEA', ['tenant', 'unit:/staff', 'unit:/staff/sales', 'unit:/staff/sales/emea']],
  ])('counts somebody of %s in %j', (unit, scopes) => {
    expect(scopesOf(unit)).toEqual(scopes);
  });
});

describe('the digest of a held set', () => {
  const member = (userId: string, changes: Partial<HeldDeparture> = {}): HeldDeparture => ({
    setId: 7n,
    userId,
    primaryEmail: `${userId}@acme.example`,
    steps: departureSteps(leaver),
    heldAt: NOW,
    state: 'held',
    ...changes,
  });
  const setOf = (departures: readonly HeldDeparture[], changes: Partial<FullHeldSet> = {}): FullHeldSet => ({
    setId: 7n,
    scope: 'tenant',
    reason: 'Many.',
    openedAt: NOW,
    state: 'open',
    departures,
    ...changes,
  });
  const base = setOf([member('1'), member('2')]);

  test('names its set and is the same whatever the order and the time', () => {
    expect(heldSetDigest(base)).toMatch(/^7-[0-9a-f]{64}$/);
    expect(setIdOfDigest(heldSetDigest(base))).toBe(7n);
    const later = new Date(NOW.getTime() + 1);
    expect(heldSetDigest(setOf([member('2', { heldAt: later }), member('1')]))).toBe(heldSetDigest(base));
    expect(heldSetDigest(setOf([...base.departures, member('3', { state: 'withdrawn' })]))).toBe(
      heldSetDigest(base),
    );
  });

  test.each<[string, FullHeldSet]>([
    ['somebody joins', setOf([...base.departures, member('3')])],
    ['somebody leaves', setOf([member('1')])],
    ['somebody is replaced', setOf([member('1'), member('3')])],
    ['an address changes', setOf([member('1'), member('2', { primaryEmail: 'x@acme.example' })])],
    ['a step is dropped', setOf([member('1'), member('2', { steps: departureSteps(leaver).slice(1) })])],
    [
      'steps change places',
      setOf([member('1'), member('2', { steps: departureSteps(leaver).toReversed() })]),
    ],
    ['it is another set', setOf(base.departures, { setId: 8n })],
    ['it is another scope', setOf(base.departures, { scope: 'again' })],
  ])('is another when %s', (_, changed) => {
    expect(heldSetDigest(changed)).not.toBe(heldSetDigest(base));
  });

  test.each([
    '',
    '7',
    '7-',
    `x-${'a'.repeat(64)}`,
    `07-${'a'.repeat(64)}`,
    `7-${'A'.repeat(64)}`,
    `7-${'a'.repeat(63)}`,
  ])('does not read %j as one', (text) => {
    expect(setIdOfDigest(text)).toBeUndefined();
  });
});
