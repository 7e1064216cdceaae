import { describe, expect, test } from 'vitest';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import type { LeafRecord, UserLedger } from '../../shared/domain/records.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { carryOut } from './carry-out.ts';
import {
  cardKey,
  DAY_MS,
  directoryUser,
  facts,
  KEY_SERVICE,
  later,
  leaf,
  NOW,
  settled,
  userKey,
  userRow,
  wish,
} from './facts.ts';

const { keyServiceUrl: _none, ...withoutService } = policyRule();
const onCards = (changes: Partial<PolicyRule> = {}): PolicyRule => ({
  ...withoutService,
  keySource: 'smart-card',
  ...changes,
});
const planned = (input: Facts, rule = onCards()) => planFor(input, policyOf([rule]));
const kinds = (input: Facts, rule = onCards()) => planned(input, rule).steps.map(({ kind }) => kind);

/** Somebody whose certificate is over a card's key. */
function withCard(changes: { leaf?: Partial<LeafRecord>; ledger?: Partial<UserLedger> } = {}): Facts {
  const { ledger } = settled();
  return settled({
    ledger: {
      ...ledger,
      keys: [cardKey('k1')],
      leaves: [leaf('0a01', 'k1', changes.leaf)],
      ...changes.ledger,
    },
  });
}
const DUE = { notBefore: later(-340 * DAY_MS), notAfter: later(20 * DAY_MS) };
const ISSUE = ['issue-leaf', 'create-keypair', 'set-identity'];

describe('plan, for a rule whose keys are on smart cards', () => {
  test('takes the card’s key, certifies it and makes none', () => {
    const plan = planned(facts());
    expect(plan.steps.map(({ kind }) => kind)).toEqual(['take-card-key', ...ISSUE]);
    expect(plan.steps[0]).toMatchObject({ purpose: 'dual-use' });
    expect(plan.notices?.notices).toMatchObject([
      { kind: 'card-key-wanted', key: 'card-key-wanted/dual-use/first' },
    ]);
  });

  test('takes one key for each certificate of a split profile', () => {
    const steps = planned(facts(), onCards({ profile: 'split' })).steps;
    expect(steps.flatMap((step) => (step.kind === 'take-card-key' ? [step.purpose] : []))).toEqual([
      'signing',
      'encryption',
    ]);
  });

  test('has nothing left to do once that is done, and wants no card any more', () => {
    const after = carryOut(facts(), planned(facts()).steps);
    expect(planned(after).steps).toEqual([]);
    expect(planned(after).notices?.notices).toEqual([]);
    expect(planned(withCard()).steps).toEqual([]);
  });

  test.each<[string, Facts, PolicyRule, string[]]>([
    ['a renewal asks for a new key', withCard({ leaf: DUE }), onCards(), ['take-card-key', ...ISSUE]],
    [
      'a renewal keeps the key where the rule says so',
      withCard({ leaf: DUE }),
      onCards({ renewKey: 'same' }),
      ISSUE,
    ],
    [
      'a key of another size than keySize is kept: the card made it',
      withCard({ leaf: DUE, ledger: { keys: [cardKey('k1', { modulusBits: 4096 })] } }),
      onCards({ renewKey: 'same', modulusBits: 2048 }),
      ISSUE,
    ],
    [
      'a re-key asks for a new key',
      withCard({ ledger: { openWishes: [wish('w1')] } }),
      onCards({ renewKey: 'same' }),
      ['take-card-key', 'issue-leaf', 'retire-leaf', 'create-keypair', 'set-identity', 'fulfil-wish'],
    ],
    [
      'a rename certifies the card’s key again',
      {
        ...withCard(),
        presence: { kind: 'present', user: directoryUser({ primaryEmail: 'anna@acme.example' }) },
      },
      onCards(),
      ['issue-leaf', 'retire-leaf', 'create-keypair', 'set-identity', 'delete-identity'],
    ],
    [
      'a wrapped key is replaced when the rule changes to cards',
      settled(),
      onCards(),
      ['take-card-key', ...ISSUE],
    ],
    [
      'a card’s key is replaced when the rule changes to a key service',
      withCard(),
      policyRule({ keyServiceUrl: KEY_SERVICE }),
      ['make-key', ...ISSUE],
    ],
  ])('%s', (_what, input, rule, steps) => {
    expect(kinds(input, rule)).toEqual(steps);
  });

  test('does not keep a key that was revoked as compromised under another serial', () => {
    const revoked = leaf('0a00', 'k1', {
      revocation: { reason: 'keyCompromise', revokedAt: later(-DAY_MS) },
    });
    const input = withCard({
      leaf: { addresses: ['old@acme.example'] },
      ledger: { leaves: [revoked, leaf('0a01', 'k1', { addresses: ['old@acme.example'] })] },
    });
    expect(kinds(input)).toContain('take-card-key');
  });

  test('goes on with a key that was taken before a crash', () => {
    const input = facts({
      ledger: { ...facts().ledger, keys: [cardKey('k1', { createdAt: NOW })] },
    });
    expect(planned(input).steps[0]).toMatchObject({ kind: 'issue-leaf', key: { keyId: 'k1' } });
    const wrapped = facts({ ledger: { ...facts().ledger, keys: [userKey('k1', { createdAt: NOW })] } });
    expect(kinds(wrapped)[0]).toBe('take-card-key');
  });

  test('revokes and deletes for somebody who leaves as for anybody else', () => {
    const left = withCard({ ledger: { user: userRow({ leftScopeAt: later(-2 * DAY_MS) }) } });
    const presence = { kind: 'present', user: directoryUser({ orgUnitPath: '/Elsewhere' }) } as const;
    expect(kinds({ ...left, presence })).toEqual(['revoke-leaf', 'delete-identity']);
  });

  test('names each renewal of which a card’s key is wanted by its certificate, and each re-key by its wish', () => {
    const keyOf = (input: Facts) =>
      planned(input).notices?.notices.find(({ kind }) => kind === 'card-key-wanted')?.key;
    expect(keyOf(withCard({ leaf: DUE }))).toBe('card-key-wanted/dual-use/0a01');
    expect(keyOf(withCard({ ledger: { openWishes: [wish('w1')] } }))).toBe('card-key-wanted/dual-use/w1');
  });
});
