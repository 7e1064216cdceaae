/** What is set in the environment takes effect in the function as it is deployed. What each setting means is tested in test/kacls. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, verify } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../shared/adapters/clock/system-clock.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import { spkiSha256Of, toPkcs1Der } from '../../shared/kacls/private-key.ts';
import { sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import {
  jwkOf,
  type KeySetServer,
  keySetServer,
  type RsaPair,
  rsaPair,
  signToken,
} from '../kacls/support.ts';
import {
  ALICE,
  BASE_URL,
  type Body,
  type ClaimChanges,
  GMAIL_ISSUER,
  resourceName,
  spkiHash,
  WRAP_CALLER,
} from '../kacls/world.ts';
import { openTestLedger } from '../support/ledger.ts';
import { serveDeployed, settings } from './support/deployed.ts';
import type { Served } from './support/served.ts';
import { keepStandardOutput } from './support/standard-output.ts';

const IDP = 'https://idp.acme.example';
const kek = randomBytes(32);
let folder: string;
let ledger: Ledger;
let issuers: KeySetServer;
let idp: RsaPair;
let google: RsaPair;
let alice: RsaPair;
let served: Served | undefined;
let output: ReturnType<typeof keepStandardOutput>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'key-service-settings-'));
  mkdirSync(join(folder, 'key-encryption-key'));
  writeFileSync(join(folder, 'key-encryption-key', '1'), kek);
  [idp, google, alice] = await Promise.all([rsaPair(2048), rsaPair(2048), rsaPair(2048)]);
  issuers = await keySetServer();
  issuers.published.set('/idp', [jwkOf(idp, 'idp-1')]);
  issuers.published.set('/oauth2/v3/certs', [jwkOf(google, 'google-1')]);
  issuers.published.set(`/service_accounts/v1/jwk/${GMAIL_ISSUER}`, [jwkOf(google, 'google-1')]);
  ledger = await openTestLedger(systemClock);
  const lease = await ledger.acquireLease(`user:${ALICE.userId}`, 60_000);
  if (lease === undefined) throw new Error('Somebody else has the lease of an empty ledger.');
  await ledger.recordSighting(lease, { userId: ALICE.userId, primaryEmail: ALICE.address, aliases: [] });
});
afterAll(async () => {
  await Promise.all([issuers.close(), ledger.close()]);
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  output = keepStandardOutput();
});
afterEach(async () => {
  output.restore();
  await served?.close();
  served = undefined;
});

/** The function with these settings besides those it cannot do without. */
async function deploy(changes: Readonly<Record<string, string>>): Promise<void> {
  served = await serveDeployed(
    'key-service',
    {
      ...settings(folder, `${issuers.root}/`),
      SEALWRIGHT_KEY_SERVICE_URL: BASE_URL,
      SEALWRIGHT_KEY_SERVICE_KEYS: `file:${join(folder, 'key-encryption-key', '1')}`,
      SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
        { issuer: IDP, jwksUrl: `${issuers.root}/idp`, audiences: ['web'] },
      ]),
      SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: WRAP_CALLER,
      ...changes,
    },
    { ledger },
  );
}

const times = () => {
  const now = Math.floor(Date.now() / 1000);
  return { iat: now, exp: now + 3600 };
};

async function tokens(role: string, claims: ClaimChanges = {}): Promise<Body> {
  const email = ALICE.address;
  return {
    authentication: await signToken(idp, 'idp-1', { iss: IDP, aud: 'web', email, ...times(), ...claims }),
    authorization: await signToken(google, 'google-1', {
      ...{ iss: GMAIL_ISSUER, aud: 'cse-authorization', email, role, kacls_url: BASE_URL, ...times() },
      ...{ resource_name: resourceName(email), spki_hash: spkiHash(alice), spki_hash_algorithm: 'SHA-256' },
    }),
  };
}

const wrapped = (perimeterId = ''): string =>
  sealPrivateKey(
    toPkcs1Der(alice.privateKey),
    { userId: ALICE.userId, perimeterId, spkiSha256: spkiSha256Of(alice.privateKey) },
    { kek: { id: 'key-encryption-key/1', key: kek }, tenantId: 'C00sample', random: randomBytes },
  );

async function post(operation: string, body: Body) {
  const answer = await served?.request(`/v1/${operation}`, { body: JSON.stringify(body) });
  const json = (answer?.json ?? {}) as Readonly<Record<string, unknown>>;
  return { status: answer?.status, json };
}

const MESSAGE = randomBytes(60);
const sign = async (changes: Body = {}, claims: ClaimChanges = {}) =>
  post('privatekeysign', {
    ...(await tokens('signer', claims)),
    algorithm: 'SHA256withRSA',
    digest: createHash('sha256').update(MESSAGE).digest('base64'),
    wrapped_private_key: wrapped(),
    ...changes,
  });

