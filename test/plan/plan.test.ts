import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Step } from '../../shared/domain/step.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { renewalTime } from '../../shared/plan/timing.ts';
import { carryOut } from './carry-out.ts';
import {
  ADDRESS,
  DAY_MS,
  directoryUser,
  facts,
  fingerprint,
  HOUR_MS,
  identity,
  keypair,
  later,
  leaf,
  NOW,
  observed,
  policy,
  settled,
  USER_ID,
  userKey,
  userRow,
  wish,
} from './facts.ts';

const kinds = (steps: readonly Step[]) => steps.map((step) => step.kind);
const plan = (input: Facts) => planFor(input, policy);

describe('a plan', () => {
  test('for somebody who joins makes a key, issues, uploads and sets the identity', () => {
    const { steps, verdict } = plan(facts());
    expect(steps).toEqual([
      expect.objectContaining({
        kind: 'make-key',
        chain: 'certificate',
        modulusBits: 3072,
        keyServiceUrl: 'https://kacls.acme.example',
      }),
      expect.objectContaining({
        kind: 'issue-leaf',
        chain: 'certificate',
        key: { made: 'dual-use' },
        addresses: [ADDRESS],
        validityDays: 365,
      }),
      expect.objectContaining({ kind: 'create-keypair', chain: 'gmail', leaf: { made: 'dual-use' } }),
      expect.objectContaining({
        kind: 'set-identity',
        chain: 'gmail',
        address: ADDRESS,
        leaves: { kind: 'dual', leaf: { made: 'dual-use' } },
        replace: false,
      }),
    ]);
    expect(verdict.state).toBe('pending');
    expect(steps.every((step) => step.reason.length > 10)).toBe(true);
  });

  test('for somebody who has everything does nothing and says when it looks again', () => {
    const { steps, verdict } = plan(settled());
    expect(steps).toEqual([]);
    expect(verdict).toMatchObject({ state: 'ready', nextAction: 'renew' });
  });

  test('for somebody no rule ever covered does nothing', () => {
    const stranger = facts({
      presence: { kind: 'present', user: directoryUser({ orgUnitPath: '/Contractors' }) },
      ledger: {
        user: undefined,
        keys: [],
        deviceKeys: [],
        leaves: [],
        keypairs: [],
        openWishes: [],
        notices: [],
      },
      gmail: { kind: 'unasked' },
    });
    expect(plan(stranger)).toMatchObject({ steps: [], verdict: { state: 'out' } });
  });

  test.each([
    ['/Staff', true],
    ['/staff', true],
    ['/Staff/Legal', true],
    ['/StaffX', false],
    ['/', false],
  ])('treats a user in %s as covered: %s', (orgUnitPath, covered) => {
    const { steps } = plan(facts({ presence: { kind: 'present', user: directoryUser({ orgUnitPath }) } }));
    expect(kinds(steps).includes('issue-leaf')).toBe(covered);
  });
});

describe('a plan after a crash', () => {
  test('between wrapping and issuing uses the wrapped key', () => {
    const input = facts({
      ledger: {
        user: userRow(),
        keys: [userKey('k1', { createdAt: later(-HOUR_MS) })],
        deviceKeys: [],
        leaves: [],
        keypairs: [],
        openWishes: [],
        notices: [],
      },
    });
    expect(kinds(plan(input).steps)).toEqual(['issue-leaf', 'create-keypair', 'set-identity']);
    expect(plan(input).steps[0]).toMatchObject({ key: { keyId: 'k1' } });
  });

  const halfIssued = (intendedAgoMs: number) =>
    facts({
      ledger: {
        user: userRow(),
        keys: [userKey('k1')],
        deviceKeys: [],
        leaves: [leaf('0a01', 'k1', { state: 'intended', intendedAt: later(-intendedAgoMs) })],
        keypairs: [],
        openWishes: [],
        notices: [],
      },
    });

  test('between intent and certificate finishes the intent', () => {
    expect(plan(halfIssued(HOUR_MS)).steps[0]).toMatchObject({ kind: 'sign-leaf', serialHex: '0a01' });
  });

  test('more than a day after an intent revokes its serial and issues anew with a new key', () => {
    const { steps } = plan(halfIssued(DAY_MS + 1));
    expect(kinds(steps)).toEqual(['make-key', 'issue-leaf', 'revoke-leaf', 'create-keypair', 'set-identity']);
    expect(steps[2]).toMatchObject({ serialHex: '0a01', departure: false });
  });

  test('between upload and record adopts what Gmail has', () => {
    const input = settled({
      ledger: { ...settled().ledger, keypairs: [{ serialHex: '0a01', userId: USER_ID, state: 'intended' }] },
    });
    expect(kinds(plan(input).steps)).toEqual(['create-keypair']);
  });
});

