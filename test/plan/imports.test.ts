import { describe, expect, test } from 'vitest';
import type { ImportedCertificate } from '../../shared/domain/imported-certificate.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { needsGmail, planFor } from '../../shared/plan/plan.ts';
import { carryOut } from './carry-out.ts';
import {
  DAY_MS,
  directoryUser,
  identity,
  keypair,
  later,
  observed,
  policy,
  settled,
  USER_ID,
  userKey,
} from './facts.ts';

const IMPORT = `imported-${'ab'.repeat(16)}`;
const SHA256 = 'ab'.repeat(32);
const certificate: ImportedCertificate = {
  importId: IMPORT,
  userId: USER_ID,
  key: userKey('old-key'),
  certificateSha256Hex: SHA256,
  chainDer: [Uint8Array.of(1)],
  addresses: ['ana.old@corporate.example'],
  notBefore: later(-1_500 * DAY_MS),
  notAfter: later(-700 * DAY_MS),
  state: 'open',
  requestedBy: 'admin@acme.example',
};

/** Somebody who has everything, and whose old key was imported. */
function importing(changes: Partial<Facts> = {}, imported: Partial<ImportedCertificate> = {}): Facts {
  const facts = settled(changes);
  return {
    ...facts,
    ledger: { ...facts.ledger, imported: [{ ...certificate, ...imported }] },
    leafSha256BySerial: new Map([...facts.leafSha256BySerial, [IMPORT, SHA256]]),
  };
}
const stepsOf = (facts: Facts) => planFor(facts, policy).steps;
const present = (changes: Parameters<typeof directoryUser>[0]): Partial<Facts> => ({
  presence: { kind: 'present', user: directoryUser(changes) },
});

describe('plan, for an imported key', () => {
  test('uploads it once, last of all, and is done then', () => {
    const facts = importing();
    expect(stepsOf(facts)).toMatchObject([{ kind: 'import-keypair', chain: 'gmail', importId: IMPORT }]);
    const after = carryOut(facts, stepsOf(facts));
    expect(stepsOf(after)).toEqual([]);
    expect(planFor(after, policy).notices?.notices).toEqual([]);
  });

  test('waits while Gmail is not asked, and has somebody look within the hour', () => {
    const facts = importing({
      gmail: { kind: 'unavailable', code: 'cse-not-enabled', message: 'It is off.' },
    });
    expect(stepsOf(facts)).toEqual([]);
    expect(planFor(facts, policy).verdict.nextActionAt?.getTime()).toBeLessThanOrEqual(
      later(3_600_000).getTime(),
    );
    expect(needsGmail(importing({ gmail: { kind: 'unasked' } }), policy)).toBe(true);
  });

  test.each([
    ['suspended', present({ suspended: true }), /suspended/],
    ['outside every rule', present({ orgUnitPath: '/Contractors' }), /No rule covers/],
    ['archived', present({ archived: true }), /No rule covers/],
    ['deleted', { presence: { kind: 'deleted', userId: USER_ID } }, /No rule covers/],
  ] as const)('closes it for somebody who is %s', (_, changes, why) => {
    const facts = importing(changes as Partial<Facts>);
    const [step] = stepsOf(facts).filter(({ kind }) => kind === 'import-keypair');
    expect(step).toMatchObject({ refuse: expect.stringMatching(why) });
    const after = carryOut(facts, stepsOf(facts));
    expect(stepsOf(after).filter(({ kind }) => kind === 'import-keypair')).toEqual([]);
  });

  test('decides nothing for somebody whom no list names', () => {
    expect(stepsOf(importing({ presence: { kind: 'absent', userId: USER_ID } }))).toEqual([]);
  });

  test('takes it for nobody’s current key: an identity somebody gave it is put right', () => {
    const pairs = [keypair('pair-1', 'sha-0a01'), keypair('pair-old', SHA256)];
    const facts = importing({ gmail: observed(pairs, [identity('pair-old')]) }, { state: 'uploaded' });
    expect(stepsOf(facts)).toMatchObject([
      { kind: 'set-identity', replace: true, leaves: { kind: 'dual', leaf: { serialHex: '0a01' } } },
    ]);
  });
});
