import { generatePrimeSync } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { readRsaPublicKey } from '../../shared/pki/certificate.ts';
import { bitString, integer, nullValue, oid, sequence } from '../../shared/pki/der.ts';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { weakKey } from '../../shared/pki/weak-key.ts';
import { rocaModulus, withoutSmallFactors } from './weak-moduli.ts';

const spki = (modulus: bigint, exponent = 65_537n) =>
  sequence(
    sequence(oid('1.2.840.113549.1.1.1'), nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  );

const prime = (bits: number) => generatePrimeSync(bits, { bigint: true });

let keys: readonly KeyPair[];
beforeAll(async () => {
  keys = await Promise.all([2048, 2048, 3072].map((bits) => generateRsaKey(bits)));
});

describe('a key', () => {
  it('that OpenSSL makes has no weakness, alone and beside others', () => {
    for (const { spkiDer } of keys) {
      expect(
        weakKey(
          spkiDer,
          keys.map((key) => key.spkiDer),
        ),
      ).toBeUndefined();
    }
  });

  it('on a curve has none of these weaknesses', async () => {
    expect(weakKey((await generateEcKey('P-256')).spkiDer)).toBeUndefined();
  });

  const good = () => readRsaPublicKey(keys[0]?.spkiDer ?? new Uint8Array()).modulus;

  test.each([
    ['small-modulus', '1024 bits', () => spki(prime(512) * prime(512))],
    ['small-modulus', '20,000 bits', () => spki((1n << 19_999n) + 1n)],
    ['small-modulus', 'a negative modulus', () => spki(0n)],
    ['even-modulus', 'an even modulus', () => spki(good() - 1n)],
    ['bad-exponent', 'exponent 3', () => spki(good(), 3n)],
    ['bad-exponent', 'exponent 1', () => spki(good(), 1n)],
    ['bad-exponent', 'an even exponent', () => spki(good(), 65_538n)],
    ['bad-exponent', 'an exponent of 300 bits', () => spki(good(), (1n << 300n) + 1n)],
    ['small-factor', 'a factor of 751', () => spki(withoutSmallFactors(1n << 2048n) * 751n)],
    ['roca', 'the fingerprint of the Infineon library', () => spki(rocaModulus())],
    [
      'close-primes',
      'two primes next to each other',
      () => {
        const first = prime(1024);
        let second = first + 2n;
        while (withoutSmallFactors(second) !== second) second += 2n;
        return spki(first * second);
      },
    ],
  ] as const)('is weak (%s) with %s', (id, _what, der) => {
    const found = weakKey(der());
    expect(found?.id).toBe(id);
    expect(found?.sentence).toMatch(/^[A-Z].*\.$/);
  });

  it('that shares its modulus with another key under another exponent is weak', () => {
    expect(weakKey(spki(good(), 65_539n), [spki(good())])?.id).toBe('shared-modulus');
  });

  it('that shares a prime with another key is weak', () => {
    const shared = prime(1024);
    const [one, other] = [spki(shared * prime(1024)), spki(shared * prime(1024))];
    expect(weakKey(one)).toBeUndefined();
    expect(weakKey(one, [keys[0]?.spkiDer ?? other, other])?.id).toBe('shared-prime');
  });

  it('has no weakness for being known already', () => {
    const { spkiDer } = keys[0] ?? { spkiDer: new Uint8Array() };
    expect(weakKey(spkiDer, [spkiDer])).toBeUndefined();
  });
});