describe('a plan that finds a key without a certificate', () => {
  const stray = (ageMs: number, leaves = settled().ledger.leaves) =>
    facts({
      ledger: {
        user: userRow(),
        keys: [userKey('stray', { createdAt: later(-ageMs) })],
        deviceKeys: [],
        leaves: leaves.map((entry) => ({
          ...entry,
          revocation: { reason: 'keyCompromise' as const, revokedAt: NOW },
        })),
        keypairs: [],
        openWishes: [],
        notices: [],
      },
    });

  test('uses it while it is fresh', () => {
    expect(plan(stray(HOUR_MS, [])).steps[0]).toMatchObject({ kind: 'issue-leaf', key: { keyId: 'stray' } });
  });

  test('makes a new one when it is more than a day old', () => {
    expect(plan(stray(DAY_MS + 1, [])).steps[0]).toMatchObject({ kind: 'make-key' });
  });

  test('makes a new one when a certificate was issued since it was made', () => {
    const since = [leaf('0a01', 'k1', { intendedAt: later(-HOUR_MS) })];
    expect(plan(stray(2 * HOUR_MS, since)).steps[0]).toMatchObject({ kind: 'make-key' });
  });
});

describe('a plan for a certificate that its issuer made short', () => {
  test.each([20, 5, 1])('of %d days does not renew it at birth', (days) => {
    const input = settled();
    const short = leaf('0a01', 'k1', { notBefore: NOW, notAfter: later(days * DAY_MS), intendedAt: NOW });
    expect(plan({ ...input, ledger: { ...input.ledger, leaves: [short] } }).steps).toEqual([]);
  });
});

describe('a plan for a renewal', () => {
  const at = (now: Date) => plan(settled({ now }));
  const due = renewalTime(leaf('0a01', 'k1'), policy.rules[0] ?? raise());

  test('does nothing in the last millisecond before it is due', () => {
    expect(at(new Date(due.getTime() - 1)).steps).toEqual([]);
  });

  test('issues with a new key when it is due, and lets the old certificate run out', () => {
    expect(kinds(at(due).steps)).toEqual(['make-key', 'issue-leaf', 'create-keypair', 'set-identity']);
  });

  test('is due between 30 and 40 days before the end, spread by serial', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (tail) => {
        const serialHex = `0a${tail.toString(16).padStart(8, '0')}`;
        const days =
          (leaf(serialHex, 'k1').notAfter.getTime() -
            renewalTime(leaf(serialHex, 'k1'), policy.rules[0] ?? raise()).getTime()) /
          DAY_MS;
        return days >= 30 && days < 40;
      }),
    );
  });
});

