import { beforeAll, describe, expect, it, test } from 'vitest';
import { assertIntentMatches, type LeafFacts } from '../../shared/pki/intent.ts';
import { type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
let facts: LeafFacts;
beforeAll(async () => {
  ca = await sampleAuthority();
  facts = { ...ca.unsignedLeaf(), spkiDer: ca.userKey.spkiDer };
});

const second = (at: Date) => new Date(at.getTime() + 1000);

describe('an intent', () => {
  it('matches the bytes it was built with', () => {
    expect(() => assertIntentMatches(facts, ca.issuing.certificateDer)).not.toThrow();
  });

  test.each([
    ['serial', () => ({ serialHex: '11'.repeat(18) })],
    ['public key', () => ({ spkiDer: ca.issuingSigner.spkiDer })],
    ['notBefore', () => ({ notBefore: second(facts.notBefore) })],
    ['notAfter', () => ({ notAfter: second(facts.notAfter) })],
    ['addresses', () => ({ addresses: facts.addresses.slice(0, 1) })],
    ['addresses', () => ({ addresses: facts.addresses.toReversed() })],
  ] as const)('is refused when its row has another %s', (field, change) => {
    expect(() => assertIntentMatches({ ...facts, ...change() }, ca.issuing.certificateDer)).toThrow(
      expect.objectContaining({
        kind: 'permanent',
        code: 'intent-mismatch',
        details: expect.objectContaining({ fields: [field] }),
      }),
    );
  });

  it('is refused under another issuer', () => {
    expect(() => assertIntentMatches(facts, ca.root.certificateDer)).toThrow('(issuer)');
  });

  it('is refused when its bytes are no to-be-signed certificate', () => {
    const rubbish = { ...facts, tbsDer: Buffer.from('rubbish') };
    expect(() => assertIntentMatches(rubbish, ca.issuing.certificateDer)).toThrow(
      'the bytes are no to-be-signed certificate',
    );
  });
});
