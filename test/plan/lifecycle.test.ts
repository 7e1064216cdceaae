/**
 * The lifecycle table of `docs/lifecycle.md`, row by row, then the cases between the rows. What a row says of time,
 * crashes and Gmail's refusals is in the neighbouring files; here is what is planned, and why.
 */
import { describe, expect, test } from 'vitest';
import type { DirectoryPresence, DirectoryUser } from '../../shared/domain/directory-user.ts';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import type { LeafRecord, UserLedger } from '../../shared/domain/records.ts';
import type { Plan, Step } from '../../shared/domain/step.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { needsGmail, planFor } from '../../shared/plan/plan.ts';
import { renewalTime } from '../../shared/plan/timing.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { carryOut } from './carry-out.ts';
import {
  ADDRESS,
  DAY_MS,
  directoryUser,
  facts,
  fingerprint,
  HOUR_MS,
  identity,
  KEY_SERVICE,
  keypair,
  later,
  leaf,
  NOW,
  observed,
  settled,
  USER_ID,
  userKey,
  userRow,
  wish,
} from './facts.ts';

const NEW_ADDRESS = 'anna@acme.example';
const OTHER_ID = '999';

const plan = (input: Facts, rule: Partial<PolicyRule> = {}): Plan =>
  planFor(input, policyOf([policyRule({ keyServiceUrl: KEY_SERVICE, ...rule })]));

/** Steps as an admin would tell them: kind, and what it is about. */
const told = (steps: readonly Step[]): readonly string[] =>
  steps.map((step) => {
    switch (step.kind) {
      case 'make-key':
      case 'issue-leaf':
        return `${step.kind} ${step.purpose}`;
      case 'retire-leaf':
      case 'revoke-leaf':
        return `${step.kind} ${step.serialHex} ${step.revocationReason}`;
      case 'enable-keypair':
      case 'disable-keypair':
        return `${step.kind} ${step.keypairId}`;
      case 'set-identity':
      case 'delete-identity':
        return `${step.kind} ${step.address}`;
      default:
        return step.kind;
    }
  });

const present = (changes: Partial<DirectoryUser>): DirectoryPresence => ({
  kind: 'present',
  user: directoryUser(changes),
});
const withLedger = (changes: Partial<UserLedger>, input: Facts = settled()): Facts => ({
  ...input,
  ledger: { ...input.ledger, ...changes },
});
const OFF = { kind: 'unavailable', code: 'cse-not-enabled', message: 'Encryption is off.' } as const;
const UNASKED = { kind: 'unasked' } as const;

/** A new certificate with a new key, in Gmail and in use; `more` stands between the certificate and Gmail. */
const anew = (...more: readonly string[]) => [
  'make-key dual-use',
  'issue-leaf dual-use',
  ...more,
  'create-keypair',
  `set-identity ${ADDRESS}`,
];

/** Carries plans out until there is nothing left to do. */
function settle(input: Facts, rule: Partial<PolicyRule> = {}): Facts {
  let current = input;
  for (let round = 0; round < 4; round += 1) current = carryOut(current, plan(current, rule).steps);
  expect(plan(current, rule).steps).toEqual([]);
  return current;
}

describe('somebody who comes into scope', () => {
  test('gets key, certificate, pair and identity', () => {
    expect(told(plan(facts()).steps)).toEqual(anew());
  });

  test('gets two keys, two certificates and two pairs for one identity where the rule splits them', () => {
    const { steps } = plan(facts(), { profile: 'split' });
    expect(told(steps)).toEqual([
      'make-key signing',
      'issue-leaf signing',
      'make-key encryption',
      'issue-leaf encryption',
      'create-keypair',
      'create-keypair',
      `set-identity ${ADDRESS}`,
    ]);
    expect(steps.at(-1)).toMatchObject({
      leaves: { kind: 'split', signing: { made: 'signing' }, encryption: { made: 'encryption' } },
    });
    const after = settle(facts(), { profile: 'split' });
    expect(after.gmail).toMatchObject({ identities: [{ use: { kind: 'split' } }] });
  });
});

