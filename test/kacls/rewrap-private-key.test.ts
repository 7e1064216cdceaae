import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rewrapPrivateKey } from '../../shared/kacls/rewrap-private-key.ts';
import { kekIdOfWrappedKey, openWrappedKey, sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import type { KeyEncryptionKeys } from '../../shared/ports/key-encryption-keys.ts';
import { memoryKeks } from './support.ts';
import { ALICE, type Keys, makeKeys, refusalProblems, spkiHash, startWorld, type World } from './world.ts';

const older = { id: 'kek/1', key: randomBytes(32) };
const newer = { id: 'kek/2', key: randomBytes(32) };
const tenantId = 'C00sample';
const der = randomBytes(1193);
const binding = { userId: '42', perimeterId: 'board', spkiSha256: randomBytes(32) };
const under = (keyEncryptionKeys: KeyEncryptionKeys) => ({
  keyEncryptionKeys,
  tenantId,
  random: randomBytes,
});
const wrapped = () => sealPrivateKey(der, binding, { kek: older, tenantId, random: randomBytes });

describe('re-wrapping a private key after its key-encryption key was rotated', () => {
  it('moves the same key with the same bindings under the newest, so that the older may go', async () => {
    const before = wrapped();
    expect(kekIdOfWrappedKey(before)).toBe('kek/1');
    const moved = await rewrapPrivateKey(before, under(memoryKeks([newer, older])));
    expect(moved).toMatchObject({ fromKekId: 'kek/1', toKekId: 'kek/2' });
    expect(kekIdOfWrappedKey(moved.wrappedKey)).toBe('kek/2');
    const opened = await openWrappedKey(moved.wrappedKey, under(memoryKeks([newer])));
    expect(opened).toEqual({ kekId: 'kek/2', ...binding, privateKeyDer: der });
  });

  it('leaves the old blob as good as it was until its key is taken away', async () => {
    const before = wrapped();
    await rewrapPrivateKey(before, under(memoryKeks([newer, older])));
    const opened = await openWrappedKey(before, under(memoryKeks([newer, older])));
    expect(opened.privateKeyDer).toEqual(der);
  });

  it('does nothing to a blob that is under the newest already', async () => {
    const before = wrapped();
    const moved = await rewrapPrivateKey(before, under(memoryKeks([older])));
    expect(moved).toMatchObject({ wrappedKey: before, fromKekId: 'kek/1', toKekId: 'kek/1' });
  });

  it('reports a key-encryption key that is lost by its id, and guesses nothing', async () => {
    await expect(rewrapPrivateKey(wrapped(), under(memoryKeks([newer])))).rejects.toMatchObject({
      kind: 'permanent',
      code: 'wrapped-key-unreadable',
      details: { kekId: 'kek/1' },
    });
  });

  it('moves nothing that was altered or belongs to another tenant', async () => {
    const keks = memoryKeks([newer, older]);
    const altered = `${wrapped().slice(0, -8)}AAAAAAAA`;
    for (const [blob, tenant] of [
      [altered, tenantId],
      [wrapped(), 'C00other'],
    ] as const) {
      await expect(rewrapPrivateKey(blob, { ...under(keks), tenantId: tenant })).rejects.toMatchObject({
        kind: 'invalid-input',
        code: 'wrapped-key-unreadable',
      });
    }
  });

  it('hands out nothing that does not open again', async () => {
    const shaky: KeyEncryptionKeys = {
      current: async () => newer,
      byId: async (id) => (id === older.id ? older.key : randomBytes(32)),
    };
    await expect(rewrapPrivateKey(wrapped(), under(shaky))).rejects.toMatchObject({
      code: 'wrapped-key-unreadable',
    });
  });
});

describe('rewrapprivatekey', () => {
  let keys: Keys;
  let before: World;
  let after: World;
  beforeAll(async () => {
    keys = await makeKeys();
    before = await startWorld(keys, { keks: memoryKeks([older]) });
    after = await startWorld(keys, { keks: memoryKeks([newer, older]) });
  });
  afterAll(async () => {
    await before.close();
    await after.close();
  });

  it('answers our service account with a blob under the newest key, which signs', async () => {
    const wrapped_private_key = await before.wrappedKey(keys.alice, ALICE.userId);
    const { status, json } = await after.post('rewrapprivatekey', {
      authentication: await after.wrapAuthentication(),
      wrapped_private_key,
    });
    expect(status).toBe(200);
    expect(json).toEqual({
      wrapped_private_key: expect.any(String),
      kek_id: 'kek/2',
      spki_hash: spkiHash(keys.alice),
      spki_hash_algorithm: 'SHA-256',
      user_id: ALICE.userId,
    });
    expect(json['kek_id']).toBe('kek/2');
    expect(kekIdOfWrappedKey(String(json['wrapped_private_key']))).toBe('kek/2');
    expect(after.log.lines.at(-1)).toMatchObject({
      event: 'private-key-rewrapped',
      fields: { fromKekId: 'kek/1', kekId: 'kek/2', outcome: 'done' },
    });
    const signed = await after.post('privatekeysign', {
      authentication: await after.authentication(),
      authorization: await after.authorization(),
      algorithm: 'SHA256withRSA',
      digest: randomBytes(32).toString('base64'),
      wrapped_private_key: json['wrapped_private_key'],
    });
    expect(signed.status).toBe(200);
  });

  it('answers nobody else, and says when the key is lost', async () => {
    const wrapped_private_key = await after.wrappedKey(keys.alice, ALICE.userId);
    for (const authentication of [await before.authentication(), await before.adminAuthentication(), '']) {
      const answer = await before.post('rewrapprivatekey', { authentication, wrapped_private_key });
      expect(refusalProblems(answer, 401)).toEqual([]);
    }
    const lost = await before.post('rewrapprivatekey', {
      authentication: await before.wrapAuthentication(),
      wrapped_private_key,
    });
    expect(refusalProblems(lost, 422)).toEqual([]);
    expect(lost.json['message']).toContain('kek/2');
  });
});
