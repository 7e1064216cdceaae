/** What holds of every plan, whatever the facts and whatever the rule. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DirectoryPresence } from '../../shared/domain/directory-user.ts';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import type { Step } from '../../shared/domain/step.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { carryOut } from './carry-out.ts';
import {
  ADDRESS,
  DAY_MS,
  directoryUser,
  facts,
  identity,
  KEY_SERVICE,
  keypair,
  later,
  settled,
  USER_ID,
  userRow,
  wish,
} from './facts.ts';

const plan = (input: Facts, rule: PolicyRule) => planFor(input, policyOf([rule]));

const rules: fc.Arbitrary<PolicyRule> = fc
  .record({
    profile: fc.constantFrom('dual-use' as const, 'split' as const),
    aliases: fc.constantFrom('no' as const, 'next' as const, 'at-once' as const),
    renewKey: fc.constantFrom('new' as const, 'same' as const),
    keys: fc.constantFrom(
      { keyServiceUrl: KEY_SERVICE },
      { keyServiceUrl: 'https://kacls.other.example' },
      { keySource: 'smart-card' as const },
    ),
    keypair: fc.constantFrom('keep' as const, 'disable' as const),
    identityTerm: fc.constantFrom('keep' as const, 'delete' as const),
    overlapMs: fc.constantFrom(0, 3 * DAY_MS, undefined),
  })
  .map(({ keypair: pair, identityTerm, overlapMs, keys, ...changes }) => {
    const terms = { identity: identityTerm, keypair: pair };
    const { keyServiceUrl: _default, ...rule } = policyRule(changes);
    const base = { ...rule, ...keys };
    const grace = { ...base.grace, supersededMs: overlapMs };
    return { ...base, grace, onLeave: terms, onSuspend: terms, onArchive: terms };
  });

const presences: fc.Arbitrary<DirectoryPresence> = fc.oneof(
  fc
    .record({
      primaryEmail: fc.constantFrom(ADDRESS, 'anna@acme.example'),
      aliases: fc.constantFrom([], ['a@acme.example'], ['a@acme.example', 'b@acme.example']),
      orgUnitPath: fc.constantFrom('/Staff', '/Staff/Legal', '/Elsewhere'),
      suspended: fc.boolean(),
      archived: fc.boolean(),
    })
    .map((changes) => ({ kind: 'present' as const, user: directoryUser(changes) })),
  fc.constant({ kind: 'deleted' as const, userId: USER_ID, primaryEmail: ADDRESS }),
  fc.constant({ kind: 'absent' as const, userId: USER_ID }),
);

const wishes = fc.constantFrom(
  [],
  [wish('w1')],
  [wish('w1', { reason: 'keyCompromise', disableKeypairs: true })],
  [wish('w1'), wish('w2', { reason: 'keyCompromise' })],
);

/** Somebody with a history under one rule, met again later under another. */
const situations = fc
  .record({
    before: rules,
    start: fc.constantFrom('nothing', 'settled'),
    presence: presences,
    openWishes: wishes,
    ageDays: fc.integer({ min: 0, max: 400 }),
    leftDays: fc.integer({ min: 0, max: 40 }),
    drift: fc.constantFrom('none', 'no-identity', 'disabled', 'foreign', 'off'),
    lost: fc.boolean(),
    issuer: fc.constantFrom('active' as const, 'retiring' as const),
  })
  .map((situation): Facts => {
    const { before, start, presence, openWishes, ageDays, leftDays, lost, issuer } = situation;
    const base = settle(start === 'nothing' ? facts() : settled(), before);
    const now = later(ageDays * DAY_MS);
    const user = userRow({
      leftScopeAt: later(-leftDays * DAY_MS, now),
      suspendedAt: later(-leftDays * DAY_MS, now),
    });
    const lostAddresses = lost ? [{ address: ADDRESS, userId: '999' }] : [];
    return {
      ...base,
      now,
      presence,
      gmail: drifted(base, situation.drift),
      ledger: { ...base.ledger, user, openWishes },
      lostAddresses:
        presence.kind === 'present' && presence.user.primaryEmail === ADDRESS ? [] : lostAddresses,
      issuerStates: new Map([['issuer', issuer]]),
    };
  });

function drifted({ gmail }: Facts, drift: string): Facts['gmail'] {
  if (gmail.kind !== 'observed') return gmail;
  switch (drift) {
    case 'no-identity':
      return { ...gmail, identities: [] };
    case 'disabled':
      return { ...gmail, keypairs: gmail.keypairs.map((pair) => ({ ...pair, enabled: false })) };
    case 'foreign':
      return {
        ...gmail,
        keypairs: [...gmail.keypairs, keypair('foreign', 'x')],
        identities: [identity('foreign')],
      };
    case 'off':
      return { kind: 'unavailable', code: 'cse-not-enabled', message: 'Encryption is off.' };
    default:
      return gmail;
  }
}

function settle(start: Facts, rule: PolicyRule): Facts {
  let current = start;
  for (let round = 0; round < 4; round += 1) current = carryOut(current, plan(current, rule).steps);
  return current;
}

/** Steps in an order that says nothing: of several leaves, either may come first. */
const asSet = (steps: readonly Step[]) => steps.map((step) => JSON.stringify(step)).toSorted();

describe('a plan, whatever the facts and the rule,', () => {
  test('leaves nothing to do once it and its follow-ups are applied', () => {
    fc.assert(
      fc.property(situations, rules, (start, rule) => {
        expect(plan(settle(start, rule), rule).steps).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('says the same in whatever order the facts were gathered', () => {
    const shuffles = fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(situations, rules, shuffles, (input, rule, random) => {
        const shuffled = <T>(items: readonly T[]): readonly T[] =>
          items
            .map((item) => ({ item, rank: random.next().value ?? 0 }))
            .toSorted((left, right) => left.rank - right.rank)
            .map(({ item }) => item);
        const { ledger, gmail } = input;
        const other: Facts = {
          ...input,
          ledger: {
            ...ledger,
            keys: shuffled(ledger.keys),
            leaves: shuffled(ledger.leaves),
            keypairs: shuffled(ledger.keypairs),
            openWishes: shuffled(ledger.openWishes),
          },
          gmail:
            gmail.kind === 'observed'
              ? { ...gmail, keypairs: shuffled(gmail.keypairs), identities: shuffled(gmail.identities) }
              : gmail,
        };
        const [one, two] = [plan(input, rule), plan(other, rule)];
        expect(asSet(two.steps)).toEqual(asSet(one.steps));
        expect({ ...two.verdict, reason: '' }).toEqual({ ...one.verdict, reason: '' });
      }),
      { numRuns: 1_000 },
    );
  });

  test('gives every step and every verdict a reason, and every wait a time', () => {
    fc.assert(
      fc.property(situations, rules, (input, rule) => {
        const { steps, verdict } = plan(input, rule);
        for (const { reason } of [...steps, verdict]) expect(reason).toMatch(/^[A-Za-z].{10,}\.$/s);
        if (verdict.state !== 'out') expect(verdict.nextActionAt).toBeDefined();
      }),
    );
  });

  test('never touches a pair or an identity that Sealwright did not make', () => {
    fc.assert(
      fc.property(situations, rules, (input, rule) => {
        const after = settle(input, rule);
        if (input.gmail.kind !== 'observed' || after.gmail.kind !== 'observed') return;
        for (const pair of input.gmail.keypairs.filter(({ keypairId }) => keypairId === 'foreign'))
          expect(after.gmail.keypairs).toContainEqual(pair);
      }),
    );
  });
});
