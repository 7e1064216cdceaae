/** Instances share nothing but secrets and ledger: any of them answers for any other, at once and after a restart. */
import { constants, createHash, publicEncrypt, randomBytes, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryKeks, memorySigningKeys } from './support.ts';
import { ALICE, type Keys, makeKeys, startWorld, type World } from './world.ts';

let keys: Keys;
let first: World;
let second: World;
const kek = { id: 'kek/1', key: randomBytes(32) };
beforeAll(async () => {
  keys = await makeKeys();
  const start = () =>
    startWorld(keys, { keks: memoryKeks([kek]), tokenSigningKeys: memorySigningKeys([keys.ours]) });
  [first, second] = [await start(), await start()];
});
afterAll(() => Promise.all([first.close(), second.close()]));

describe('a second instance of the key service, and one after a restart,', () => {
  it('signs and decrypts with what the first wrapped', async () => {
    const wrapped_private_key = await first.wrappedKey(keys.alice, ALICE.userId);
    const common = { authentication: await second.authentication(), wrapped_private_key };
    const attributes = randomBytes(200);
    const signed = await second.post('privatekeysign', {
      ...common,
      authorization: await second.authorization(),
      algorithm: 'SHA256withRSA',
      digest: createHash('sha256').update(attributes).digest('base64'),
    });
    const signature = Buffer.from(String(signed.json['signature']), 'base64');
    expect(verify('sha256', attributes, keys.alice.publicKey, signature)).toBe(true);
    const contentKey = randomBytes(32);
    const decrypted = await second.post('privatekeydecrypt', {
      ...common,
      authorization: await second.authorization({ role: 'decrypter' }),
      algorithm: 'RSA/ECB/PKCS1Padding',
      encrypted_data_encryption_key: publicEncrypt(
        { key: keys.alice.publicKey, padding: constants.RSA_PKCS1_PADDING },
        contentKey,
      ).toString('base64'),
    });
    expect(decrypted.json).toEqual({ data_encryption_key: contentKey.toString('base64') });
  });

  it('unwraps the content keys of the first', async () => {
    const contentKey = randomBytes(32);
    const answer = await second.post('unwrap', {
      authentication: await second.authentication(),
      authorization: await second.fileAuthorization({ role: 'reader' }),
      wrapped_key: await first.wrapContentKey(contentKey),
    });
    expect(answer.json).toEqual({ key: contentKey.toString('base64') });
  });

  it('publishes the same certs', async () => {
    const [one, other] = [await first.request('/v1/certs'), await second.request('/v1/certs')];
    expect(one.json['keys']).toHaveLength(1);
    expect(other.json).toEqual(one.json);
  });
});