describe('somebody without a mailbox or without client-side encryption yet', () => {
  test('waits, pending, and nothing is issued', () => {
    const user = userRow({ state: 'pending', since: NOW });
    const { steps, verdict } = plan(withLedger({ user }, facts({ gmail: OFF })));
    expect(steps).toEqual([]);
    expect(verdict).toMatchObject({ state: 'pending', nextAction: 'ask-gmail-again' });
  });

  test('is blocked with the reason after a day, and still looked at', () => {
    const user = userRow({ state: 'pending', since: later(-DAY_MS) });
    const { verdict } = plan(withLedger({ user, keypairs: [], leaves: [], keys: [] }, facts({ gmail: OFF })));
    expect(verdict).toMatchObject({ state: 'blocked', reason: 'Waits for Gmail: Encryption is off.' });
    expect(verdict.nextActionAt).toEqual(later(DAY_MS));
  });
});

describe('somebody who loses the licence, or has encryption switched off', () => {
  test('keeps everything and is blocked at once with the reason', () => {
    const { steps, verdict } = plan(settled({ gmail: OFF }));
    expect(steps).toEqual([]);
    expect(verdict).toMatchObject({ state: 'blocked', nextAction: 'ask-gmail-again' });
    expect(verdict.reason).toContain('nothing is revoked: Encryption is off.');
  });

  const NO_MAILBOX = { kind: 'unavailable', code: 'mailbox-not-ready', message: 'No mailbox.' } as const;

  test('is blocked at once also where Gmail answers that there is no mailbox and the directory has one', () => {
    const { steps, verdict } = plan(settled({ gmail: NO_MAILBOX }));
    expect(steps).toEqual([]);
    expect(verdict).toMatchObject({ state: 'blocked', nextAction: 'ask-gmail-again' });
    expect(verdict.reason).toContain('nothing is revoked: No mailbox.');
  });

  test('is asked about soon, and once a day after a day, where the mailbox may still come back', () => {
    const blockedFor = (ms: number, failures: number) => {
      const user = userRow({ state: 'blocked', since: later(-ms), failures });
      return plan(withLedger({ user }, settled({ gmail: NO_MAILBOX }))).verdict.nextActionAt;
    };
    expect(blockedFor(0, 1)).toEqual(later(HOUR_MS / 30));
    expect(blockedFor(DAY_MS - 1, 30)).toEqual(later(HOUR_MS));
    expect(blockedFor(DAY_MS, 30)).toEqual(later(DAY_MS));
  });

  test('waits for the mailbox without being blocked where the directory says that there is none', () => {
    const presence = present({ mailboxReady: false });
    expect(plan(settled({ presence, gmail: NO_MAILBOX })).verdict.state).toBe('pending');
  });
});

describe('somebody whose certificate nears its end', () => {
  const now = later(340 * DAY_MS);

  test('gets a new one with a new key; the old one runs out and its pair stays enabled', () => {
    expect(told(plan(settled({ now })).steps)).toEqual(anew());
    const after = settle(settled({ now }));
    expect(after.ledger.leaves[0]?.retirement).toBeUndefined();
    expect(after.gmail).toMatchObject({ keypairs: [{ enabled: true }, { enabled: true }] });
  });

  test('gets a new one over the same key where policy says so', () => {
    const { steps } = plan(settled({ now }), { renewKey: 'same' });
    expect(told(steps)).toEqual(['issue-leaf dual-use', 'create-keypair', `set-identity ${ADDRESS}`]);
    expect(steps[0]).toMatchObject({ key: { keyId: 'k1' } });
    settle(settled({ now }), { renewKey: 'same' });
  });

  test('gets a new key all the same when the rule asks for another size now', () => {
    expect(told(plan(settled({ now }), { renewKey: 'same', modulusBits: 4096 }).steps)).toEqual(anew());
  });
});

