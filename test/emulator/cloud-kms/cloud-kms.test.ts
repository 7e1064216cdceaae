import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import crc32c from 'crc-32/crc32c.js';
import { OAuth2Client } from 'google-auth-library';
import { cloudkms, type cloudkms_v1 } from 'googleapis/build/src/apis/cloudkms/index.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Algorithm, type CloudKms, createCloudKms } from '../../../emulator/cloud-kms/index.ts';
import { type Serving, serve } from '../identity/serving.ts';

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const at = (name: string) => `${name}@acme-sealwright.iam.gserviceaccount.com`;
const [ADMIN, SIGNER, SEALER, STRANGER] = [at('setup'), at('sign'), at('key-service'), at('stranger')];
const PLACE = 'projects/acme-sealwright/locations/europe-west1';
const RING = `${PLACE}/keyRings/sealwright`;

let serving: Serving<CloudKms>;

beforeEach(async () => {
  const bindings = [{ role: 'roles/cloudkms.admin', members: [`serviceAccount:${ADMIN}`] }];
  const settings = { projectId: 'acme-sealwright', projectNumber: '411111111111', bindings };
  serving = await serve((context) => createCloudKms(context, { settings }));
});
afterEach(() => serving[Symbol.asyncDispose]());

/** Google's own REST client, calling as a service account. */
function client(email = ADMIN): cloudkms_v1.Resource$Projects$Locations$Keyrings {
  const auth = new OAuth2Client();
  const scopes = [CLOUD_PLATFORM];
  auth.setCredentials({
    access_token: serving.context.tokens.mint({ kind: 'service-account', email, scopes }).accessToken,
  });
  return cloudkms({ version: 'v1', rootUrl: serving.root, auth: auth as never, retry: false }).projects
    .locations.keyRings;
}
const keys = (email = ADMIN) => client(email).cryptoKeys;
const versions = (email = ADMIN) => keys(email).cryptoKeyVersions;

/** What Google's client makes of a refusal. */
async function refusal(call: Promise<unknown>): Promise<{ status: unknown; message: string }> {
  try {
    await call;
  } catch (error) {
    const { response } = error as { response: { data: { error: { status: string; message: string } } } };
    const { status, message } = response.data.error;
    return { status, message };
  }
  throw new Error('The call succeeded where it should have been refused.');
}

const sum = (bytes: Uint8Array): string => String(crc32c.buf(bytes) >>> 0);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const grant = (role: string, email: string) => ({ role, members: [`serviceAccount:${email}`] });

const PAIRS = {
  RSA_SIGN_PKCS1_2048_SHA256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  RSA_SIGN_PKCS1_3072_SHA256: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
  EC_SIGN_P256_SHA256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EC_SIGN_P384_SHA384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
};

async function signingKey(algorithm: keyof typeof PAIRS = 'EC_SIGN_P256_SHA256') {
  const privateKey = PAIRS[algorithm]();
  const name = await serving.room.ensureKey({
    location: 'europe-west1',
    ring: 'sealwright',
    key: `issuing-${algorithm}`,
    algorithm,
    bindings: [grant('roles/cloudkms.signerVerifier', SIGNER)],
    privateKey,
  });
  return { name, key: name.replace(/\/cryptoKeyVersions.*/, ''), publicKey: createPublicKey(privateKey) };
}

const sealingKey = async () => {
  const name = await serving.room.ensureKey({
    location: 'europe-west1',
    ring: 'sealwright',
    key: 'kek',
    algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION',
    bindings: [grant('roles/cloudkms.cryptoKeyEncrypterDecrypter', SEALER)],
  });
  return { version: name, key: name.replace(/\/cryptoKeyVersions.*/, '') };
};

const HASH = {
  RSA_SIGN_PKCS1_2048_SHA256: 'sha256',
  RSA_SIGN_PKCS1_3072_SHA256: 'sha256',
  EC_SIGN_P256_SHA256: 'sha256',
  EC_SIGN_P384_SHA384: 'sha384',
} as const;

function signRequest(message: Buffer, hash: 'sha256' | 'sha384' = 'sha256') {
  const digest = createHash(hash).update(message).digest();
  return { digest: { [hash]: base64(digest) }, digestCrc32c: sum(digest) };
}