describe('the key service, by its settings,', () => {
  it('signs with SHA-1 only where that is switched on', async () => {
    const sha1 = {
      algorithm: 'SHA1withRSA',
      digest: createHash('sha1').update(MESSAGE).digest('base64'),
    };
    await deploy({});
    expect((await sign(sha1)).status).toBe(400);
    await served?.close();
    await deploy({ SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING: 'true' });
    const { status, json } = await sign(sha1);
    expect(status).toBe(200);
    const signature = Buffer.from(String(json['signature']), 'base64');
    expect(verify('sha1', MESSAGE, alice.publicKey, signature)).toBe(true);
  });

  it.each([
    ['the hash of the algorithm', 'same', 'sha256', 'sha1'],
    ['SHA-1', 'sha1', 'sha1', 'sha256'],
  ])('opens OAEP with %s in MGF1 and no other', async (_what, setting, right, wrong) => {
    const contentKey = randomBytes(32);
    writeFileSync(join(folder, 'alice.pub'), alice.publicKey.export({ type: 'spki', format: 'pem' }));
    const encrypted = (mask: string) =>
      execFileSync(
        'openssl',
        [
          ...['pkeyutl', '-encrypt', '-pubin', '-inkey', join(folder, 'alice.pub')],
          ...['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', `rsa_mgf1_md:${mask}`].flatMap((option) => [
            '-pkeyopt',
            option,
          ]),
        ],
        { input: contentKey },
      ).toString('base64');
    await deploy({ SEALWRIGHT_KEY_SERVICE_OAEP_MGF1: setting });
    const decrypt = async (mask: string) =>
      post('privatekeydecrypt', {
        ...(await tokens('decrypter')),
        algorithm: 'RSA/ECB/OAEPwithSHA-256andMGF1Padding',
        encrypted_data_encryption_key: encrypted(mask),
        wrapped_private_key: wrapped(),
      });
    expect(await decrypt(right)).toMatchObject({
      status: 200,
      json: { data_encryption_key: contentKey.toString('base64') },
    });
    expect((await decrypt(wrong)).status).toBe(400);
  });

  it('opens keys of a perimeter for those it admits, and for everybody where none is configured', async () => {
    const board = { wrapped_private_key: wrapped('board') };
    await deploy({
      SEALWRIGHT_KEY_SERVICE_PERIMETERS: JSON.stringify([
        { id: 'board', domains: ['acme.example'], claims: { groups: ['directors'] } },
      ]),
    });
    expect((await sign(board, { groups: ['staff', 'directors'] })).status).toBe(200);
    expect((await sign(board, { groups: ['staff'] })).status).toBe(403);
    expect((await sign({ wrapped_private_key: wrapped('boord') }, { groups: ['directors'] })).status).toBe(
      403,
    );
    expect((await sign()).status).toBe(200);
    await served?.close();
    await deploy({ SEALWRIGHT_KEY_SERVICE_PERIMETERS: '' });
    expect((await sign(board)).status).toBe(200);
  });

  it('lets each person, and each service account, ask no faster than is set', async () => {
    await deploy({
      SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: '{"burst":2,"perSecond":0.0001}',
      SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT: '{"burst":1,"perSecond":0.0001}',
    });
    const wrap = async () =>
      post('wrapprivatekey', {
        authentication: await signToken(google, 'google-1', {
          ...{ iss: 'https://accounts.google.com', aud: BASE_URL, ...times() },
          ...{ email: WRAP_CALLER, email_verified: true },
        }),
        private_key: alice.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        user_id: ALICE.userId,
      });
    const statuses = [];
    for (const ask of [sign, sign, sign, wrap, wrap]) statuses.push((await ask()).status);
    expect(statuses).toEqual([200, 200, 429, 200, 429]);
  });
});

describe('the settings of the key service are refused, named and not repeated,', () => {
  it.each([
    ['PERIMETERS', 'board', 'is no JSON'],
    ['PERIMETERS', '{"id":"board"}', 'expected array'],
    ['PERIMETERS', '[{"domains":["acme.example"]}]', 'PERIMETERS.0.id'],
    ['PERIMETERS', '[{"id":"board","domain":["acme.example"]}]', '"domain"'],
    ['USER_RATE_LIMIT', '300', 'expected object'],
    ['USER_RATE_LIMIT', '{"burst":0,"perSecond":1}', 'USER_RATE_LIMIT.burst'],
    ['PRIVILEGED_RATE_LIMIT', '{"burst":1,"perSecond":0}', 'PRIVILEGED_RATE_LIMIT.perSecond'],
    ['SHA1_SIGNING', 'yes', 'SHA1_SIGNING'],
    ['OAEP_MGF1', 'md5', 'OAEP_MGF1'],
  ])('where %s says %s', (name, value, complaint) => {
    expect(() => parseSettings({ [`SEALWRIGHT_KEY_SERVICE_${name}`]: value })).toThrow(
      expect.objectContaining({
        code: 'settings-invalid',
        message: expect.stringMatching(new RegExp(`SEALWRIGHT_KEY_SERVICE_${name}.*`)),
      }),
    );
    expect(() => parseSettings({ [`SEALWRIGHT_KEY_SERVICE_${name}`]: value })).toThrow(complaint);
  });
});
