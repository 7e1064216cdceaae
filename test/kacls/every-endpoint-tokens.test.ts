/** What every endpoint that takes two tokens refuses, asked of each of them. The single cases are in service-tokens. */
import { constants, createHmac, publicEncrypt, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jwkOf, type RsaPair, signToken } from './support.ts';
import {
  ALICE,
  APPLICATION_ISSUERS,
  BASE_URL,
  BOB,
  type Body,
  type ClaimChanges,
  DRIVE_ISSUER,
  FILE,
  GMAIL_ISSUER,
  IDP,
  type Keys,
  MIGRATION_ISSUER,
  makeKeys,
  refusalProblems,
  resourceName,
  startWorld,
  WEB_CLIENT,
  type World,
} from './world.ts';

let keys: Keys;
let world: World;
let fields: Readonly<Record<string, Body>>;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys);
  const wrapped_private_key = await world.wrappedKey(keys.alice, ALICE.userId);
  const contentKey = randomBytes(32);
  const encrypted = publicEncrypt(
    { key: keys.alice.publicKey, padding: constants.RSA_PKCS1_PADDING },
    contentKey,
  );
  fields = {
    wrap: { key: contentKey.toString('base64') },
    unwrap: { wrapped_key: await world.wrapContentKey(contentKey) },
    privatekeysign: {
      algorithm: 'SHA256withRSA',
      digest: randomBytes(32).toString('base64'),
      wrapped_private_key,
    },
    privatekeydecrypt: {
      algorithm: 'RSA/ECB/PKCS1Padding',
      encrypted_data_encryption_key: encrypted.toString('base64'),
      wrapped_private_key,
    },
  };
});
afterAll(() => world.close());

const ROLES = ['reader', 'writer', 'upgrader', 'signer', 'decrypter', 'verifier', 'migrator'];