describe('a plan for a re-key', () => {
  test('because superseded issues first and revokes the old after the overlap', () => {
    const input = settled();
    const { steps } = plan({ ...input, ledger: { ...input.ledger, openWishes: [wish('w1')] } });
    expect(kinds(steps)).toEqual([
      'make-key',
      'issue-leaf',
      'retire-leaf',
      'create-keypair',
      'set-identity',
      'fulfil-wish',
    ]);
    expect(steps[0]).toMatchObject({ wishId: 'w1' });
    expect(steps[2]).toMatchObject({
      serialHex: '0a01',
      revocationReason: 'superseded',
      dueAt: later(3 * DAY_MS),
    });
  });

  test('because of a compromise revokes at once, before anything new is issued', () => {
    const input = settled();
    const invalidityDate = later(-DAY_MS);
    const { steps } = plan({
      ...input,
      ledger: { ...input.ledger, openWishes: [wish('w1', { reason: 'keyCompromise', invalidityDate })] },
    });
    expect(kinds(steps)).toEqual([
      'revoke-leaf',
      'make-key',
      'issue-leaf',
      'create-keypair',
      'set-identity',
      'fulfil-wish',
    ]);
    expect(steps[0]).toMatchObject({
      serialHex: '0a01',
      revocationReason: 'keyCompromise',
      invalidityDate,
      departure: false,
    });
  });

  test('because of a compromise also revokes what a look under way certified after the report', () => {
    const input = settled();
    const late = leaf('0a02', 'k1', { intendedAt: later(HOUR_MS) });
    const { steps } = plan({
      ...input,
      now: later(2 * HOUR_MS),
      ledger: {
        ...input.ledger,
        leaves: [...input.ledger.leaves, late],
        openWishes: [wish('w1', { reason: 'keyCompromise' })],
      },
    });
    expect(steps.filter((step) => step.kind === 'revoke-leaf').map((step) => step.serialHex)).toEqual([
      '0a01',
      '0a02',
    ]);
  });

  test('because of a compromise revokes even while Gmail refuses', () => {
    const input = settled({ gmail: { kind: 'unavailable', code: 'cse-not-enabled', message: 'off' } });
    const { steps } = plan({
      ...input,
      ledger: { ...input.ledger, openWishes: [wish('w1', { reason: 'keyCompromise' })] },
    });
    expect(kinds(steps)).toEqual(['revoke-leaf']);
  });

  test('answers two wishes with one key', () => {
    const input = settled();
    const openWishes = [wish('w1', { requestedAt: later(-HOUR_MS) }), wish('w2')];
    const { steps } = plan({ ...input, ledger: { ...input.ledger, openWishes } });
    expect(kinds(steps).filter((kind) => kind === 'make-key')).toHaveLength(1);
    expect(kinds(steps).filter((kind) => kind === 'fulfil-wish')).toHaveLength(2);
  });

  test.each([
    ['a millisecond before the overlap ends', 1, []],
    ['when the overlap ends', 0, ['revoke-leaf']],
  ])('%s', (_, leftMs, expected) => {
    const input = settled();
    const replaced = leaf('0a00', 'k0', { retirement: { reason: 'superseded', dueAt: later(leftMs) } });
    const { steps } = plan({
      ...input,
      ledger: { ...input.ledger, leaves: [...input.ledger.leaves, replaced] },
    });
    expect(kinds(steps)).toEqual(expected);
  });
});

