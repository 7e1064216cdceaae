/** Verification cannot be configured away: whatever the settings, a request without genuine tokens gets no key. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKeyService } from '../../functions/key-service.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import { ENDPOINTS } from '../../shared/kacls/endpoints.ts';
import type { KeyServiceSettings } from '../../shared/kacls/settings.ts';
import { jwkOf, memoryKeks, memorySigningKeys, signToken } from './support.ts';
import {
  ADMIN_CLIENT,
  ALICE,
  IDP,
  type Keys,
  makeKeys,
  startWorld,
  WEB_CLIENT,
  type World,
} from './world.ts';

let keys: Keys;
let world: World;
const keks = memoryKeks([{ id: 'kek/1', key: randomBytes(32) }]);
let genuine: Record<string, unknown>;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, { keks });
  // Everything a request needs except tokens that hold, for any operation.
  genuine = {
    algorithm: 'SHA256withRSA',
    digest: randomBytes(32).toString('base64'),
    encrypted_data_encryption_key: randomBytes(256).toString('base64'),
    wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
    private_key: keys.bob.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    user_id: ALICE.userId,
    wrapped_key: await world.wrapContentKey(randomBytes(32)),
    key: randomBytes(32).toString('base64'),
    resource_name: '//googleapis.com/drive/files/1ZRzC',
    original_kacls_url: 'https://old-kacls.example/v1',
  };
});
afterAll(() => world.close());

const PUBLIC = ['status', 'certs'];

const anySettings: fc.Arbitrary<Partial<KeyServiceSettings>> = fc.record(
  {
    guests: fc.constantFrom('allow', 'refuse'),
    sha1Signing: fc.boolean(),
    oaepMgf1: fc.constantFrom('same', 'sha1'),
    applications: fc.uniqueArray(fc.constantFrom('drive', 'meet', 'calendar', 'gmail', 'gmail-sta'), {
      minLength: 1,
    }),
    wrapCallers: fc.uniqueArray(fc.constantFrom('a@b.example', '*', ALICE.address)),
    migrationSources: fc.subarray(['https://old-kacls.example/v1']),
    migrationTargets: fc.subarray(['https://next-kacls.example/v1']),
    perimeters: fc.subarray([{ id: 'board' }, { id: '' }]),
    privilegedCallers: fc.record(
      {
        privilegedwrap: fc.subarray(['*', ALICE.address]),
        privilegedunwrap: fc.subarray(['*', ALICE.address]),
        privilegedprivatekeydecrypt: fc.subarray(['*', ALICE.address]),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

describe('no settings of the key service', () => {
  it('let a request without tokens, or with forged ones, reach a key', async () => {
    const now = world.clock.seconds();
    const claims = {
      iss: IDP,
      aud: [WEB_CLIENT, ADMIN_CLIENT],
      email: ALICE.address,
      iat: now,
      exp: now + 9,
    };
    const unsigned = [{ alg: 'none' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const tokens = [undefined, '', `${unsigned}.`, await signToken(keys.stranger, 'idp-1', claims)];
    await fc.assert(
      fc.asyncProperty(anySettings, fc.constantFrom(...tokens), async (changes, token) => {
        const serve = createKeyService({
          settings: { ...world.settings, ...changes },
          keyEncryptionKeys: keks,
          addressBook: { userIdsOfAddress: async () => [ALICE.userId] },
          keySetDocuments: {
            fetch: async () => ({ keys: [jwkOf(keys.idp, 'idp-1')], maxAgeMs: undefined }),
          },
          tokenSigningKeys: memorySigningKeys([keys.ours]),
          otherKeyServices: { privilegedUnwrap: async () => randomBytes(32) },
          clock: world.clock,
          log: { info: () => {}, warning: () => {}, error: () => {} },
          version: '0',
        });
        for (const [operation] of [...ENDPOINTS].filter(([name]) => !PUBLIC.includes(name))) {
          const answer = await serve({
            method: 'POST',
            path: `/v1/${operation}`,
            query: new URLSearchParams('alt=json'),
            headers: { authorization: `Bearer ${token}` },
            body: Buffer.from(JSON.stringify({ ...genuine, authentication: token, authorization: token })),
          });
          expect([401, 403, 404], `${operation}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are named like a switch for that', () => {
    const names = Object.keys(parseSettings({})).join('\n');
    expect(names).not.toMatch(/INSECURE|DISABLE|SKIP|UNSAFE|NO_?VERIF|DEBUG|TRUST_ALL/i);
  });
});
