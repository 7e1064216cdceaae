import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { isSealwrightError } from '../../shared/errors.ts';
import { generateEcKey, generateRsaKey, type RsaKey } from '../../shared/pki/key.ts';
import { PartsVerification } from '../../shared/pki/parts-verification.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { signable, signableParts } from '../../shared/pki/signable.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
let other: RsaKey;
beforeAll(async () => {
  [ca, other] = await Promise.all([sampleAuthority(), generateRsaKey(2048)]);
});

const message = Buffer.from('to be signed');

const refusalOf = (pkcs8Der: Uint8Array): Error => {
  try {
    signerFromPkcs8(pkcs8Der, {
      algorithm: 'sha256WithRSA',
      certificateDer: ca.issuing.certificateDer,
    });
  } catch (error) {
    if (isSealwrightError(error) && error.code === 'ca-key-unusable') return error;
    throw error;
  }
  throw new Error('The key was accepted.');
};

describe('a signer', () => {
  test.each([
    ['sha256WithRSA', 'sha256'],
    ['sha384WithRSA', 'sha384'],
    ['sha512WithRSA', 'sha512'],
  ] as const)('for %s makes signatures that verify with %s', async (algorithm, hash) => {
    const signer = signerFromPkcs8(other.pkcs8Der, { algorithm });
    const key = createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' });
    expect(verify(hash, message, key, await signer.sign(signable(message)))).toBe(true);
  });

  it('knows its public key', () => {
    const signer = signerFromPkcs8(other.pkcs8Der, { algorithm: 'sha256WithRSA' });
    expect(Buffer.from(signer.spkiDer)).toEqual(Buffer.from(other.spkiDer));
  });

  it('is refused for a key that is not the certificate’s, naming both fingerprints', () => {
    expect(refusalOf(other.pkcs8Der).message).toMatch(
      /does not belong to the issuer's certificate: the key's SPKI SHA-256 is [0-9a-f]{64}, the certificate's [0-9a-f]{64}/,
    );
  });

  test.each([
    ['P-256', 'ecdsaWithSha256', 'sha256'],
    ['P-384', 'ecdsaWithSha384', 'sha384'],
  ] as const)('for a key on %s signs with %s, in DER, without being told', async (curve, algorithm, hash) => {
    const { pkcs8Der, spkiDer } = await generateEcKey(curve);
    const signer = signerFromPkcs8(pkcs8Der);
    expect(signer.algorithm).toBe(algorithm);
    const key = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
    const signature = await signer.sign(signable(message));
    expect(verify(hash, message, { key, dsaEncoding: 'der' }, signature)).toBe(true);
  });

  it.each(['rsa', 'ec'] as const)('(%s) signs parts as it signs their concatenation', async (kind) => {
    const { pkcs8Der } = kind === 'rsa' ? other : await generateEcKey('P-384');
    const signer = signerFromPkcs8(pkcs8Der);
    const parts = [message.subarray(0, 3), new Uint8Array(), message.subarray(3)];
    const signature = (await signer.signParts?.(signableParts(parts))) ?? new Uint8Array();
    const key = createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' });
    expect(verify(kind === 'rsa' ? 'sha256' : 'sha384', message, key, signature)).toBe(true);
  });

  test.each([
    ['sha256WithRSA', 'sha256'],
    ['sha384WithRSA', 'sha384'],
    ['sha512WithRSA', 'sha512'],
  ] as const)(
    'for %s makes of a digest byte for byte what Node makes of the bytes',
    async (algorithm, hash) => {
      const signer = signerFromPkcs8(other.pkcs8Der, { algorithm });
      const key = createPrivateKey({ key: Buffer.from(other.pkcs8Der), format: 'der', type: 'pkcs8' });
      const signature = await signer.signParts?.(signableParts([message]));
      expect(signature).toEqual(new Uint8Array(sign(hash, message, key)));
    },
  );

  it('answers no signature over parts that whoever asked does not find good', async () => {
    const signer = signerFromPkcs8(other.pkcs8Der);
    const issuersKey = createPublicKey(derToPem('CERTIFICATE', ca.issuing.certificateDer));
    const verification = new PartsVerification('sha256', issuersKey);
    const signing = signer.signParts?.(signableParts([message], verification), verification);
    await expect(signing).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });

  it('signs no digest that is not of the very parts', async () => {
    const signer = signerFromPkcs8(other.pkcs8Der);
    const key = createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' });
    const verification = new PartsVerification('sha256', key);
    verification.take(message);
    for (const parts of [
      signableParts([message]),
      signableParts([message], new PartsVerification('sha256', key)),
    ]) {
      await expect(signer.signParts?.(parts, verification)).rejects.toThrow('the digest of other bytes');
    }
  });

  test.each([
    ['P-256', 'ecdsaWithSha384'],
    ['P-384', 'ecdsaWithSha256'],
    ['P-256', 'sha256WithRSA'],
  ] as const)('for a key on %s never signs with %s', async (curve, algorithm) => {
    const { pkcs8Der } = await generateEcKey(curve);
    expect(() => signerFromPkcs8(pkcs8Der, { algorithm })).toThrow(
      expect.objectContaining({ code: 'ca-key-unusable', message: expect.stringContaining(algorithm) }),
    );
  });

  it('is refused for a key on a curve that Google does not list, naming it', () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-521',
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    expect(refusalOf(privateKey).message).toContain('of type ec secp521r1');
  });

  test.each([
    ['nothing', (_der: Uint8Array) => new Uint8Array()],
    ['a text', (_der: Uint8Array) => Buffer.from('-----BEGIN PRIVATE KEY-----')],
    ['a key that is cut short', (der: Uint8Array) => der.subarray(0, 700)],
    [
      'a key whose first byte is wrong',
      (der: Uint8Array) => Uint8Array.from(der, (byte, at) => (at === 0 ? 0 : byte)),
    ],
  ])('is refused for %s, in one sentence that says what is needed', (_what, damage) => {
    expect(refusalOf(damage(ca.issuing.pkcs8Der)).message).toContain('unencrypted PKCS#8 key in DER');
  });

  it('never repeats a byte of the key in what it says', () => {
    const damaged = ca.issuing.pkcs8Der.subarray(0, 900);
    const error = refusalOf(damaged);
    const said = `${error.message} ${error.stack ?? ''} ${JSON.stringify(error)}`;
    expect(error.cause).toBeUndefined();
    for (const encoding of ['hex', 'base64', 'latin1'] as const) {
      const key = Buffer.from(damaged).toString(encoding);
      for (let at = 40; at + 12 < key.length; at += 12) expect(said).not.toContain(key.slice(at, at + 12));
    }
  });

  test.each([
    ['bytes', async (signer: Signer) => await signer.sign(signable(message))],
    ['parts', async (signer: Signer) => await signer.signParts?.(signableParts([message]))],
  ])('gives no signature over %s from a key that was damaged in its secret half', async (_what, signWith) => {
    // Version, modulus and exponent come first in an RSA key, then the private exponent (here from byte 300) and the
    // primes (from byte 560): this key still has the certificate's public key, so only a look at the signature can tell.
    // With the primes alone damaged OpenSSL notices by itself and signs with the private exponent instead.
    const damaged = Uint8Array.from(ca.issuing.pkcs8Der);
    for (const at of [400, 600, 800, 900, 1000, 1100]) damaged[at] = (damaged[at] ?? 0) ^ 0x5a;
    const outcome = await Promise.resolve()
      .then(() =>
        signWith(
          signerFromPkcs8(damaged, {
            algorithm: 'sha256WithRSA',
            certificateDer: ca.issuing.certificateDer,
          }),
        ),
      )
      .catch((error: unknown) => error);
    expect(outcome).toMatchObject({ kind: 'permanent', code: 'ca-key-unusable' });
  });
});