describe('a plan for somebody who leaves the scope', () => {
  const moved = (leftAgoMs: number) =>
    settled({
      presence: { kind: 'present', user: directoryUser({ orgUnitPath: '/Contractors' }) },
      ledger: { ...settled().ledger, user: userRow({ leftScopeAt: later(-leftAgoMs) }) },
    });

  test('waits out the grace period and says until when', () => {
    expect(plan(moved(DAY_MS - 1))).toMatchObject({
      steps: [],
      verdict: { state: 'leaving', nextAction: 'revoke', nextActionAt: later(1) },
    });
  });

  test('then revokes with affiliationChanged and deletes the identity, and keeps the key pair', () => {
    const { steps, verdict } = plan(moved(DAY_MS));
    expect(steps).toMatchObject([
      { kind: 'revoke-leaf', revocationReason: 'affiliationChanged', departure: true },
      { kind: 'delete-identity', address: ADDRESS, departure: true },
    ]);
    expect(verdict.state).toBe('out');
  });

  test('does nothing for somebody who came back within the grace period', () => {
    expect(plan(settled()).steps).toEqual([]);
  });

  test('parks the identity where Gmail refuses, and still revokes', () => {
    const { steps, verdict } = plan({
      ...moved(DAY_MS),
      gmail: { kind: 'unavailable', code: 'cse-not-enabled', message: 'off' },
    });
    expect(kinds(steps)).toEqual(['revoke-leaf']);
    expect(verdict).toMatchObject({ state: 'leaving', nextAction: 'delete-identity' });
  });

  test('leaves an identity alone that uses a pair we did not make', () => {
    const { steps } = plan({
      ...moved(DAY_MS),
      gmail: observed([keypair('foreign', 'other')], [identity('foreign')]),
    });
    expect(kinds(steps)).toEqual(['revoke-leaf']);
  });

  test.each([
    ['in', HOUR_MS],
    ['after', DAY_MS],
  ])('closes the report of a compromise %s the grace period, after the revocation', (_when, passed) => {
    const input = moved(passed);
    const openWishes = [wish('w1', { reason: 'keyCompromise' })];
    const { steps } = plan({ ...input, ledger: { ...input.ledger, openWishes } });
    const certificate = steps.filter(({ chain }) => chain === 'certificate');
    expect(certificate).toMatchObject([
      { kind: 'revoke-leaf', revocationReason: 'keyCompromise', departure: false },
      { kind: 'fulfil-wish', wishId: 'w1', detail: expect.stringContaining('no rule covers') },
    ]);
  });

  test('leaves such a report open that asks for key pairs to be disabled, until they have left', () => {
    const openWishes = [wish('w1', { reason: 'keyCompromise', disableKeypairs: true })];
    const stepsAfter = (passed: number) => {
      const input = moved(passed);
      return kinds(plan({ ...input, ledger: { ...input.ledger, openWishes } }).steps);
    };
    expect(stepsAfter(HOUR_MS)).toEqual(['revoke-leaf']);
    expect(stepsAfter(DAY_MS)).toContain('fail-wish');
  });

  test('fails an open re-key wish with the reason', () => {
    const input = moved(DAY_MS);
    const { steps } = plan({ ...input, ledger: { ...input.ledger, openWishes: [wish('w1')] } });
    expect(steps).toContainEqual(expect.objectContaining({ kind: 'fail-wish', wishId: 'w1' }));
  });
});

describe('a plan for other departures', () => {
  test('of a deleted account revokes with cessationOfOperation at once', () => {
    const input = settled({
      presence: { kind: 'deleted', userId: USER_ID, primaryEmail: ADDRESS },
      gmail: { kind: 'unasked' },
    });
    expect(plan(input)).toMatchObject({
      steps: [{ kind: 'revoke-leaf', revocationReason: 'cessationOfOperation', departure: true }],
      verdict: { state: 'out' },
    });
  });

  const absent = settled({ presence: { kind: 'absent', userId: USER_ID }, gmail: { kind: 'unasked' } });

  test('of an account in no list departs nobody, and says when it is looked for again', () => {
    expect(plan(absent)).toMatchObject({
      steps: [],
      verdict: { state: 'ready', nextActionAt: later(6 * HOUR_MS) },
    });
  });

  test('of an account in no list goes on with what was decided before', () => {
    const due = leaf('0a00', 'k0', { retirement: { reason: 'superseded', dueAt: NOW } });
    const openWishes = [wish('w1', { reason: 'keyCompromise' })];
    const leaves = [...absent.ledger.leaves, due];
    const { steps } = plan({ ...absent, ledger: { ...absent.ledger, leaves, openWishes } });
    expect(steps.map((step) => (step.kind === 'revoke-leaf' ? step.serialHex : step.kind))).toEqual([
      '0a01',
      '0a00',
    ]);
  });

  test.each([
    [30 * DAY_MS - 1, []],
    [30 * DAY_MS, ['revoke-leaf']],
  ])('of a suspended account %d ms after the suspension plans %j', (agoMs, expected) => {
    const input = settled({
      presence: { kind: 'present', user: directoryUser({ suspended: true }) },
      ledger: { ...settled().ledger, user: userRow({ suspendedAt: later(-agoMs) }) },
    });
    expect(kinds(plan(input).steps)).toEqual(expected);
  });

  test('of an archived account counts as leaving', () => {
    const input = settled({
      presence: { kind: 'present', user: directoryUser({ archived: true }) },
      ledger: { ...settled().ledger, user: userRow({ leftScopeAt: later(-DAY_MS) }) },
    });
    expect(kinds(plan(input).steps)).toEqual(['revoke-leaf', 'delete-identity']);
  });
});

