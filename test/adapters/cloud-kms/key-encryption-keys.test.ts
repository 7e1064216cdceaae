import { randomBytes } from 'node:crypto';
import { cloudkms } from 'googleapis/build/src/apis/cloudkms/index.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cloudKmsKeyEncryptionKeys } from '../../../shared/adapters/cloud-kms/key-encryption-keys.ts';
import { anyKeyEncryptionKeys } from '../../../shared/adapters/kacls/any-key-encryption-keys.ts';
import { secretKeyEncryptionKeys } from '../../../shared/adapters/kacls/key-encryption-keys.ts';
import { rewrapPrivateKey } from '../../../shared/kacls/rewrap-private-key.ts';
import {
  contentKeyBinding,
  openContentKey,
  sealContentKey,
} from '../../../shared/kacls/wrapped-content-key.ts';
import {
  kekIdOfWrappedKey,
  openWrappedKey,
  privateKeyBinding,
  sealPrivateKey,
} from '../../../shared/kacls/wrapped-key.ts';
import type { KeyEncryptionKeys } from '../../../shared/ports/key-encryption-keys.ts';
import { type Company, FUNCTION, openCompany, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const ENCRYPT = 'cloudkms.projects.locations.keyRings.cryptoKeys.encrypt';
const tenantId = 'C00sample';
const der = randomBytes(2348);
const binding = { userId: '42', perimeterId: 'board', spkiSha256: randomBytes(32) };

let company: Company;
let first: string;
let second: string;
const grants = ['cryptoKeyEncrypterDecrypter', 'admin'].map((role) => ({
  ...{ role: `roles/cloudkms.${role}`, members: [`serviceAccount:${FUNCTION}`] },
}));
beforeAll(async () => {
  company = await openCompany();
  const key = (name: string) =>
    company.kms.ensureKey({
      ...{ location: 'europe-west1', ring: 'sealwright', key: name, bindings: grants },
      algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION',
    });
  first = await key('wraps-1');
  second = await key('wraps-2');
});
beforeEach(() => company.faults.apply({ reset: true }));
afterAll(() => company.close());

const keks = (versions: readonly string[] = [second, first], who?: string) =>
  cloudKmsKeyEncryptionKeys({
    ...{ versions, random: randomBytes, own: company.own(who) },
    ...{ endpoints: company.endpoints, retry: company.retry },
  });
const seal = async (keyEncryptionKeys: KeyEncryptionKeys, tenant = tenantId, key = der) =>
  sealPrivateKey(key, binding, {
    kek: await keyEncryptionKeys.current(privateKeyBinding(tenant)),
    tenantId: tenant,
    random: randomBytes,
  });
const open = (wrapped: string, keyEncryptionKeys: KeyEncryptionKeys = keks(), tenant = tenantId) =>
  openWrappedKey(wrapped, { keyEncryptionKeys, tenantId: tenant });

describe('a key-encryption key in Cloud KMS', () => {
  it('wraps a data key for each blob, which gives the private key back', async () => {
    const wrapped = await seal(keks([first]));
    expect(wrapped.length).toBeLessThan(8192);
    expect(Buffer.from(wrapped, 'base64').readUInt8(4)).toBe(2);
    expect(kekIdOfWrappedKey(wrapped)).toBe('europe-west1/sealwright/wraps-1/1');
    expect(await open(wrapped)).toEqual({
      kekId: 'europe-west1/sealwright/wraps-1/1',
      ...binding,
      privateKeyDer: der,
    });
  });

  it('is sent a data key and never the private key', async () => {
    const since = company.calls.last;
    const wrapped = await seal(keks([first]));
    await open(wrapped);
    const methods = company.calls.since(since).map(({ method }) => method);
    expect(methods.filter((method) => method.startsWith('cloudkms.'))).toEqual([
      ENCRYPT,
      'cloudkms.projects.locations.keyRings.cryptoKeys.decrypt',
    ]);
    const [one, other] = [await keks().current(Buffer.from('a')), await keks().current(Buffer.from('a'))];
    expect(one.key).toHaveLength(32);
    expect(Buffer.from(one.key)).not.toEqual(Buffer.from(other.key));
  });

  it('wipes the data key once the blob is made', async () => {
    const kek = await keks().current(privateKeyBinding(tenantId));
    sealPrivateKey(der, binding, { kek, tenantId, random: randomBytes });
    expect(kek.key.every((byte) => byte === 0)).toBe(true);
  });

  it('wraps content keys into blobs below 1 KB', async () => {
    const keyEncryptionKeys = keks();
    const contentKey = randomBytes(128);
    const resource = { resourceName: '//googleapis.com/drive/files/1', perimeterId: 'x'.repeat(128) };
    const wrapped = sealContentKey(contentKey, resource, {
      ...{ kek: await keyEncryptionKeys.current(contentKeyBinding(tenantId)), tenantId, random: randomBytes },
    });
    expect(wrapped.length).toBeLessThanOrEqual(1024);
    const opened = await openContentKey(wrapped, resource.resourceName, { keyEncryptionKeys, tenantId });
    expect(opened.contentKey).toEqual(contentKey);
    // KMS binds a data key to what it is for, besides what the blob itself says.
    const asPrivateKey = Buffer.from(wrapped, 'base64');
    asPrivateKey.write('SWPK', 'latin1');
    await expect(open(asPrivateKey.toString('base64'))).rejects.toMatchObject({
      code: 'wrapped-key-unreadable',
    });
  });

  it('opens nothing for another tenant', async () => {
    const wrapped = await seal(keks());
    await expect(open(wrapped, keks(), 'C00other')).rejects.toMatchObject({
      kind: 'invalid-input',
      code: 'wrapped-key-unreadable',
    });
  });

  it('opens nothing with a bit flipped at any byte, in header, data key, nonce, ciphertext or tag', async () => {
    // What stands inside makes no difference, and a short one has fewer bytes to go through.
    const blob = Buffer.from(await seal(keks(), tenantId, randomBytes(16)), 'base64');
    expect((await open(blob.toString('base64'))).privateKeyDer).toHaveLength(16);
    for (let at = 0; at < blob.length; at += 1) {
      const altered = Buffer.from(blob);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      await expect(open(altered.toString('base64')), `byte ${at}`).rejects.toMatchObject({
        code: 'wrapped-key-unreadable',
      });
    }
  });

  it.each([
    ['disabled', (name: string) => ({ name, updateMask: 'state', requestBody: { state: 'DISABLED' } })],
    ['destroyed', undefined],
  ])('that is %s is reported by its id, and nothing is guessed', async (how, disabling) => {
    const name = `gone-${how}`;
    const version = await company.kms.ensureKey({
      ...{ location: 'europe-west1', ring: 'sealwright', key: name, bindings: grants },
      algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION',
    });
    const wrapped = await seal(keks([version]));
    const { cryptoKeyVersions } = cloudkms({
      ...{ version: 'v1', rootUrl: company.endpoints.rootUrl ?? '', retry: false },
    }).projects.locations.keyRings.cryptoKeys;
    const as = { headers: { authorization: `Bearer ${await company.own().accessToken()}` } };
    if (disabling === undefined) await cryptoKeyVersions.destroy({ name: version }, as);
    else await cryptoKeyVersions.patch(disabling(version), as);
    await expect(open(wrapped, keks([second, version]))).rejects.toMatchObject({
      kind: 'permanent',
      code: 'wrapped-key-unreadable',
      details: { kekId: `europe-west1/sealwright/${name}/1` },
    });
  });

  it('that KMS cannot use just now is no verdict on the blob', async () => {
    const wrapped = await seal(keks());
    company.faults.apply({ calls: [{ method: 'cloudkms.*', status: 503, reason: 'backendError' }] });
    await expect(open(wrapped)).rejects.toMatchObject({ kind: 'retryable', code: 'kms-unavailable' });
  });

  it.each(['wrongCrc32c', 'unverified', 'otherVersion'])(
    'is asked again after an answer damaged on its way (%s), and given up on when it stays so',
    async (fault) => {
      company.faults.apply({ cloudKms: { [fault]: 1 } });
      expect(await failureOf(keks().current(Buffer.from('a')))).toMatchObject({ code: 'kms-answer-refused' });
      company.faults.apply({ reset: true, seed: 3, cloudKms: { [fault]: 0.3 } });
      expect(await open(await seal(keks()))).toMatchObject({ privateKeyDer: der });
    },
  );

  it('opens nothing when KMS answers another data key', async () => {
    const wrapped = await seal(keks());
    company.faults.apply({ cloudKms: { wrongPlaintext: 1 } });
    await expect(open(wrapped)).rejects.toMatchObject({ code: 'wrapped-key-unreadable' });
  });

  it('is not for whoever has no grant', async () => {
    expect(await failureOf(keks([first], STRANGER).current(Buffer.from('a')))).toMatchObject({
      code: 'kms-key-unusable',
      message: expect.stringContaining('roles/cloudkms.cryptoKeyEncrypterDecrypter'),
    });
  });

  it.each(['projects/p/secrets/s/versions/1', 'projects/p/locations/l/keyRings/r/cryptoKeys/k', 'latest'])(
    'is named by a pinned version, not by %s',
    (name) => {
      expect(() => keks([name])).toThrow(expect.objectContaining({ code: 'settings-invalid' }));
    },
  );
});

describe('key-encryption keys in both places', () => {
  const SECRET = 'projects/acme-pki/secrets/key-encryption-key/versions/1';
  const payload = randomBytes(32);
  const both = (versions: readonly string[]) =>
    anyKeyEncryptionKeys(versions, {
      secrets: (names) =>
        secretKeyEncryptionKeys({
          versions: names,
          clock: company.clock,
          secrets: { read: async () => payload },
        }),
      kms: (names) => keks(names),
    });

  it('let a customer move from Secret Manager to KMS by a rotation, and old blobs open until then', async () => {
    const before = await seal(both([SECRET]));
    const after = both([first, SECRET]);
    expect((await open(before, after)).privateKeyDer).toEqual(der);
    const moved = await rewrapPrivateKey(before, { keyEncryptionKeys: after, tenantId, random: randomBytes });
    expect(moved).toMatchObject({
      fromKekId: 'key-encryption-key/1',
      toKekId: 'europe-west1/sealwright/wraps-1/1',
    });
    expect((await open(moved.wrappedKey, both([first]))).privateKeyDer).toEqual(der);
  });

  it('take no blob for one of the other place', async () => {
    const inKms = Buffer.from(await seal(both([first])), 'base64');
    inKms.writeUInt8(1, 4);
    await expect(open(inKms.toString('base64'), both([first, SECRET]))).rejects.toMatchObject({
      code: 'wrapped-key-unreadable',
    });
  });
});
