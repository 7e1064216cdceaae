import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { encryptPrivateKeyPem, readPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { openssl, opensslInstalled } from './openssl.ts';

let keys: Readonly<Record<'rsa' | 'ec', KeyPair>>;
beforeAll(async () => {
  const [rsa, ec] = await Promise.all([generateRsaKey(2048), generateEcKey('P-384')]);
  keys = { rsa, ec };
});

const closed = (kind: 'rsa' | 'ec', passphrase = 'correct horse') =>
  encryptPrivateKeyPem(keys[kind].pkcs8Der, passphrase, randomBytes, 10_000);
const problem = (name: string) =>
  expect.objectContaining({ code: 'malformed-request', details: { problem: name } });

describe('an encrypted private key', () => {
  test.each(['rsa', 'ec'] as const)('(%s) opens with its passphrase, non-ASCII ones too', (kind) => {
    expect(Buffer.from(readPrivateKeyPem(closed(kind, 'Pässwort ☕'), 'Pässwort ☕'))).toEqual(
      Buffer.from(keys[kind].pkcs8Der),
    );
  });

  it('does not open with another, and says nothing of what it holds', () => {
    const pem = closed('rsa');
    expect(() => readPrivateKeyPem(pem, 'wrong')).toThrow(problem('wrong-password'));
    expect(() => readPrivateKeyPem(pem)).toThrow(problem('password-missing'));
    const cut = pem.slice(0, 600);
    expect(() => readPrivateKeyPem(cut, 'correct horse')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(pem.slice(100, 112)) }),
    );
  });

  it('is never the same twice', () => {
    expect(closed('rsa')).not.toBe(closed('rsa'));
  });
});

describe('a plain private key', () => {
  it('is read as PKCS#8', () => {
    expect(Buffer.from(readPrivateKeyPem(derToPem('PRIVATE KEY', keys.rsa.pkcs8Der)))).toEqual(
      Buffer.from(keys.rsa.pkcs8Der),
    );
  });

  test.each([
    ['nothing', ''],
    ['a certificate', derToPem('CERTIFICATE', Uint8Array.of(1))],
    ['rubbish in the right label', derToPem('PRIVATE KEY', Uint8Array.of(1, 2, 3))],
  ])('is refused when it is %s', (_what, pem) => {
    expect(() => readPrivateKeyPem(pem)).toThrow(problem('malformed'));
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  it('opens what we encrypt, and shows PBES2 with AES-256 and SHA-256', () => {
    const files = { 'a.pem': closed('rsa') };
    const { output } = openssl(
      ['pkcs8', '-in', 'a.pem', '-passin', 'pass:correct horse', '-outform', 'DER', '-nocrypt', '-topk8'],
      files,
    );
    expect(output.equals(Buffer.from(keys.rsa.pkcs8Der))).toBe(true);
    const { text } = openssl(['asn1parse', '-in', 'a.pem'], files);
    for (const name of ['PBES2', 'PBKDF2', 'hmacWithSHA256', 'aes-256-cbc']) expect(text).toContain(name);
  });

  test.each([
    ['PKCS#8, AES-256', ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', 'a.pem', '-passout', 'pass:secret']],
    ['PKCS#8, scrypt', ['pkcs8', '-topk8', '-scrypt', '-in', 'a.pem', '-passout', 'pass:secret']],
    ['PKCS#8, 3DES', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-3DES', '-in', 'a.pem', '-passout', 'pass:secret']],
    [
      'its old RSA form, AES-128',
      ['rsa', '-aes128', '-traditional', '-in', 'a.pem', '-passout', 'pass:secret'],
    ],
    ['its old RSA form, plain', ['rsa', '-traditional', '-in', 'a.pem']],
  ])('writes %s, which opens here', (_what, args) => {
    const { output } = openssl(args, { 'a.pem': derToPem('PRIVATE KEY', keys.rsa.pkcs8Der) });
    expect(Buffer.from(readPrivateKeyPem(output.toString(), 'secret'))).toEqual(
      Buffer.from(keys.rsa.pkcs8Der),
    );
  });

  it('writes the old EC form, which opens here', () => {
    const { output } = openssl(['ec', '-aes256', '-in', 'a.pem', '-passout', 'pass:secret'], {
      'a.pem': derToPem('PRIVATE KEY', keys.ec.pkcs8Der),
    });
    expect(readPrivateKeyPem(output.toString(), 'secret').length).toBeGreaterThan(100);
  });
});