describe('somebody who is re-keyed', () => {
  test('because superseded: a new one, then the old one is revoked after the overlap', () => {
    const { steps } = plan(withLedger({ openWishes: [wish('w')] }));
    expect(told(steps)).toEqual([...anew('retire-leaf 0a01 superseded'), 'fulfil-wish']);
    expect(steps[2]).toMatchObject({ dueAt: later(3 * DAY_MS) });
  });

  test('because superseded with no overlap: revoked as soon as the new one is there', () => {
    const rule = { grace: { ...policyRule().grace, supersededMs: 0 } };
    const after = settle(withLedger({ openWishes: [wish('w')] }), rule);
    expect(after.ledger.leaves[0]?.revocation?.reason).toBe('superseded');
  });

  test('because superseded where policy lets it run out: never revoked', () => {
    const rule = { grace: { ...policyRule().grace, supersededMs: undefined } };
    const after = settle(withLedger({ openWishes: [wish('w')] }), rule);
    expect(after.ledger.leaves[0]).not.toHaveProperty('retirement');
  });

  test('because of a compromise: the old one is revoked first and at once', () => {
    const { steps } = plan(withLedger({ openWishes: [wish('w', { reason: 'keyCompromise' })] }));
    expect(told(steps)).toEqual(['revoke-leaf 0a01 keyCompromise', ...anew(), 'fulfil-wish']);
  });

  test('has the replaced pair disabled, once the new one is in use, where the admin said so', () => {
    const openWishes = [wish('w', { reason: 'keyCompromise', disableKeypairs: true })];
    const { steps } = plan(withLedger({ openWishes }));
    expect(told(steps)).toEqual([
      'revoke-leaf 0a01 keyCompromise',
      ...anew(),
      'disable-keypair pair-1',
      'fulfil-wish',
    ]);
    const after = settle(withLedger({ openWishes }));
    expect(after.ledger.keypairs[0]?.disabled?.because).toBe('compromised');
    expect(plan(after).notices?.notices).toEqual([]);
  });

  test('while a renewal runs: the half-done renewal is replaced by one key that answers the wish', () => {
    const keys = [userKey('k1'), userKey('k2', { createdAt: later(-HOUR_MS) })];
    const leaves = [
      leaf('0a01', 'k1'),
      leaf('0a02', 'k2', { state: 'intended', intendedAt: later(-HOUR_MS) }),
    ];
    const input = withLedger({ keys, leaves, openWishes: [wish('w')] });
    expect(told(plan(input).steps)).toEqual([
      ...anew('retire-leaf 0a01 superseded', 'retire-leaf 0a02 superseded'),
      'fulfil-wish',
    ]);
    settle(input);
  });
});

describe('somebody with split keys', () => {
  const SPLIT = { profile: 'split' } as const;
  const split = settle(facts(), SPLIT);
  const serials = split.ledger.leaves.map(({ serialHex }) => serialHex);

  test('is re-keyed in both', () => {
    const { steps } = plan(withLedger({ openWishes: [wish('w')] }, split), SPLIT);
    expect(told(steps)).toEqual([
      'make-key signing',
      'issue-leaf signing',
      'make-key encryption',
      'issue-leaf encryption',
      ...serials.map((serial) => `retire-leaf ${serial} superseded`),
      'create-keypair',
      'create-keypair',
      `set-identity ${ADDRESS}`,
      'fulfil-wish',
    ]);
  });

  test('has both revoked when a compromise is reported', () => {
    const input = withLedger(
      { openWishes: [wish('w', { reason: 'keyCompromise', requestedAt: later(1) })] },
      split,
    );
    expect(told(plan(input, SPLIT).steps).slice(0, 2)).toEqual(
      serials.map((serial) => `revoke-leaf ${serial} keyCompromise`),
    );
  });

  test('renews each when its own time has come', () => {
    const signing = split.ledger.leaves.find(({ purpose }) => purpose === 'signing');
    const leaves = split.ledger.leaves.map((entry) =>
      entry === signing ? { ...entry, notBefore: later(-336 * DAY_MS), notAfter: later(29 * DAY_MS) } : entry,
    );
    const { steps } = plan(withLedger({ leaves }, split), SPLIT);
    expect(told(steps)).toEqual([
      'make-key signing',
      'issue-leaf signing',
      'create-keypair',
      `set-identity ${ADDRESS}`,
    ]);
    expect(steps.at(-1)).toMatchObject({
      leaves: { encryption: { serialHex: expect.any(String) }, signing: { made: 'signing' } },
    });
  });

  test.each([
    ['to split', settled(), SPLIT, 'now splits signing from encryption'],
    ['to one key', split, {}, 'now has one key for signing and encryption'],
  ])(
    'changes %s when the rule does: new certificates, the old run out, old pairs stay',
    (_, before, rule, why) => {
      const { steps } = plan(before, rule);
      expect(steps[0]?.reason).toContain(why);
      const after = settle(before, rule);
      expect(after.ledger.leaves.every((entry) => entry.retirement === undefined)).toBe(true);
      expect(after.gmail).toMatchObject({
        identities: [{ use: { kind: rule === SPLIT ? 'split' : 'dual' } }],
      });
    },
  );
});

