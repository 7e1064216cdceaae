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

describe('a device’s certificate', () => {
  const ends = later(355 * DAY_MS);
  const phone = deviceKey('d1', { createdAt: later(-10 * DAY_MS) });
  const ending = (leftMs: number, changes: Partial<Facts['ledger']> = {}): Facts => {
    // What Gmail uses was renewed meanwhile.
    const leaves = settled().ledger.leaves.map((one) => ({ ...one, notAfter: later(900 * DAY_MS) }));
    const base = { deviceKeys: [phone], leaves: [...leaves, deviceLeaf('0d01', { notAfter: ends })] };
    return withLedger({ ...base, ...changes }, { now: later(-leftMs, ends) });
  };
  const keys = (facts: Facts) => plan(facts).notices?.notices.map(({ key }) => key);
  const told = (days: number) => [`device-certificate-expiring/0d01/${days}`];

  test.each([
    [30 * DAY_MS + 1, []],
    [30 * DAY_MS, told(30)],
    [14 * DAY_MS, told(14)],
    [7 * DAY_MS, told(7)],
    [DAY_MS + 1, told(7)],
    [DAY_MS, told(1)],
    [0, told(0)],
    [-30 * DAY_MS, told(0)],
    [-30 * DAY_MS - 1, []],
  ])('%d ms before its end is warned about as %j, for nobody renews it', (leftMs, expected) => {
    expect(keys(ending(leftMs))).toEqual(expected);
  });

  it('is named in the warning with its device, its end and what to do', () => {
    expect(plan(ending(7 * DAY_MS)).notices?.notices).toMatchObject([
      {
        kind: 'device-certificate-expiring',
        message: `The certificate 0d01 of "Ana’s phone" ends on ${ends.toISOString()}, in 7 days or less, and only the device can have another one: ask for it with "sealwright cert issue ana@acme.example --for-device".`,
      },
    ]);
  });

  it('has its user looked at when the next warning falls due, though they are ready', () => {
    const waits = ({ verdict }: ReturnType<typeof plan>) => [
      verdict.state,
      verdict.nextAction,
      verdict.nextActionAt,
    ];
    expect(waits(plan(ending(40 * DAY_MS)))).toEqual(['ready', 'warn', later(-30 * DAY_MS, ends)]);
    expect(waits(plan(ending(30 * DAY_MS)))).toEqual(['ready', 'warn', later(-14 * DAY_MS, ends)]);
    expect(waits(plan(ending(DAY_MS)))).toEqual(['ready', 'warn', ends]);
    expect(plan(ending(0)).verdict.nextAction).toBe('renew');
  });

  test.each([
    ['revoked', { revocation: { reason: 'keyCompromise', revokedAt: NOW } }],
    ['to be revoked', { retirement: { reason: 'superseded', dueAt: later(800 * DAY_MS), decidedAt: NOW } }],
    ['as short as ten days and at its beginning', { notBefore: later(-9 * DAY_MS, ends) }],
  ])('that is %s is not warned about', (_what, changes) => {
    const leaves = [deviceLeaf('0d01', { notAfter: ends, ...changes })];
    expect(
      keys(ending(7 * DAY_MS, { leaves: [...ending(0).ledger.leaves.slice(0, -1), ...leaves] })),
    ).toEqual([]);
  });

  it('that has a successor on the same device is not warned about, and one on another device does not count', () => {
    const next = deviceLeaf('0d02', { keyId: 'd2', notAfter: later(300 * DAY_MS, ends) });
    const leaves = [...ending(0).ledger.leaves, next];
    const keyOf = (device: string) => ({
      deviceKeys: [phone, deviceKey('d2', { createdAt: NOW, device })],
      leaves,
    });
    expect(keys(ending(7 * DAY_MS, keyOf(phone.device)))).toEqual([]);
    expect(keys(ending(7 * DAY_MS, keyOf('Ana’s tablet')))).toEqual(told(7));
  });

  it('is not warned about once the user leaves', () => {
    const presence = { kind: 'present', user: directoryUser({ orgUnitPath: '/Other' }) } as const;
    expect(keys({ ...ending(7 * DAY_MS), presence })).toEqual([]);
  });
});

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