describe("Cloud KMS, through Google's REST client,", () => {
  it('makes rings and keys, lists them page by page, and answers a version with its state', async () => {
    await client().create({ parent: PLACE, keyRingId: 'sealwright', requestBody: {} });
    for (const cryptoKeyId of ['a', 'b', 'c']) {
      await keys().create({
        parent: RING,
        cryptoKeyId,
        requestBody: { purpose: 'ASYMMETRIC_SIGN', versionTemplate: { algorithm: 'EC_SIGN_P256_SHA256' } },
      });
    }
    const first = await keys().list({ parent: RING, pageSize: 2 });
    expect(first.data.cryptoKeys?.map(({ name }) => name)).toEqual([
      `${RING}/cryptoKeys/a`,
      `${RING}/cryptoKeys/b`,
    ]);
    expect(first.data.totalSize).toBe(3);
    const rest = await keys().list({ parent: RING, pageToken: first.data.nextPageToken ?? '' });
    expect(rest.data.cryptoKeys?.map(({ name }) => name)).toEqual([`${RING}/cryptoKeys/c`]);
    const version = await versions().get({ name: `${RING}/cryptoKeys/a/cryptoKeyVersions/1` });
    expect(version.data).toMatchObject({
      state: 'ENABLED',
      algorithm: 'EC_SIGN_P256_SHA256',
      protectionLevel: 'SOFTWARE',
    });
    expect((await client().list({ parent: PLACE })).data.keyRings).toHaveLength(1);
    expect(await refusal(keys().get({ name: `${RING}/cryptoKeys/z` }))).toMatchObject({
      status: 'NOT_FOUND',
    });
    expect(
      await refusal(
        keys().create({ parent: RING, cryptoKeyId: 'a', requestBody: { purpose: 'ENCRYPT_DECRYPT' } }),
      ),
    ).toMatchObject({ status: 'ALREADY_EXISTS' });
  });

  it('refuses what it does not have instead of ignoring it', async () => {
    await client().create({ parent: PLACE, keyRingId: 'sealwright', requestBody: {} });
    const make = (requestBody: cloudkms_v1.Schema$CryptoKey) =>
      refusal(keys().create({ parent: RING, cryptoKeyId: 'a', requestBody }));
    expect(await make({ purpose: 'MAC' })).toMatchObject({ status: 'UNIMPLEMENTED' });
    expect(
      await make({ purpose: 'ASYMMETRIC_SIGN', versionTemplate: { algorithm: 'RSA_SIGN_PSS_2048_SHA256' } }),
    ).toMatchObject({ status: 'UNIMPLEMENTED' });
    expect(
      await make({
        purpose: 'ASYMMETRIC_SIGN',
        versionTemplate: { algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION' },
      }),
    ).toMatchObject({ status: 'INVALID_ARGUMENT' });
    expect(await make({ purpose: 'ASYMMETRIC_SIGN', rotationPeriod: '86400s' })).toMatchObject({
      status: 'INVALID_ARGUMENT',
    });
    expect(await make({ colour: 'red' } as never)).toMatchObject({
      status: 'INVALID_ARGUMENT',
      message: expect.stringContaining('"colour"'),
    });
    expect((await keys().list({ parent: RING })).data.cryptoKeys).toBeUndefined();
  });

  it.each(Object.keys(PAIRS) as (keyof typeof PAIRS)[])(
    'signs a digest with %s so that node:crypto and OpenSSL verify it, checksums both ways',
    async (algorithm) => {
      const { name, publicKey } = await signingKey(algorithm);
      const message = randomBytes(500);
      const hash = HASH[algorithm];
      for (let round = 0; round < 8; round += 1) {
        const { data } = await versions(SIGNER).asymmetricSign({
          name,
          requestBody: signRequest(message, hash),
        });
        const signature = Buffer.from(data.signature ?? '', 'base64');
        expect(data).toMatchObject({ name, verifiedDigestCrc32c: true, signatureCrc32c: sum(signature) });
        expect(data.verifiedDataCrc32c).toBeUndefined();
        expect(verify(hash, message, publicKey, signature)).toBe(true);
        if (round === 0) expect(opensslVerifies(hash, message, publicKey, signature)).toBe(true);
      }
    },
  );

  it('hashes data itself when it is given data', async () => {
    const { name, publicKey } = await signingKey();
    const message = randomBytes(100);
    const { data } = await versions(SIGNER).asymmetricSign({
      name,
      requestBody: { data: base64(message), dataCrc32c: sum(message) },
    });
    expect(data).toMatchObject({ verifiedDataCrc32c: true });
    expect(verify('sha256', message, publicKey, Buffer.from(data.signature ?? '', 'base64'))).toBe(true);
  });

  it('answers the public key in PEM with its checksum', async () => {
    const { name, publicKey } = await signingKey();
    const { data } = await versions(SIGNER).getPublicKey({ name });
    expect(data).toMatchObject({
      name,
      algorithm: 'EC_SIGN_P256_SHA256',
      pemCrc32c: sum(Buffer.from(data.pem ?? '')),
    });
    expect(createPublicKey(data.pem ?? '').equals(publicKey)).toBe(true);
  });

  it('refuses a digest of another hash, another length or another checksum', async () => {
    const { name } = await signingKey();
    const sign = (requestBody: cloudkms_v1.Schema$AsymmetricSignRequest) =>
      refusal(versions(SIGNER).asymmetricSign({ name, requestBody }));
    const digest = randomBytes(32);
    expect(await sign({ digest: { sha384: base64(randomBytes(48)) } })).toMatchObject({
      status: 'INVALID_ARGUMENT',
    });
    expect(await sign({ digest: { sha256: base64(randomBytes(31)) } })).toMatchObject({
      status: 'INVALID_ARGUMENT',
    });
    expect(await sign({})).toMatchObject({ status: 'INVALID_ARGUMENT' });
    expect(await sign({ digest: { sha256: base64(digest) }, digestCrc32c: '1' })).toMatchObject({
      status: 'INVALID_ARGUMENT',
      message: expect.stringContaining('digest_crc32c'),
    });
  });

  it('uses only an enabled version, destroys after thirty days, and restores before that', async () => {
    const { name } = await signingKey();
    const sign = () => versions(SIGNER).asymmetricSign({ name, requestBody: signRequest(Buffer.from('x')) });
    const state = async () => (await versions().get({ name })).data.state;
    await versions().patch({ name, updateMask: 'state', requestBody: { state: 'DISABLED' } });
    expect(await refusal(sign())).toEqual({
      status: 'FAILED_PRECONDITION',
      message: `${name} is not enabled, current state is: DISABLED.`,
    });
    await versions().patch({ name, updateMask: 'state', requestBody: { state: 'ENABLED' } });
    await sign();
    await versions().destroy({ name, requestBody: {} });
    expect(await refusal(sign())).toMatchObject({ message: expect.stringContaining('DESTROY_SCHEDULED') });
    serving.context.clock.advance(29 * 86_400_000);
    await versions().restore({ name, requestBody: {} });
    expect(await state()).toBe('DISABLED');
    await versions().destroy({ name, requestBody: {} });
    serving.context.clock.advance(30 * 86_400_000);
    expect(await state()).toBe('DESTROYED');
    expect(await refusal(versions().restore({ name, requestBody: {} }))).toMatchObject({
      status: 'FAILED_PRECONDITION',
    });
    expect(await refusal(versions(SIGNER).getPublicKey({ name }))).toMatchObject({
      status: 'FAILED_PRECONDITION',
    });
  });

  it('encrypts with the primary version and decrypts with whichever made the ciphertext', async () => {
    const { key, version } = await sealingKey();
    const [plaintext, aad] = [randomBytes(300), Buffer.from('tenant|user')];
    const encrypt = async () =>
      (
        await keys(SEALER).encrypt({
          name: key,
          requestBody: {
            plaintext: base64(plaintext),
            plaintextCrc32c: sum(plaintext),
            additionalAuthenticatedData: base64(aad),
            additionalAuthenticatedDataCrc32c: sum(aad),
          },
        })
      ).data;
    const decrypt = async (ciphertext: string) =>
      (
        await keys(SEALER).decrypt({
          name: key,
          requestBody: {
            ciphertext,
            ciphertextCrc32c: sum(Buffer.from(ciphertext, 'base64')),
            additionalAuthenticatedData: base64(aad),
            additionalAuthenticatedDataCrc32c: sum(aad),
          },
        })
      ).data;
    const old = await encrypt();
    expect(old).toMatchObject({
      name: version,
      verifiedPlaintextCrc32c: true,
      verifiedAdditionalAuthenticatedDataCrc32c: true,
      ciphertextCrc32c: sum(Buffer.from(old.ciphertext ?? '', 'base64')),
    });
    await versions().create({ parent: key, requestBody: {} });
    expect((await encrypt()).name).toBe(version);
    await keys().updatePrimaryVersion({ name: key, requestBody: { cryptoKeyVersionId: '2' } });
    const young = await encrypt();
    expect(young.name).toBe(`${key}/cryptoKeyVersions/2`);
    expect(await decrypt(young.ciphertext ?? '')).toMatchObject({ usedPrimary: true });
    const opened = await decrypt(old.ciphertext ?? '');
    expect(opened.usedPrimary).toBeUndefined();
    expect(opened).toMatchObject({ plaintext: base64(plaintext), plaintextCrc32c: sum(plaintext) });
    expect((await keys().get({ name: key })).data.primary?.name).toBe(`${key}/cryptoKeyVersions/2`);
  });

  it('decrypts nothing that was changed, cut, made for other data, or made by another key', async () => {
    const { key } = await sealingKey();
    const requestBody = {
      plaintext: base64(randomBytes(32)),
      additionalAuthenticatedData: base64(Buffer.from('a')),
    };
    const { ciphertext } = (await keys(SEALER).encrypt({ name: key, requestBody })).data;
    const bytes = Buffer.from(ciphertext ?? '', 'base64');
    const open = (changed: Buffer, aad = 'a') =>
      refusal(
        keys(SEALER).decrypt({
          name: key,
          requestBody: { ciphertext: base64(changed), additionalAuthenticatedData: base64(Buffer.from(aad)) },
        }),
      );
    const flipped = Buffer.from(bytes);
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    const elsewhere = Buffer.from(bytes);
    elsewhere.writeUInt32BE(9, 0);
    for (const refused of [
      await open(flipped),
      await open(bytes.subarray(0, 20)),
      await open(bytes, 'b'),
      await open(elsewhere),
    ])
      expect(refused).toMatchObject({
        status: 'INVALID_ARGUMENT',
        message: expect.stringContaining('Decryption failed'),
      });
  });

  it('makes a new primary version when the rotation comes due', async () => {
    await client().create({ parent: PLACE, keyRingId: 'sealwright', requestBody: {} });
    const nextRotationTime = new Date(serving.context.clock.nowMs() + 86_400_000).toISOString();
    await keys().create({
      parent: RING,
      cryptoKeyId: 'kek',
      requestBody: { purpose: 'ENCRYPT_DECRYPT', rotationPeriod: '7776000s', nextRotationTime },
    });
    serving.context.clock.advance(86_400_000);
    const { data } = await keys().get({ name: `${RING}/cryptoKeys/kek` });
    expect(data.primary?.name).toBe(`${RING}/cryptoKeys/kek/cryptoKeyVersions/2`);
    expect(Date.parse(data.nextRotationTime ?? '')).toBe(Date.parse(nextRotationTime) + 7_776_000_000);
  });

  it('lets a signer sign, a sealer seal and an administrator administer, each nothing else', async () => {
    const { name, key: signing } = await signingKey();
    const { key } = await sealingKey();
    const requestBody = signRequest(Buffer.from('x'));
    for (const email of [ADMIN, SEALER, STRANGER])
      expect(await refusal(versions(email).asymmetricSign({ name, requestBody }))).toEqual({
        status: 'PERMISSION_DENIED',
        message: `Permission 'cloudkms.cryptoKeyVersions.useToSign' denied on resource '${name}' (or it may not exist).`,
      });
    for (const email of [ADMIN, SIGNER, STRANGER])
      expect(await refusal(keys(email).encrypt({ name: key, requestBody: { plaintext: '' } }))).toMatchObject(
        { status: 'PERMISSION_DENIED' },
      );
    expect(await refusal(versions(SIGNER).destroy({ name }))).toMatchObject({ status: 'PERMISSION_DENIED' });
    expect(await refusal(keys(STRANGER).get({ name: `${RING}/cryptoKeys/none` }))).toMatchObject({
      status: 'PERMISSION_DENIED',
    });
    const policy = (await keys().getIamPolicy({ resource: signing })).data;
    const bindings = [...(policy.bindings ?? []), grant('roles/cloudkms.signer', STRANGER)];
    await keys().setIamPolicy({
      resource: signing,
      requestBody: { policy: { bindings, etag: policy.etag ?? null } },
    });
    await versions(STRANGER).asymmetricSign({ name, requestBody });
    expect(
      await refusal(
        keys().setIamPolicy({
          resource: signing,
          requestBody: { policy: { bindings, etag: policy.etag ?? null } },
        }),
      ),
    ).toMatchObject({ status: 'FAILED_PRECONDITION' });
  });

  it('keeps its keys over a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kms-'));
    try {
      const settings = { projectId: 'acme-sealwright', projectNumber: '411111111111', bindings: [] };
      const open = () =>
        serve((context) => createCloudKms(context, { settings }), join(folder, 'state.json'));
      const sample = {
        location: 'global',
        ring: 'r',
        key: 'k',
        algorithm: 'EC_SIGN_P256_SHA256' as Algorithm,
        bindings: [grant('roles/cloudkms.publicKeyViewer', ADMIN)],
      };
      const seen: string[] = [];
      for (const _ of [1, 2]) {
        await using one = await open();
        const name = await one.room.ensureKey(sample);
        const authorization = one.bearer({ kind: 'service-account', email: ADMIN, scopes: [CLOUD_PLATFORM] });
        const answer = await fetch(`${one.root}v1/${name}/publicKey`, { headers: { authorization } });
        seen.push(((await answer.json()) as { pem: string }).pem);
      }
      expect(seen[0]).toContain('BEGIN PUBLIC KEY');
      expect(seen[1]).toBe(seen[0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('Cloud KMS with a fault switched on', () => {
  const fault = (cloudKms: Record<string, number>) => serving.context.faults.apply({ reset: true, cloudKms });
  const signed = async ({ name, publicKey }: Awaited<ReturnType<typeof signingKey>>) => {
    const message = Buffer.from('to be signed');
    const { data } = await versions(SIGNER).asymmetricSign({ name, requestBody: signRequest(message) });
    const signature = Buffer.from(data.signature ?? '', 'base64');
    return {
      verifies: verify('sha256', message, publicKey, signature),
      checksumFits: data.signatureCrc32c === sum(signature),
      confirmed: data.verifiedDigestCrc32c === true,
      named: data.name === name,
    };
  };
  const good = { verifies: true, checksumFits: true, confirmed: true, named: true };

  it.each([
    ['wrongDigest', { ...good, verifies: false }],
    ['wrongCrc32c', { ...good, checksumFits: false }],
    ['unverified', { ...good, confirmed: false }],
    ['otherVersion', { ...good, named: false }],
  ])('%s, answers a signature that is wrong in just that', async (name, expected) => {
    const key = await signingKey();
    expect(await signed(key)).toEqual(good);
    fault({ [name]: 1 });
    expect(await signed(key)).toEqual(expected);
  });

  it('wrongPlaintext, decrypts to something else with a checksum that fits', async () => {
    const { key } = await sealingKey();
    const plaintext = randomBytes(32);
    const { ciphertext } = (
      await keys(SEALER).encrypt({ name: key, requestBody: { plaintext: base64(plaintext) } })
    ).data;
    fault({ wrongPlaintext: 1 });
    const { data } = await keys(SEALER).decrypt({ name: key, requestBody: { ciphertext: ciphertext ?? '' } });
    expect(data.plaintext).not.toBe(base64(plaintext));
    expect(data.plaintextCrc32c).toBe(sum(Buffer.from(data.plaintext ?? '', 'base64')));
  });
});

function opensslVerifies(
  hash: string,
  message: Buffer,
  publicKey: ReturnType<typeof createPublicKey>,
  signature: Buffer,
): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'kms-openssl-'));
  try {
    writeFileSync(join(folder, 'key.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(folder, 'signature'), signature);
    const args = [
      'dgst',
      `-${hash}`,
      '-verify',
      join(folder, 'key.pem'),
      '-signature',
      join(folder, 'signature'),
    ];
    return spawnSync('openssl', args, { input: message }).status === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