describe('a plan after a rename', () => {
  test('issues for the new address, creates its identity, deletes the old one and retires the old certificate', () => {
    const input = settled({
      presence: {
        kind: 'present',
        user: directoryUser({ primaryEmail: 'anna@acme.example', aliases: [ADDRESS] }),
      },
    });
    const { steps } = plan(input);
    expect(kinds(steps)).toEqual([
      'make-key',
      'issue-leaf',
      'retire-leaf',
      'create-keypair',
      'set-identity',
      'delete-identity',
    ]);
    expect(steps[5]).toMatchObject({ address: ADDRESS, departure: false });
  });
});

describe('a plan against drift in Gmail', () => {
  test.each([
    ['the identity was deleted', observed([keypair('pair-1', fingerprint('0a01'))]), ['set-identity']],
    [
      'the pair was disabled',
      observed([keypair('pair-1', fingerprint('0a01'), { enabled: false })], [identity('pair-1')]),
      ['enable-keypair'],
    ],
    [
      'the identity uses a foreign pair',
      observed([keypair('pair-1', fingerprint('0a01')), keypair('f', 'x')], [identity('f')]),
      ['set-identity'],
    ],
    ['the pair is gone', observed(), ['create-keypair', 'set-identity']],
    [
      'a foreign pair appeared',
      observed([keypair('pair-1', fingerprint('0a01')), keypair('f', 'x')], [identity('pair-1')]),
      [],
    ],
  ])('when %s', (_, gmail, expected) => {
    expect(kinds(plan(settled({ gmail })).steps)).toEqual(expected);
  });
});

describe('a plan while Gmail cannot answer', () => {
  const waiting = (sinceAgoMs: number, state: 'pending' | 'blocked' = 'pending') =>
    plan(
      facts({
        gmail: { kind: 'unavailable', code: 'mailbox-not-ready', message: 'Mail service not enabled' },
        ledger: {
          user: userRow({ state, since: later(-sinceAgoMs), failures: 3 }),
          keys: [],
          deviceKeys: [],
          leaves: [],
          keypairs: [],
          openWishes: [],
          notices: [],
        },
      }),
    );

  test('issues nothing and stays pending for a day', () => {
    expect(waiting(DAY_MS - 1)).toMatchObject({
      steps: [],
      verdict: { state: 'pending', nextAction: 'ask-gmail-again' },
    });
  });

  test('is blocked after a day, with the reason, and still looks again', () => {
    expect(waiting(DAY_MS)).toMatchObject({
      verdict: {
        state: 'blocked',
        reason: 'Waits for Gmail: Mail service not enabled',
        nextActionAt: later(DAY_MS),
      },
    });
  });

  test('stays blocked once blocked', () => {
    expect(waiting(HOUR_MS, 'blocked').verdict.state).toBe('blocked');
  });

  test('revokes nothing from somebody who was ready', () => {
    const input = settled({ gmail: { kind: 'unavailable', code: 'cse-not-enabled', message: 'off' } });
    expect(plan(input).steps).toEqual([]);
  });
});

