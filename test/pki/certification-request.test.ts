import { generatePrimeSync } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import {
  assertCertifiable,
  buildCertificationRequest,
  LARGEST_REQUEST_BYTES,
  readCertificationRequest,
} from '../../shared/pki/certification-request.ts';
import { bitString, integer, nullValue, oid, sequence } from '../../shared/pki/der.ts';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { derToPem, pemToDer } from '../../shared/pki/pem.ts';
import { readRsaPublicKey } from '../../shared/pki/public-key.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { sharedAmong } from '../../shared/pki/weak-key.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { rocaModulus } from './weak-moduli.ts';

const KINDS = ['RSA', 'P-256', 'P-384'] as const;
let keys: Readonly<Record<(typeof KINDS)[number], KeyPair>>;
let requests: Readonly<Record<(typeof KINDS)[number], Uint8Array>>;
beforeAll(async () => {
  const [rsa, p256, p384] = await Promise.all([
    generateRsaKey(2048),
    generateEcKey('P-256'),
    generateEcKey('P-384'),
  ]);
  keys = { RSA: rsa, 'P-256': p256, 'P-384': p384 };
  const made = await Promise.all(
    KINDS.map((kind) => buildCertificationRequest('ana@acme.example', signerFromPkcs8(keys[kind].pkcs8Der))),
  );
  requests = Object.fromEntries(KINDS.map((kind, index) => [kind, made[index]])) as typeof requests;
});

const refusal = (text: string) =>
  expect.objectContaining({
    kind: 'invalid-input',
    code: 'malformed-request',
    message: expect.stringContaining(text),
  });
const weak = (id: string) =>
  expect.objectContaining({
    kind: 'permanent',
    code: 'key-weak',
    details: expect.objectContaining({ weakness: id }),
  });

const spki = (modulus: bigint, exponent = 65_537n) =>
  sequence(
    sequence(oid('1.2.840.113549.1.1.1'), nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  );

describe('a certification request', () => {
  test.each(KINDS)('(%s) gives the key whose private half signed it', (kind) => {
    const { spkiDer } = readCertificationRequest(requests[kind]);
    expect(Buffer.from(spkiDer)).toEqual(Buffer.from(keys[kind].spkiDer));
  });

  test.skipIf(!opensslInstalled).each(KINDS)('(%s) is one that OpenSSL verifies', (kind) => {
    const { status, text } = openssl(['req', '-verify', '-noout', '-subject', '-in', 'a.csr'], {
      'a.csr': derToPem('CERTIFICATE REQUEST', requests[kind]),
    });
    expect([status, text]).toEqual([0, expect.stringMatching(/ana@acme\.example[\s\S]*verify OK/)]);
  });

  it.skipIf(!opensslInstalled)('that OpenSSL made is read, extensions and all', () => {
    const { output } = openssl(
      [
        'req',
        '-new',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        '/dev/null',
        '-subj',
        '/CN=anything',
        '-addext',
        'subjectAltName=DNS:x.example',
      ],
      {},
    );
    expect(
      readCertificationRequest(pemToDer(output.toString(), 'CERTIFICATE REQUEST')).spkiSha256Hex,
    ).toMatch(/^[0-9a-f]{64}$/);
  });

  it('whose key was exchanged for another proves nothing and is refused', () => {
    const forged = Buffer.from(requests.RSA);
    const at = forged.indexOf(Buffer.from(keys.RSA.spkiDer));
    // One bit of the modulus: still a plausible key, and not the one that signed.
    forged[at + 200] = (forged[at + 200] ?? 0) ^ 1;
    expect(() => readCertificationRequest(forged)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/malformed-request|key-weak/) }),
    );
    const other = Buffer.from(requests['P-256']);
    other[other.length - 1] = (other[other.length - 1] ?? 0) ^ 1;
    expect(() => readCertificationRequest(other)).toThrow(refusal('nothing proves'));
  });

  test.each([
    ['nothing', () => new Uint8Array(), 'cannot be used'],
    ['a private key', () => keys.RSA.pkcs8Der, 'cannot be used'],
    ['half a request', () => requests.RSA.subarray(0, 200), 'cannot be used'],
    ['far too much', () => new Uint8Array(LARGEST_REQUEST_BYTES + 1), 'which no request has'],
  ] as const)('that is %s is refused in a sentence', (_what, bytes, text) => {
    expect(() => readCertificationRequest(bytes())).toThrow(refusal(text));
  });
});

describe('a key that is to be certified', () => {
  it('is encoded in the one way, so that no other encoding of a blocked key gets by', () => {
    const modulus = readRsaPublicKey(keys.RSA.spkiDer).modulus;
    const otherwise = sequence(
      sequence(oid('1.2.840.113549.1.1.1')),
      bitString(sequence(integer(modulus), integer(65_537n))),
    );
    expect(() => assertCertifiable(otherwise)).toThrow(refusal('rsaEncryption and NULL'));
    expect(() => assertCertifiable(spki(modulus))).not.toThrow();
  });

  test.each([
    [
      'RSA with 1024 bits',
      () => spki(generatePrimeSync(512, { bigint: true }) * generatePrimeSync(512, { bigint: true })),
      weak('small-modulus'),
    ],
    ['with exponent 3', () => spki((1n << 2047n) + 9n, 3n), weak('bad-exponent')],
    ['of a ROCA chip', () => spki(rocaModulus()), weak('roca')],
    [
      'on another curve',
      () => Buffer.from(`302a300506032b6570032100${'11'.repeat(32)}`, 'hex'),
      refusal('a key of algorithm'),
    ],
  ] as const)('%s is refused', (_what, spkiDer, error) => {
    expect(() => assertCertifiable(spkiDer())).toThrow(error);
  });

  it('with a size or an exponent that no profile has is refused too', () => {
    const prime = () => generatePrimeSync(1280, { bigint: true });
    expect(() => assertCertifiable(spki(prime() * prime()))).toThrow(refusal('2560 bits'));
  });
});

describe('a key among very many', () => {
  const prime = () => generatePrimeSync(1024, { bigint: true });
  const [p, q, r] = [prime(), prime(), prime()];
  const pages = async function* (...lists: readonly (readonly Uint8Array[])[]) {
    yield* lists;
  };

  test.each([
    ['nothing with any of them', [[spki(r * prime())], [spki(prime() * prime())]], undefined],
    ['nothing with itself', [[spki(p * q)]], undefined],
    ['its modulus', [[spki(r * r)], [spki(p * q, 3n)]], 'shared-modulus'],
    ['one prime', [[spki(r * prime())], [], [spki(q * r)]], 'shared-prime'],
    ['each prime with another', [[spki(q * r), spki(p * r)]], 'shared-prime'],
  ] as const)('is found to share %s', async (_what, others, id) => {
    expect((await sharedAmong(spki(p * q), pages(...others)))?.id).toBe(id);
  });

  it('on a curve shares nothing', async () => {
    expect(await sharedAmong(keys['P-256'].spkiDer, pages([spki(p * q)]))).toBeUndefined();
  });
});