describe.each([
  { operation: 'wrap', role: 'writer', roles: ['writer', 'upgrader'], ofFiles: true },
  { operation: 'unwrap', role: 'reader', roles: ['reader', 'writer'], ofFiles: true },
  { operation: 'privatekeysign', role: 'signer', roles: ['signer'], ofFiles: false },
  { operation: 'privatekeydecrypt', role: 'decrypter', roles: ['decrypter'], ofFiles: false },
])('$operation', ({ operation, role, roles, ofFiles }) => {
  const authorization = (changes: ClaimChanges = {}, pair?: RsaPair, kid?: string) =>
    (ofFiles ? world.fileAuthorization : world.authorization)({ role, ...changes }, pair, kid);
  const ask = async (changes: Body = {}) =>
    world.post(operation, {
      authentication: await world.authentication(),
      authorization: await authorization(),
      ...fields[operation],
      ...changes,
    });
  const refused = async (changes: Body, status: number) => {
    const secrets = Object.values(changes).filter((value) => typeof value === 'string');
    expect(refusalProblems(await ask(changes), status, secrets)).toEqual([]);
  };

  it('serves a request whose tokens are both right', async () => {
    expect((await ask()).status).toBe(200);
  });

  it('refuses tokens that are missing, empty or no tokens', async () => {
    for (const token of [undefined, '', null, 'hello', '..']) {
      await refused({ authentication: token }, 401);
      await refused({ authorization: token }, 403);
    }
  });

  it('refuses tokens signed by somebody else, under a known and an unknown key id', async () => {
    for (const kid of ['idp-1', 'nobody']) {
      await refused({ authentication: await world.authentication({}, keys.stranger, kid) }, 401);
    }
    for (const kid of ['gmail-1', 'nobody']) {
      await refused({ authorization: await authorization({}, keys.stranger, kid) }, 403);
    }
  });

  it('refuses every way of not signing with RS256', async () => {
    const now = world.clock.seconds();
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: IDP, aud: WEB_CLIENT, email: ALICE.address, iat: now, exp: now + 3600 };
    const unsigned = ['none', 'None', 'NONE'].map(
      (alg) => `${encode({ alg, kid: 'idp-1' })}.${encode(claims)}.`,
    );
    const secrets = [
      keys.idp.publicKey.export({ type: 'spki', format: 'pem' }),
      keys.idp.publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(jwkOf(keys.idp, 'idp-1')),
    ];
    const keyed = secrets.map((secret) => {
      const input = `${encode({ alg: 'HS256', kid: 'idp-1' })}.${encode(claims)}`;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    });
    const others = await Promise.all(
      ['RS384', 'RS512', 'PS256'].map((alg) => signToken(keys.idp, 'idp-1', claims, { alg })),
    );
    const brought = await signToken(keys.stranger, 'idp-1', claims, {
      jwk: jwkOf(keys.stranger, 'idp-1'),
      jku: `${world.keySets.root}/evil`,
    });
    for (const token of [...unsigned, ...keyed, ...others, brought]) {
      await refused({ authentication: token }, 401);
      await refused({ authorization: token }, 403);
    }
    expect(world.keySets.asked.get('/evil')).toBeUndefined();
  });

  it.each([
    ['another issuer', { iss: 'https://evil.example' }],
    ['another audience', { aud: 'somebody' }],
    ['no audience', { aud: undefined }],
    ['no expiry', { exp: undefined }],
    ['no time of issue', { iat: undefined }],
  ])('refuses tokens with %s', async (_what, changes) => {
    await refused({ authentication: await world.authentication(changes) }, 401);
    await refused({ authorization: await authorization(changes) }, 403);
  });

  it('refuses a token one second past the skew, and takes it one second before', async () => {
    const now = world.clock.seconds();
    for (const times of [{ iat: now - 3600, exp: now - 61 }, { iat: now + 61 }, { nbf: now + 61 }]) {
      await refused({ authentication: await world.authentication(times) }, 401);
      await refused({ authorization: await authorization(times) }, 403);
    }
    for (const times of [{ iat: now - 3600, exp: now - 59 }, { iat: now + 59 }, { nbf: now + 59 }]) {
      const authentication = await world.authentication(times);
      expect((await ask({ authentication, authorization: await authorization(times) })).status).toBe(200);
    }
  });

  it("refuses the two tokens in each other's place", async () => {
    await refused({ authentication: await authorization() }, 401);
    await refused({ authorization: await world.authentication() }, 403);
  });

  it('listens to the issuers of its own applications alone', async () => {
    const others = [...APPLICATION_ISSUERS, MIGRATION_ISSUER].filter(
      (issuer) => (issuer === GMAIL_ISSUER) === ofFiles || issuer === MIGRATION_ISSUER,
    );
    expect(others).toContain(ofFiles ? GMAIL_ISSUER : DRIVE_ISSUER);
    for (const iss of others) await refused({ authorization: await authorization({ iss }) }, 403);
  });

  it(`is for ${roles.join(' and ')} alone`, async () => {
    for (const other of ROLES) {
      const token = await authorization({ role: other });
      if (roles.includes(other)) expect((await ask({ authorization: token })).status).toBe(200);
      else await refused({ authorization: token }, 403);
    }
    await refused({ authorization: await authorization({ role: undefined }) }, 403);
    await refused({ authorization: await authorization({ role: [role] }) }, 403);
  });

  it('compares the users of both tokens, by google_email where there is one', async () => {
    const as = (changes: ClaimChanges) => world.authentication(changes);
    await refused({ authentication: await as({ email: BOB.address }) }, 403);
    await refused({ authentication: await as({ google_email: BOB.address }) }, 403);
    expect((await ask({ authentication: await as({ email: 'ALICE@Acme.example' }) })).status).toBe(200);
    const other = await as({ email: 'a@corp.example', google_email: ALICE.address });
    expect((await ask({ authentication: other })).status).toBe(200);
  });

  it.each([
    ['of another host', { kacls_url: 'https://evil.example/v1' }],
    ['at another path', { kacls_url: 'https://kacls.acme.example/v2' }],
    ['without TLS', { kacls_url: BASE_URL.replace('https', 'http') }],
    ['that is missing', { kacls_url: undefined }],
    ['of another owner', { kacls_owner_domain: 'evil.example' }],
  ])('refuses a token for a key service %s', async (_what, changes) => {
    await refused({ authorization: await authorization(changes) }, 403);
  });

  it('takes the owner for right where the token names ours or none', async () => {
    for (const kacls_owner_domain of [undefined, 'ACME.example']) {
      expect((await ask({ authorization: await authorization({ kacls_owner_domain }) })).status).toBe(200);
    }
  });

  it('refuses guests unless the settings let them in', async () => {
    for (const email_type of ['google-visitor', 'customer-idp']) {
      await refused({ authorization: await authorization({ email_type }) }, 403);
    }
    expect((await ask({ authorization: await authorization({ email_type: 'google' }) })).status).toBe(200);
  });

  it('refuses a delegated token that names no resource, and a delegate of one token alone', async () => {
    const delegated_to = 'device-7';
    await refused({ authentication: await world.authentication({ delegated_to }) }, 403);
    await refused({ authorization: await authorization({ delegated_to }) }, ofFiles ? 401 : 403);
    const resource_name = ofFiles ? FILE : resourceName(ALICE.address);
    await refused(
      {
        authentication: await world.authentication({ delegated_to, resource_name }),
        authorization: await authorization({ delegated_to: 'device-8' }),
      },
      403,
    );
  });
});