describe('somebody who is renamed', () => {
  const renamed = (primaryEmail: string, input = settled()): Facts => ({
    ...input,
    presence: present({ primaryEmail, aliases: [ADDRESS].filter((address) => address !== primaryEmail) }),
  });

  test('gets one for the new address, the new identity, and the old ones go', () => {
    expect(told(plan(renamed(NEW_ADDRESS)).steps)).toEqual([
      'make-key dual-use',
      'issue-leaf dual-use',
      'retire-leaf 0a01 superseded',
      'create-keypair',
      `set-identity ${NEW_ADDRESS}`,
      `delete-identity ${ADDRESS}`,
    ]);
  });

  test('twice ends with one identity and one certificate that stays', () => {
    const after = settle(renamed('annie@acme.example', settle(renamed(NEW_ADDRESS))));
    expect(after.gmail).toMatchObject({ identities: [{ address: 'annie@acme.example' }] });
    expect(after.ledger.leaves.filter((entry) => entry.retirement === undefined)).toHaveLength(1);
  });

  test('there and back gets a new one: what was decided about the first is not taken back', () => {
    const after = settle(renamed(ADDRESS, settle(renamed(NEW_ADDRESS))));
    expect(after.ledger.leaves.map((entry) => entry.retirement !== undefined)).toEqual([true, true, false]);
  });

  test('to what was an alias gets one with that address first', () => {
    const rule = { aliases: 'next' } as const;
    const leaves = [leaf('0a01', 'k1', { addresses: [ADDRESS, NEW_ADDRESS] })];
    const { steps } = plan(renamed(NEW_ADDRESS, withLedger({ leaves })), rule);
    expect(steps[1]).toMatchObject({ addresses: [NEW_ADDRESS, ADDRESS] });
    expect(told(steps)).toContain('retire-leaf 0a01 superseded');
  });
});

describe('somebody who gains or loses an alias', () => {
  const withAliases = (...aliases: readonly string[]): Facts => settled({ presence: present({ aliases }) });

  test.each(['no', 'next'] as const)('keeps the certificate where policy says "%s"', (aliases) => {
    expect(plan(withAliases('a@acme.example'), { aliases }).steps).toEqual([]);
  });

  test('has the alias in the next certificate where policy says "next"', () => {
    const { steps } = plan(
      { ...withAliases('a@acme.example'), now: later(340 * DAY_MS) },
      { aliases: 'next' },
    );
    expect(steps[1]).toMatchObject({ addresses: [ADDRESS, 'a@acme.example'] });
  });

  test('gets a new one at once where policy says so, and the old one runs out', () => {
    expect(told(plan(withAliases('a@acme.example'), { aliases: 'at-once' }).steps)).toEqual(anew());
    settle(withAliases('a@acme.example'), { aliases: 'at-once' });
  });

  test('who lost it gets a new one at once where policy says so, and the old one is revoked after the overlap', () => {
    const leaves = [leaf('0a01', 'k1', { addresses: [ADDRESS, 'a@acme.example'] })];
    expect(told(plan(withLedger({ leaves }), { aliases: 'at-once' }).steps)).toEqual(
      anew('retire-leaf 0a01 superseded'),
    );
  });

  test('spelled in Unicode settles: certificates spell it in A-labels', () => {
    const presence = present({ aliases: ['ana@bücher.example'] });
    const printedAddresses = new Map([['ana@bücher.example', 'ana@xn--bcher-kva.example']]);
    settle(settled({ presence, printedAddresses }), { aliases: 'at-once' });
  });
});

