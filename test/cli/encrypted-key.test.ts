import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { encryptPrivateKey } from '../../cli/ca/encrypted-key.ts';
import { generateRsaKey, type RsaKey } from '../../shared/pki/key.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';

const PASSPHRASE = 'mauve tractor opens seven häfen quietly';
let key: RsaKey;
let pem: string;

beforeAll(async () => {
  key = await generateRsaKey(2048);
  pem = encryptPrivateKey(key.pkcs8Der, PASSPHRASE, randomBytes);
});

const publicKeyOf = (passphrase: string): Buffer =>
  createPublicKey(createPrivateKey({ key: pem, passphrase })).export({ format: 'der', type: 'spki' });

describe('an encrypted root key', () => {
  it('opens in Node under its passphrase, to the same key', () => {
    expect(publicKeyOf(PASSPHRASE).equals(Buffer.from(key.spkiDer))).toBe(true);
  });

  it('does not open under another one', () => {
    expect(() => publicKeyOf(`${PASSPHRASE}!`)).toThrow();
  });

  it('differs each time, by salt and IV', async () => {
    expect(encryptPrivateKey(key.pkcs8Der, PASSPHRASE, randomBytes)).not.toBe(pem);
  });

  it.skipIf(!opensslInstalled)('opens in OpenSSL, to the same key', () => {
    const answer = openssl(
      ['pkey', '-in', 'root.key.pem', '-passin', 'file:pass', '-pubout', '-outform', 'DER'],
      {
        'root.key.pem': pem,
        pass: PASSPHRASE,
      },
    );
    expect(answer.output.equals(Buffer.from(key.spkiDer))).toBe(true);
  });

  it.skipIf(!opensslInstalled)(
    'is PBES2 with PBKDF2, 600,000 rounds of HMAC-SHA-256, and AES-256-CBC',
    () => {
      const { text } = openssl(['asn1parse', '-in', 'root.key.pem'], { 'root.key.pem': pem });
      const words = [...text.matchAll(/(?:OBJECT|INTEGER) +:(\S+)/g)].map((match) => match[1]);
      expect(words).toEqual(['PBES2', 'PBKDF2', '0927C0', 'hmacWithSHA256', 'aes-256-cbc']);
      expect(0x0927c0).toBe(600_000);
    },
  );
});
