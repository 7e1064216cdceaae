/** What the runtime's cryptography was given, or gave back, in the clear must be overwritten when a request is over. */
import { constants, publicEncrypt, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createKeyService } from '../../functions/key-service.ts';
import { memoryKeks } from './support.ts';
import { ALICE, type Keys, makeKeys, spkiHash, startWorld, type World } from './world.ts';

/** Buffers that held a private key or a content key, as OpenSSL saw them. */
const secrets = vi.hoisted(() => ({ watched: false, seen: [] as { what: string; bytes: Uint8Array }[] }));

vi.mock('node:crypto', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:crypto')>();
  const note = (what: string, bytes: unknown): void => {
    if (secrets.watched && bytes instanceof Uint8Array && bytes.length > 0)
      secrets.seen.push({ what, bytes });
  };
  const watching = {
    ...real,
    createPrivateKey: (input: Parameters<typeof real.createPrivateKey>[0]) => {
      note('read as a private key', (input as { key?: unknown }).key);
      return real.createPrivateKey(input);
    },
    privateDecrypt: (...input: Parameters<typeof real.privateDecrypt>) => {
      const decrypted = real.privateDecrypt(...input);
      note('decrypted with a private key', decrypted);
      return decrypted;
    },
    createDecipheriv: (...input: Parameters<typeof real.createDecipheriv>) => {
      const decipher = real.createDecipheriv(...input);
      const update = decipher.update.bind(decipher) as (data: Uint8Array) => Buffer;
      return Object.assign(decipher, {
        update: (data: Uint8Array) => {
          const plain = update(data);
          note('came out of a blob', plain);
          return plain;
        },
      });
    },
    createCipheriv: (...input: Parameters<typeof real.createCipheriv>) => {
      const cipher = real.createCipheriv(...input);
      const update = cipher.update.bind(cipher) as (data: Uint8Array) => Buffer;
      return Object.assign(cipher, {
        update: (data: Uint8Array) => {
          note('went into a blob', data);
          return update(data);
        },
      });
    },
  };
  return { ...watching, default: watching };
});

let keys: Keys;
let world: World;
let wrapped: string;
let wrappedFileKey: string;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, {
    keks: memoryKeks(['kek/2', 'kek/1'].map((id) => ({ id, key: randomBytes(32) }))),
  });
  wrapped = await world.wrappedKey(keys.alice, ALICE.userId);
  wrappedFileKey = await world.wrapContentKey(randomBytes(32));
});
afterAll(() => world.close());
beforeEach(() => {
  secrets.seen.length = 0;
  secrets.watched = true;
});
afterEach(() => {
  secrets.watched = false;
});

const encrypted = () =>
  publicEncrypt(
    { key: keys.alice.publicKey, padding: constants.RSA_PKCS1_PADDING },
    randomBytes(32),
  ).toString('base64');

/** Each request that touches a key, with how many buffers hold one at the least. */
const requests: readonly [string, number, () => Promise<Record<string, unknown>>][] = [
  [
    'privatekeysign',
    2,
    async () => ({
      authentication: await world.authentication(),
      authorization: await world.authorization(),
      algorithm: 'SHA256withRSA',
      digest: randomBytes(32).toString('base64'),
      wrapped_private_key: wrapped,
    }),
  ],
  [
    'privatekeydecrypt',
    3,
    async () => ({
      authentication: await world.authentication(),
      authorization: await world.authorization({ role: 'decrypter' }),
      algorithm: 'RSA/ECB/PKCS1Padding',
      encrypted_data_encryption_key: encrypted(),
      wrapped_private_key: wrapped,
    }),
  ],
  [
    'privilegedprivatekeydecrypt',
    3,
    async () => ({
      authentication: await world.adminAuthentication(),
      algorithm: 'RSA/ECB/PKCS1Padding',
      encrypted_data_encryption_key: encrypted(),
      spki_hash: spkiHash(keys.alice),
      spki_hash_algorithm: 'SHA-256',
      wrapped_private_key: wrapped,
    }),
  ],
  [
    'wrapprivatekey',
    4,
    async () => ({
      authentication: await world.wrapAuthentication(),
      private_key: keys.alice.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      user_id: ALICE.userId,
    }),
  ],
  [
    'rewrapprivatekey',
    1,
    async () => ({ authentication: await world.wrapAuthentication(), wrapped_private_key: wrapped }),
  ],
  [
    'wrap',
    1,
    async () => ({
      authentication: await world.authentication(),
      authorization: await world.fileAuthorization(),
      key: randomBytes(32).toString('base64'),
    }),
  ],
  [
    'unwrap',
    1,
    async () => ({
      authentication: await world.authentication(),
      authorization: await world.fileAuthorization(),
      wrapped_key: wrappedFileKey,
    }),
  ],
];

describe('after a request is answered, no buffer holds', () => {
  it.each(requests)('a private key or a content key that %s touched', async (operation, atLeast, body) => {
    const answer = await world.post(operation, await body());
    secrets.watched = false;
    expect(answer.status).toBe(200);
    expect(secrets.seen.length).toBeGreaterThanOrEqual(atLeast);
    const left = secrets.seen.filter(({ bytes }) => bytes.some((byte) => byte !== 0));
    expect(left.map(({ what }) => what)).toEqual([]);
  });

  it('a key that was refused: another person asked, or the key is another than the permitted one', async () => {
    for (const claims of [{ spki_hash: spkiHash(keys.bob) }, { email: 'nobody@acme.example' }]) {
      const answer = await world.post('privatekeysign', {
        authentication: await world.authentication(claims),
        authorization: await world.authorization(claims),
        algorithm: 'SHA256withRSA',
        digest: randomBytes(32).toString('base64'),
        wrapped_private_key: wrapped,
      });
      expect(answer.status).toBe(403);
    }
    secrets.watched = false;
    expect(secrets.seen.length).toBeGreaterThan(0);
    expect(secrets.seen.filter(({ bytes }) => bytes.some((byte) => byte !== 0))).toEqual([]);
  });

  it('the body that was received', async () => {
    const serve = createKeyService({
      settings: world.settings,
      keyEncryptionKeys: memoryKeks([]),
      addressBook: { userIdsOfAddress: async () => [] },
      keySetDocuments: { fetch: async () => ({ keys: [], maxAgeMs: undefined }) },
      clock: world.clock,
      log: world.log,
      version: '0',
    });
    const body = Buffer.from(JSON.stringify({ authentication: 'x.y.z', private_key: 'secret' }));
    const call = { method: 'POST', query: new URLSearchParams(), headers: {}, body };
    expect((await serve({ ...call, path: '/v1/wrapprivatekey' })).status).toBe(401);
    expect(body.every((byte) => byte === 0)).toBe(true);
  });
});