describe('an address that now belongs to somebody else', () => {
  const claim = { address: ADDRESS, userId: OTHER_ID };

  test('costs a former holder who is covered the certificate that names it, at once, and a new one follows', () => {
    const input = settled({ presence: present({ primaryEmail: NEW_ADDRESS }), lostAddresses: [claim] });
    const { steps } = plan(input);
    expect(told(steps).slice(0, 2)).toEqual(['revoke-leaf 0a01 affiliationChanged', 'make-key dual-use']);
    expect(steps[0]).toMatchObject({ departure: false, nextHolderId: OTHER_ID });
  });

  test('costs a former holder who is covered and waits for another address theirs as a departure', () => {
    const namedByOthers = [{ address: NEW_ADDRESS, userId: OTHER_ID, serialHex: '0f01' }];
    const presence = present({ primaryEmail: NEW_ADDRESS });
    const { steps, verdict } = plan(settled({ presence, lostAddresses: [claim], namedByOthers }));
    expect(steps).toMatchObject([{ kind: 'revoke-leaf', serialHex: '0a01', departure: true }]);
    expect(verdict).toMatchObject({ state: 'pending', nextAction: 'wait-for-address' });
  });

  test.each<[string, Partial<Facts>]>([
    ['is in a grace period', { presence: present({ primaryEmail: NEW_ADDRESS, orgUnitPath: '/Elsewhere' }) }],
    ['is suspended', { presence: present({ primaryEmail: NEW_ADDRESS, suspended: true }) }],
    ['is in no list', { presence: { kind: 'absent', userId: USER_ID } }],
  ])('costs a former holder who %s theirs at once, as a departure', (_, changes) => {
    const { steps } = plan(settled({ gmail: UNASKED, lostAddresses: [claim], ...changes }));
    expect(steps).toMatchObject([{ kind: 'revoke-leaf', serialHex: '0a01', departure: true }]);
  });

  test('keeps the new holder waiting until then, and has the former one looked at', () => {
    const namedByOthers = [{ ...claim, serialHex: '0f01' }];
    const user = userRow({ state: 'pending', since: NOW });
    const { steps, verdict } = plan(withLedger({ user }, facts({ namedByOthers })));
    expect(steps).toEqual([]);
    expect(verdict).toMatchObject({ state: 'pending', nextAction: 'wait-for-address', lookAt: [OTHER_ID] });
    expect(verdict.reason).toContain('0f01');
  });

  test('changes nothing for a new holder who has a certificate already', () => {
    expect(plan(settled({ namedByOthers: [{ ...claim, serialHex: '0f01' }] })).steps).toEqual([]);
  });
});

describe('somebody who leaves the scope', () => {
  const left = (agoMs: number, changes: Partial<Facts> = {}): Facts =>
    withLedger(
      { user: userRow({ leftScopeAt: later(-agoMs) }) },
      settled({ presence: present({ orgUnitPath: '/Elsewhere' }), ...changes }),
    );

  test('keeps everything through the grace period', () => {
    expect(plan(left(DAY_MS - 1))).toMatchObject({ steps: [], verdict: { state: 'leaving' } });
  });

  test('then has the certificate revoked and the identity deleted; the pair stays enabled', () => {
    expect(told(plan(left(DAY_MS)).steps)).toEqual([
      'revoke-leaf 0a01 affiliationChanged',
      `delete-identity ${ADDRESS}`,
    ]);
  });

  test.each([
    ['within the grace period', DAY_MS - 1],
    ['when it was over and nobody had looked', 3 * DAY_MS],
  ])('who came back %s has lost nothing', (_when, agoMs) => {
    const user = userRow({ state: 'leaving', since: later(-agoMs), leftScopeAt: later(-agoMs) });
    expect(plan(withLedger({ user }))).toMatchObject({ steps: [], verdict: { state: 'ready' } });
  });

  test('has the pairs disabled where policy says so, ours alone, and enabled again on coming back', () => {
    const rule = { onLeave: { identity: 'delete', keypair: 'disable' } } as const;
    const gmail = observed(
      [keypair('pair-1', fingerprint('0a01')), keypair('foreign', 'x')],
      [identity('pair-1')],
    );
    const { steps } = plan(left(DAY_MS, { gmail }), rule);
    expect(told(steps)).toEqual([
      'revoke-leaf 0a01 affiliationChanged',
      `delete-identity ${ADDRESS}`,
      'disable-keypair pair-1',
    ]);
    const gone = settle(left(DAY_MS, { gmail }), rule);
    const back = { ...withLedger({ user: userRow() }, gone), presence: present({}) };
    expect(told(plan(back, rule).steps)).toContain('enable-keypair pair-1');
    settle(back, rule);
  });

  test('keeps the identity where policy says so, and Gmail is not even asked', () => {
    const rule = policyRule({ onLeave: { identity: 'keep', keypair: 'keep' } });
    expect(told(plan(left(DAY_MS), rule).steps)).toEqual(['revoke-leaf 0a01 affiliationChanged']);
    expect(needsGmail(left(DAY_MS), policyOf([rule]))).toBe(false);
  });

  test('has the identity parked where Gmail refuses', () => {
    const { steps, verdict } = plan(left(DAY_MS, { gmail: OFF }));
    expect(told(steps)).toEqual(['revoke-leaf 0a01 affiliationChanged']);
    expect(verdict).toMatchObject({ state: 'leaving', nextAction: 'delete-identity' });
  });
});

