import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secretTokenSigningKeys } from '../../shared/adapters/kacls/token-signing-keys.ts';
import { permanent } from '../../shared/errors.ts';
import { ManualClock, type RsaPair, rsaPair } from './support.ts';

const FIRST = 'projects/acme-pki/secrets/key-service-tokens/versions/2';
const SECOND = 'projects/acme-pki/secrets/key-service-tokens/versions/1';

const pem = (pair: RsaPair) => Buffer.from(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
const der = (pair: RsaPair) => pair.privateKey.export({ type: 'pkcs8', format: 'der' });

describe('keys for signing tokens, out of Secret Manager', () => {
  let first: RsaPair;
  let second: RsaPair;
  let payloads: Map<string, Uint8Array>;
  beforeAll(async () => {
    [first, second] = await Promise.all([rsaPair(2048), rsaPair(2048)]);
  });
  beforeEach(() => {
    payloads = new Map([
      [FIRST, pem(first)],
      [SECOND, der(second)],
    ]);
  });
  const signingKeys = (versions: readonly string[] = [FIRST, SECOND]) =>
    secretTokenSigningKeys({
      versions,
      clock: new ManualClock(),
      secrets: {
        read: async (version) => {
          const payload = payloads.get(version);
          if (payload !== undefined) return payload;
          throw permanent('secret-unreadable', 'destroyed');
        },
      },
    });

  it('sign with the first, PEM or DER, under its thumbprint', async () => {
    const { keyId, privateKey } = await signingKeys().current();
    expect(privateKey.equals(first.privateKey)).toBe(true);
    expect(keyId).toBe(await calculateJwkThumbprint(first.publicKey.export({ format: 'jwk' })));
    expect((await signingKeys([SECOND]).current()).privateKey.equals(second.privateKey)).toBe(true);
  });

  it('publish the public halves of all of them, the signing one first', async () => {
    const published = await signingKeys().published();
    expect(published.map(({ publicKey }) => publicKey.type)).toEqual(['public', 'public']);
    expect(published[0]?.publicKey.equals(first.publicKey)).toBe(true);
    expect(published[1]?.publicKey.equals(second.publicKey)).toBe(true);
  });

  it('are the same for every instance', async () => {
    expect(await signingKeys().published()).toEqual(await signingKeys().published());
  });

  it('leave the payload they were read from alone: it is not theirs to wipe', async () => {
    await signingKeys().current();
    expect(payloads.get(SECOND)).toEqual(der(second));
    expect(payloads.get(FIRST)).toEqual(pem(first));
  });

  it('say which version is destroyed instead of publishing fewer', async () => {
    payloads.delete(SECOND);
    const keys = signingKeys();
    expect((await keys.current()).privateKey.equals(first.privateKey)).toBe(true);
    await expect(keys.published()).rejects.toMatchObject({ code: 'secret-unreadable' });
  });

  const small = () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  it.each([
    ['nothing', () => Buffer.alloc(0)],
    ['no key', () => Buffer.from('hello')],
    ['a public key', () => Buffer.from(first.publicKey.export({ type: 'spki', format: 'pem' }))],
    [
      'an encrypted key',
      () =>
        Buffer.from(
          first.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }),
        ),
    ],
    ['a key of 1024 bits', () => small().export({ type: 'pkcs8', format: 'der' })],
    ['an EC key', () => ec().export({ type: 'pkcs8', format: 'der' })],
  ])('refuse %s and do not repeat it', async (_what, payload) => {
    payloads.set(FIRST, payload());
    await expect(signingKeys().current()).rejects.toMatchObject({
      kind: 'permanent',
      code: 'secret-unreadable',
      message: expect.stringMatching(/versions\/2 must be an unencrypted RSA private key/),
    });
  });

  it.each([
    ['no version', []],
    ['an alias', ['projects/p/secrets/s/versions/latest']],
    ['one version twice', [FIRST, FIRST]],
  ])('refuse %s at once', (_what, versions) => {
    expect(() => signingKeys(versions)).toThrow(expect.objectContaining({ code: 'settings-invalid' }));
  });
});
