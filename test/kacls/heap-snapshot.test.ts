import { spawn } from 'node:child_process';
import { constants, publicEncrypt, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import { jwkOf, type RsaPair, rsaPair, signToken } from './support.ts';
import { ALICE, BASE_URL, GMAIL_ISSUER, IDP, resourceName, spkiHash, WEB_CLIENT } from './world.ts';

const ROUNDS = 500;
const CANARY = `canary-${randomBytes(16).toString('hex')}`;

describe('the memory of a key service that used a private key a thousand times', () => {
  let folder: string;
  let heap: string;
  let alice: RsaPair;
  let contentKey: Buffer;
  let report: unknown;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kacls-heap-'));
    const [idp, gmail] = await Promise.all([rsaPair(2048), rsaPair(2048)]);
    alice = await rsaPair(2048);
    contentKey = randomBytes(32);
    const kek = { id: 'kek/1', key: randomBytes(32) };
    const spki = spkiHash(alice);
    const wrapped_private_key = sealPrivateKey(
      alice.privateKey.export({ type: 'pkcs1', format: 'der' }),
      { userId: ALICE.userId, perimeterId: '', spkiSha256: Buffer.from(spki, 'base64') },
      { kek, tenantId: 'C00sample', random: randomBytes },
    );
    const now = Math.floor(Date.now() / 1000);
    const validity = { iat: now, exp: now + 3600 };
    const common = {
      authentication: await signToken(idp, 'idp-1', {
        ...{ iss: IDP, aud: WEB_CLIENT, email: ALICE.address },
        ...validity,
      }),
      reason: CANARY,
      wrapped_private_key,
    };
    const authorization = (role: string) =>
      signToken(gmail, 'gmail-1', {
        ...{ iss: GMAIL_ISSUER, aud: 'cse-authorization', email: ALICE.address, role, kacls_url: BASE_URL },
        ...{ resource_name: resourceName(ALICE.address), spki_hash: spki, spki_hash_algorithm: 'SHA-256' },
        ...validity,
      });
    const encrypted = publicEncrypt(
      { key: alice.publicKey, padding: constants.RSA_PKCS1_PADDING },
      contentKey,
    );
    const snapshotFile = join(folder, 'service.heapsnapshot');
    report = await runChild({
      settings: {
        ...{ baseUrl: BASE_URL, tenantId: 'C00sample', ownerDomain: 'acme.example', wrapCallers: [] },
        authenticationIssuers: [
          { issuer: IDP, jwksUrl: 'https://idp.example/keys', audiences: [WEB_CLIENT] },
        ],
        ...{ authorizationKeySetRoot: 'https://google.example/', guests: 'refuse' },
        ...{ sha1Signing: false, oaepMgf1: 'same', userRateLimit: { burst: 1e6, perSecond: 1e6 } },
      },
      kek: { id: kek.id, keyBase64: kek.key.toString('base64') },
      keySets: {
        'https://idp.example/keys': [jwkOf(idp, 'idp-1')],
        [`https://google.example/${GMAIL_ISSUER}`]: [jwkOf(gmail, 'gmail-1')],
      },
      userId: ALICE.userId,
      requests: [
        {
          path: '/v1/privatekeysign',
          body: {
            ...common,
            authorization: await authorization('signer'),
            algorithm: 'SHA256withRSA',
            digest: randomBytes(32).toString('base64'),
          },
        },
        {
          path: '/v1/privatekeydecrypt',
          body: {
            ...common,
            authorization: await authorization('decrypter'),
            algorithm: 'RSA/ECB/PKCS1Padding',
            encrypted_data_encryption_key: encrypted.toString('base64'),
          },
        },
      ],
      rounds: ROUNDS,
      snapshotFile,
      canary: CANARY,
    });
    heap = readFileSync(snapshotFile, 'latin1');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('holds what the program still knows, so that a key would be found', () => {
    expect(report).toEqual({ statuses: [[200, 2 * ROUNDS]], canaryLength: CANARY.length });
    expect(heap).toContain(CANARY);
    expect(heap).toContain(ALICE.address);
  });

  it('holds no part of the private key in any of the forms it has as text', () => {
    const der = alice.privateKey.export({ type: 'pkcs1', format: 'der' });
    const pkcs8 = alice.privateKey.export({ type: 'pkcs8', format: 'der' });
    const { d = '', p = '', q = '', dp = '', dq = '', qi = '' } = alice.privateKey.export({ format: 'jwk' });
    const parts = [d, p, q, dp, dq, qi].map((part) => Buffer.from(part, 'base64url'));
    // From the private exponent on; what goes before is the public half.
    const encodings = [...parts, der.subarray(300), pkcs8.subarray(330)].flatMap((bytes) => [
      ...[bytes.toString('hex'), bytes.toString('hex').toUpperCase(), bytes.toString('base64')],
      ...[bytes.toString('base64url'), bytes.toString('latin1')],
    ]);
    expect(encodings.length).toBe(40);
    expect(encodings.filter((encoding) => heap.includes(encoding.slice(8, 56)))).toEqual([]);
  });

  it('holds no content key', () => {
    const encodings = (['hex', 'base64', 'base64url', 'latin1'] as const).map((name) =>
      contentKey.toString(name),
    );
    expect(encodings.filter((encoding) => heap.includes(encoding.slice(0, 40)))).toEqual([]);
  });
});

async function runChild(assignment: unknown): Promise<unknown> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./heap-child.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(assignment));
  return JSON.parse(await text(child.stdout));
}