describe('somebody who is suspended', () => {
  const suspended = (agoMs: number, ledger: Partial<UserLedger> = {}): Facts =>
    withLedger(
      { user: userRow({ suspendedAt: later(-agoMs) }), ...ledger },
      settled({ presence: present({ suspended: true }), gmail: UNASKED }),
    );

  test('keeps everything for thirty days', () => {
    expect(plan(suspended(30 * DAY_MS - 1))).toMatchObject({ steps: [], verdict: { state: 'leaving' } });
  });

  test('then has the certificate revoked; the identity is parked until they are restored', () => {
    const { steps, verdict } = plan(suspended(30 * DAY_MS));
    expect(told(steps)).toEqual(['revoke-leaf 0a01 privilegeWithdrawn']);
    expect(verdict).toMatchObject({
      state: 'out',
      reason: 'The account is suspended. The identity in Gmail stays.',
    });
    const restored = { ...settle(suspended(30 * DAY_MS)), presence: present({}), gmail: settled().gmail };
    expect(told(plan(restored).steps)).toEqual(anew());
  });

  test.each([
    ['within the thirty days', 29 * DAY_MS],
    ['when they were over and nobody had looked', 31 * DAY_MS],
  ])('and restored %s has lost nothing', (_when, agoMs) => {
    const user = userRow({ state: 'leaving', since: later(-agoMs), suspendedAt: later(-agoMs) });
    expect(plan(withLedger({ user }))).toMatchObject({ steps: [], verdict: { state: 'ready' } });
  });

  test('has a re-key that is asked for meanwhile wait until they are restored, and says so', () => {
    const { steps, verdict } = plan(suspended(DAY_MS, { openWishes: [wish('w')] }));
    expect(steps).toEqual([]);
    expect(verdict.reason).toContain('The re-key waits until the account is restored.');
  });

  test('has a compromised key revoked all the same', () => {
    const openWishes = [wish('w', { reason: 'keyCompromise' })];
    expect(told(plan(suspended(DAY_MS, { openWishes })).steps)).toEqual([
      'revoke-leaf 0a01 keyCompromise',
      'fulfil-wish',
    ]);
  });
});

describe('somebody who is archived', () => {
  test('leaves as from the scope, after the grace period for that', () => {
    const input = withLedger(
      { user: userRow({ leftScopeAt: later(-DAY_MS) }) },
      settled({ presence: present({ archived: true }) }),
    );
    expect(told(plan(input).steps)).toEqual([
      'revoke-leaf 0a01 affiliationChanged',
      `delete-identity ${ADDRESS}`,
    ]);
  });
});

describe('somebody who is deleted', () => {
  const deleted = settled({
    presence: { kind: 'deleted', userId: USER_ID, primaryEmail: ADDRESS },
    gmail: UNASKED,
  });

  test('has the certificate revoked at once; the wrapped key is kept', () => {
    expect(told(plan(deleted).steps)).toEqual(['revoke-leaf 0a01 cessationOfOperation']);
    expect(settle(deleted).ledger.keys).toEqual(settled().ledger.keys);
  });

  test('and undeleted gets a new one, and what Gmail still has stays ours', () => {
    const back = { ...settle(deleted), presence: present({}), gmail: settled().gmail };
    expect(told(plan(back).steps)).toEqual(anew());
    const after = settle(back);
    expect(after.gmail).toMatchObject({ keypairs: [{ enabled: true }, { enabled: true }] });
    expect(plan(after).notices?.notices).toEqual([]);
  });

  test('and undeleted within a grace period of the policy has lost nothing', () => {
    const rule = { grace: { ...policyRule().grace, deleteMs: 7 * DAY_MS } };
    const presence = { ...deleted.presence, deletedAt: later(-DAY_MS) } as DirectoryPresence;
    const { steps, verdict } = plan({ ...deleted, presence }, rule);
    expect([steps, verdict.state]).toEqual([[], 'leaving']);
    const user = userRow({ state: verdict.state, reason: verdict.reason, since: later(-DAY_MS) });
    expect(plan(withLedger({ user }), rule)).toMatchObject({ steps: [], verdict: { state: 'ready' } });
  });
});

