import { describe, expect, it, test } from 'vitest';
import type { Facts } from '../../shared/plan/facts.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { INTENT_LIFETIME_MS } from '../../shared/plan/timing.ts';
import { carryOut } from './carry-out.ts';
import {
  DAY_MS,
  deviceKey,
  directoryUser,
  HOUR_MS,
  later,
  leaf,
  NOW,
  policy,
  settled,
  userKey,
  userRow,
  wish,
} from './facts.ts';

const plan = (facts: Facts) => planFor(facts, policy);
const withLedger = (changes: Partial<Facts['ledger']>, more: Partial<Facts> = {}): Facts => {
  const base = settled();
  return { ...base, ...more, ledger: { ...base.ledger, ...changes } };
};
const deviceLeaf = (serialHex = '0d01', changes = {}) =>
  leaf(serialHex, 'd1', { holder: 'device', intendedAt: later(-HOUR_MS), ...changes });
/** A user with everything, and a certificate on a phone. */
const withPhone = (changes: Partial<Facts['ledger']> = {}, more: Partial<Facts> = {}): Facts =>
  withLedger(
    {
      deviceKeys: [deviceKey('d1', { createdAt: later(-HOUR_MS) })],
      leaves: [...settled().ledger.leaves, deviceLeaf()],
      ...changes,
    },
    more,
  );

describe('plan, for a device’s key that an admin asked to certify,', () => {
  it('issues it for the primary address, and touches nothing else', () => {
    expect(plan(withLedger({ deviceKeys: [deviceKey('d1')] })).steps).toEqual([
      {
        kind: 'issue-device-leaf',
        chain: 'certificate',
        deviceKeyId: 'd1',
        addresses: ['ana@acme.example'],
        validityDays: 365,
        reason: 'admin@acme.example asked for a certificate for "Ana’s phone".',
      },
    ]);
  });

  it('plans nothing more once that is done', () => {
    const facts = withLedger({ deviceKeys: [deviceKey('d1')] });
    expect(plan(carryOut(facts, plan(facts).steps)).steps).toEqual([]);
  });

  it('does not wait for Gmail', () => {
    const gmail = { kind: 'unavailable', code: 'cse-not-enabled', message: 'no' } as const;
    const { steps } = plan(withLedger({ deviceKeys: [deviceKey('d1')] }, { gmail }));
    expect(steps.map(({ kind }) => kind)).toEqual(['issue-device-leaf']);
  });

  it('finishes one that stopped between intent and certificate', () => {
    const leaves = [...settled().ledger.leaves, deviceLeaf('0d01', { state: 'intended', intendedAt: NOW })];
    const { steps } = plan(withLedger({ deviceKeys: [deviceKey('d1')], leaves }));
    expect(steps.map(({ kind }) => kind)).toEqual(['issue-device-leaf']);
  });

  test.each([
    ['has one', { leaves: [...settled().ledger.leaves, deviceLeaf()] }],
    ['was taken back', { deviceKeys: [deviceKey('d1', { withdrawnAt: NOW })] }],
    ['is too old', { deviceKeys: [deviceKey('d1', { createdAt: later(-INTENT_LIFETIME_MS - 1) })] }],
  ])('does nothing for one that %s', (_what, changes) => {
    expect(plan(withLedger({ deviceKeys: [deviceKey('d1')], ...changes })).steps).toEqual([]);
  });

  it('does nothing for somebody who is outside', () => {
    const presence = { kind: 'present', user: directoryUser({ orgUnitPath: '/Other' }) } as const;
    const { steps } = plan(withLedger({ deviceKeys: [deviceKey('d1')] }, { presence }));
    expect(steps.map(({ kind }) => kind)).not.toContain('issue-device-leaf');
  });
});

describe('plan, for a user with a certificate on a device,', () => {
  it('leaves it alone and takes the time of the next renewal from the one Gmail uses', () => {
    const { steps, verdict } = plan(withPhone());
    expect(steps).toEqual([]);
    expect(verdict).toEqual(plan(settled()).verdict);
  });

  it('issues one for Gmail where the device’s is the only one', () => {
    const { steps } = plan(withPhone({ keys: [], keypairs: [], leaves: [deviceLeaf()] }));
    expect(steps.map(({ kind }) => kind)).toEqual([
      'make-key',
      'issue-leaf',
      'create-keypair',
      'set-identity',
    ]);
  });

  test.each(['superseded', 'keyCompromise'] as const)(
    're-keys Gmail’s for %s and not the device’s',
    (reason) => {
      const facts = withPhone({ openWishes: [wish('w1', { reason })] });
      const serials = plan(facts).steps.flatMap((step) => ('serialHex' in step ? [step.serialHex] : []));
      expect(serials).toContain('0a01');
      expect(serials).not.toContain('0d01');
    },
  );

  it('retires it when the primary address changes', () => {
    const user = directoryUser({ primaryEmail: 'ana.new@acme.example' });
    const { steps } = plan(withPhone({}, { presence: { kind: 'present', user } }));
    expect(steps).toContainEqual(expect.objectContaining({ kind: 'retire-leaf', serialHex: '0d01' }));
  });

  it('revokes it with all others when the user departs', () => {
    const presence = { kind: 'deleted', userId: settled().userId } as const;
    const { steps } = plan(withPhone({ user: userRow() }, { presence } as Partial<Facts>));
    const revoked = steps.flatMap((step) =>
      step.kind === 'revoke-leaf' ? [[step.serialHex, step.revocationReason]] : [],
    );
    expect(revoked).toEqual([
      ['0a01', 'cessationOfOperation'],
      ['0d01', 'cessationOfOperation'],
    ]);
  });

  it('revokes it when the request is taken back, with the reason that was decided', () => {
    const retirement = { reason: 'keyCompromise', dueAt: later(DAY_MS) } as const;
    for (const [changes, reason] of [
      [{}, 'cessationOfOperation'],
      [{ retirement }, 'keyCompromise'],
    ] as const) {
      const { steps } = plan(
        withPhone({
          deviceKeys: [deviceKey('d1', { withdrawnAt: NOW, createdAt: later(-HOUR_MS) })],
          leaves: [...settled().ledger.leaves, deviceLeaf('0d01', changes)],
        }),
      );
      expect(steps).toEqual([
        expect.objectContaining({ kind: 'revoke-leaf', serialHex: '0d01', revocationReason: reason }),
      ]);
    }
  });
});

describe('plan, for a key that was revoked for compromise under one serial,', () => {
  const revocation = { reason: 'keyCompromise', revokedAt: later(-HOUR_MS) } as const;

  it('revokes every other live leaf over it and issues over a new key', () => {
    const base = settled();
    const { steps } = plan({
      ...base,
      ledger: {
        ...base.ledger,
        keys: [userKey('k1')],
        leaves: [leaf('0a00', 'k1', { revocation }), ...base.ledger.leaves],
      },
    });
    expect(steps.map(({ kind }) => kind).slice(0, 3)).toEqual(['revoke-leaf', 'make-key', 'issue-leaf']);
    expect(steps[0]).toMatchObject({
      serialHex: '0a01',
      revocationReason: 'keyCompromise',
      departure: false,
    });
  });
});