describe('planning', () => {
  const presences = fc.constantFrom(
    { kind: 'present' as const, user: directoryUser() },
    { kind: 'present' as const, user: directoryUser({ orgUnitPath: '/Contractors' }) },
    {
      kind: 'present' as const,
      user: directoryUser({ primaryEmail: 'anna@acme.example', aliases: [ADDRESS] }),
    },
    { kind: 'present' as const, user: directoryUser({ suspended: true }) },
    { kind: 'present' as const, user: directoryUser({ archived: true }) },
    { kind: 'deleted' as const, userId: USER_ID, primaryEmail: ADDRESS },
  );
  const wishes = fc.constantFrom(
    [],
    [wish('w1')],
    [wish('w1', { reason: 'keyCompromise' })],
    [wish('w1'), wish('w2', { reason: 'keyCompromise' })],
  );
  const situations = fc
    .record({
      presence: presences,
      openWishes: wishes,
      start: fc.constantFrom('nothing', 'settled'),
      ageDays: fc.integer({ min: 0, max: 400 }),
      leftDays: fc.integer({ min: 0, max: 3 }),
      suspendedDays: fc.integer({ min: 0, max: 40 }),
      drift: fc.constantFrom('none', 'no-identity', 'disabled', 'empty'),
    })
    .map(({ presence, openWishes, start, ageDays, leftDays, suspendedDays, drift }): Facts => {
      const base = start === 'nothing' ? facts() : settled();
      const now = later(ageDays * DAY_MS);
      const user = userRow({
        leftScopeAt: later(-leftDays * DAY_MS, now),
        suspendedAt: later(-suspendedDays * DAY_MS, now),
      });
      const gmail =
        base.gmail.kind !== 'observed'
          ? base.gmail
          : {
              none: base.gmail,
              'no-identity': { ...base.gmail, identities: [] },
              disabled: {
                ...base.gmail,
                keypairs: base.gmail.keypairs.map((pair) => ({ ...pair, enabled: false })),
              },
              empty: observed(),
            }[drift];
      return { ...base, now, presence, gmail, ledger: { ...base.ledger, user, openWishes } };
    });

  test('again after applying gives no steps, in at most three rounds (a due revocation follows its retirement)', () => {
    fc.assert(
      fc.property(situations, (start) => {
        let current = start;
        for (let round = 0; round < 3; round += 1) current = carryOut(current, plan(current).steps);
        expect(plan(current).steps).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('the same facts twice gives the same plan', () => {
    fc.assert(
      fc.property(situations, (input) => {
        expect(plan(input)).toEqual(plan(input));
      }),
    );
  });

  test('again after a stop behind any step ends where an undisturbed run ends', () => {
    const shape = (input: Facts) => ({
      live: input.ledger.leaves.filter(
        (entry) =>
          entry.revocation === undefined && entry.retirement === undefined && entry.notAfter > input.now,
      ).length,
      identities:
        input.gmail.kind === 'observed'
          ? input.gmail.identities.map((entry) => entry.address).toSorted()
          : [],
      wishes: input.ledger.openWishes.length,
      verdict: plan(input).verdict.state,
    });
    const settle = (input: Facts) => {
      let current = input;
      for (let round = 0; round < 4; round += 1) current = carryOut(current, plan(current).steps);
      return current;
    };
    fc.assert(
      fc.property(situations, fc.nat(10), (start, stopAfter) => {
        const stopped = carryOut(start, plan(start).steps.slice(0, stopAfter));
        expect(shape(settle(stopped))).toEqual(shape(settle(start)));
      }),
      { numRuns: 2_000 },
    );
  });

  test('never revokes a leaf that is revoked already', () => {
    fc.assert(
      fc.property(situations, (start) => {
        const revokedSerials = new Set(
          start.ledger.leaves
            .filter((entry) => entry.revocation !== undefined)
            .map((entry) => entry.serialHex),
        );
        return plan(start).steps.every(
          (step) => step.kind !== 'revoke-leaf' || !revokedSerials.has(step.serialHex),
        );
      }),
    );
  });
});

function raise(): never {
  throw new Error('the sample policy has no rule');
}