describe('somebody in no list of the directory', () => {
  test('has lost nothing by that alone', () => {
    const input = settled({ presence: { kind: 'absent', userId: USER_ID }, gmail: UNASKED });
    expect(plan(input)).toMatchObject({ steps: [], verdict: { nextAction: 'look-for-user' } });
  });

  test('by two whole sweeps a day apart leaves as deleted', () => {
    const absence = { firstMissedAt: later(-25 * HOUR_MS), lastMissedAt: NOW };
    const input = settled({ presence: { kind: 'absent', userId: USER_ID }, gmail: UNASKED });
    const { steps } = plan(withLedger({ absence }, input));
    expect(steps).toMatchObject([{ revocationReason: 'cessationOfOperation', departure: true }]);
  });
});

describe('somebody whose key service changed', () => {
  test('gets a new one under the new service; the old one runs out', () => {
    const rule = { keyServiceUrl: 'https://kacls.other.example' };
    expect(told(plan(settled(), rule).steps)).toEqual(anew());
    expect(plan(settled(), rule).steps[0]).toMatchObject(rule);
    settle(settled(), rule);
  });
});

describe('somebody whose issuer is being retired', () => {
  const issuedBy = (state: 'retiring' | 'retired', changes: Partial<Facts> = {}): Facts =>
    settled({ issuerStates: new Map([['issuer', state]]), ...changes });

  test('keeps the certificate until it is renewed', () => {
    expect(plan(issuedBy('retiring')).steps).toEqual([]);
    const { steps } = plan(issuedBy('retiring', { now: later(340 * DAY_MS) }));
    expect(told(steps)).toEqual(anew());
    expect(steps[0]?.reason).toContain('under the new issuer; issuer is being retired');
  });

  test('gets a new one earlier by an admin’s campaign, which is a re-key', () => {
    expect(told(plan(withLedger({ openWishes: [wish('w')] }, issuedBy('retiring'))).steps)).toEqual([
      ...anew('retire-leaf 0a01 superseded'),
      'fulfil-wish',
    ]);
  });

  test('gets a new one at once when nobody publishes its revocations any more', () => {
    const { steps } = plan(issuedBy('retired'));
    expect(told(steps)).toEqual(anew());
    expect(steps[0]?.reason).toContain('is retired and publishes no revocations');
  });
});

describe('drift in Gmail', () => {
  const ours = keypair('pair-1', fingerprint('0a01'));
  const keys = (input: Facts) => plan(input).notices?.notices.map(({ key }) => key);

  test('an identity deleted by hand is made again', () => {
    expect(told(plan(settled({ gmail: observed([ours]) })).steps)).toEqual([`set-identity ${ADDRESS}`]);
  });

  test('the pair in use, disabled by hand, is enabled', () => {
    const gmail = observed([{ ...ours, enabled: false }], [identity('pair-1')]);
    expect(told(plan(settled({ gmail })).steps)).toEqual(['enable-keypair pair-1']);
  });

  test('an old pair of ours, disabled by hand, is left as it is and reported', () => {
    const old: LeafRecord = leaf('0a00', 'k0', { intendedAt: later(-20 * DAY_MS) });
    const gmail = observed(
      [keypair('pair-0', fingerprint('0a00'), { enabled: false }), ours],
      [identity('pair-1')],
    );
    const leaves = [old, ...settled().ledger.leaves];
    const input = withLedger({ leaves }, facts({ ledger: { ...settled().ledger, leaves }, gmail }));
    expect(plan(input).steps).toEqual([]);
    expect(keys(input)).toEqual(['keypair-disabled/pair-0']);
  });

  test('foreign pairs are left alone and reported', () => {
    const input = settled({ gmail: observed([ours, keypair('theirs', 'x')], [identity('pair-1')]) });
    expect(plan(input).steps).toEqual([]);
    expect(keys(input)).toEqual(['foreign-keypair/theirs']);
  });

  test('the identity on a foreign pair is pointed at ours, the pair is left alone, both are reported', () => {
    const input = settled({ gmail: observed([ours, keypair('theirs', 'x')], [identity('theirs')]) });
    const { steps } = plan(input);
    expect(told(steps)).toEqual([`set-identity ${ADDRESS}`]);
    expect(steps[0]?.reason).toContain('theirs, which Sealwright did not make');
    expect(keys(input)).toEqual(['foreign-keypair/theirs', `foreign-identity/${ADDRESS}/theirs`]);
  });

  test('an identity of another address on a foreign pair is left alone and reported', () => {
    const gmail = observed(
      [ours, keypair('theirs', 'x')],
      [identity('pair-1'), identity('theirs', 'other@acme.example')],
    );
    expect(plan(settled({ gmail })).steps).toEqual([]);
    expect(keys(settled({ gmail }))).toContain('foreign-identity/other@acme.example/theirs');
  });
});

describe('a certificate that could not be renewed', () => {
  const ends = leaf('0a01', 'k1').notAfter;
  const notices = (leftMs: number, changes: Partial<Facts> = {}) =>
    plan(settled({ now: later(-leftMs, ends), gmail: OFF, ...changes })).notices?.notices.map(
      ({ key }) => key,
    );

  test.each([
    [30 * DAY_MS + 1, []],
    [30 * DAY_MS, ['certificate-expiring/0a01/30']],
    [14 * DAY_MS + 1, ['certificate-expiring/0a01/30']],
    [14 * DAY_MS, ['certificate-expiring/0a01/14']],
    [7 * DAY_MS, ['certificate-expiring/0a01/7']],
    [DAY_MS + 1, ['certificate-expiring/0a01/7']],
    [DAY_MS, ['certificate-expiring/0a01/1']],
    [0, ['certificate-expiring/0a01/0']],
    [-100 * DAY_MS, ['certificate-expiring/0a01/0']],
  ])('%d ms before its end is warned about as %j', (leftMs, expected) => {
    expect(notices(leftMs)).toEqual(expected);
  });

  test('is looked at when the next warning falls due, though Gmail is asked daily', () => {
    const now = later(-14 * DAY_MS - HOUR_MS, ends);
    const user = userRow({ state: 'blocked', since: later(-30 * DAY_MS, now) });
    const { verdict } = plan(withLedger({ user }, settled({ now, gmail: OFF })));
    expect(verdict.nextActionAt).toEqual(later(-14 * DAY_MS, ends));
  });

  test('is not warned about before its renewal is due, where policy renews late', () => {
    const input = settled({ now: later(-20 * DAY_MS, ends), gmail: OFF });
    const rule = { renewBeforeMs: 10 * DAY_MS, renewSpreadMs: 0 };
    expect(plan(input, rule).notices?.notices).toEqual([]);
  });

  test('is not warned about once the user leaves', () => {
    const presence = present({ orgUnitPath: '/Elsewhere' });
    expect(notices(7 * DAY_MS, { presence, gmail: UNASKED })).toEqual([]);
  });

  test('is warned about while the directory does not know the user', () => {
    const presence = { kind: 'absent', userId: USER_ID } as const;
    expect(notices(7 * DAY_MS, { presence, gmail: UNASKED })).toEqual(['certificate-expiring/0a01/7']);
  });
});

describe('ten thousand certificates issued in one hour', () => {
  test('are renewed over ten days, at most eighty in any hour', () => {
    const random = seededRandom('ten thousand');
    const rule = policyRule();
    const perHour = new Map<number, number>();
    for (let index = 0; index < 10_000; index += 1) {
      const issued = later((index / 10_000) * HOUR_MS);
      const serialHex = Buffer.from(random(18)).toString('hex');
      const due = renewalTime(
        leaf(serialHex, 'k', { notBefore: issued, notAfter: later(365 * DAY_MS, issued) }),
        rule,
      );
      const hour = Math.floor((due.getTime() - NOW.getTime()) / HOUR_MS);
      perHour.set(hour, (perHour.get(hour) ?? 0) + 1);
    }
    const hours = [...perHour.keys()];
    // 10,000 over 240 hours are 42 an hour on average.
    expect(Math.max(...perHour.values())).toBeLessThan(80);
    expect(Math.max(...hours) - Math.min(...hours)).toBeGreaterThan(230);
  });
});
