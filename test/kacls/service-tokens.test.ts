import { createHmac, randomBytes } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jwkOf, rsaPair, signToken } from './support.ts';
import {
  ALICE,
  BASE_URL,
  BOB,
  type Body,
  DRIVE_ISSUER,
  GMAIL_ISSUER,
  IDP,
  type Keys,
  makeKeys,
  PHONE_CLIENT,
  refusalProblems,
  resourceName,
  SECOND_IDP,
  startWorld,
  WEB_CLIENT,
  type World,
  type WorldOptions,
  WRAP_CALLER,
} from './world.ts';

const DIGEST = randomBytes(32).toString('base64');

let keys: Keys;
let world: World;
beforeAll(async () => {
  keys = await makeKeys();
});
beforeEach(async () => {
  world = await startWorld(keys);
});
afterEach(() => world.close());

/** Starts over with other settings; the world of the test is replaced. */
async function restart(options: WorldOptions): Promise<void> {
  await world.close();
  world = await startWorld(keys, options);
}

/** A signing request that succeeds, with some of it replaced; undefined removes a field. */
async function sign(changes: Body = {}): Promise<number> {
  const answer = await world.post('privatekeysign', {
    authentication: await world.authentication(),
    authorization: await world.authorization(),
    algorithm: 'SHA256withRSA',
    digest: DIGEST,
    wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
    ...changes,
  });
  // Every refusal in this file is checked for its form as well.
  if (answer.status !== 200) {
    const sent = Object.values(changes).filter((value) => typeof value === 'string');
    expect(refusalProblems(answer, answer.status, sent)).toEqual([]);
  }
  return answer.status;
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('key service, reading the two tokens', () => {
  it('serves a request whose tokens are both right', async () => {
    expect(await sign()).toBe(200);
  });

  it.each(['missing', 'empty', 'null'])('refuses a request whose authentication is %s', async (how) => {
    expect(await sign({ authentication: { missing: undefined, empty: '', null: null }[how] })).toBe(401);
  });

  it.each(['missing', 'empty', 'null'])('refuses a request whose authorization is %s', async (how) => {
    expect(await sign({ authorization: { missing: undefined, empty: '', null: null }[how] })).toBe(403);
  });

  it.each([
    ['no token at all', 'hello'],
    ['three empty parts', '..'],
    ['parts that are no JSON', 'YQ.YQ.YQ'],
  ])('refuses %s', async (_what, token) => {
    expect(await sign({ authentication: token })).toBe(401);
    expect(await sign({ authorization: token })).toBe(403);
  });

  it('refuses a signature made with another key under a known key id', async () => {
    expect(await sign({ authentication: await world.authentication({}, keys.stranger) })).toBe(401);
    expect(await sign({ authorization: await world.authorization({}, keys.stranger) })).toBe(403);
  });

  it('refuses a token whose claims were changed after signing', async () => {
    const [header, , signature] = (await world.authentication()).split('.');
    const now = world.clock.seconds();
    const claims = base64url({ iss: IDP, aud: WEB_CLIENT, email: BOB.address, iat: now, exp: now + 3600 });
    expect(await sign({ authentication: `${header}.${claims}.${signature}` })).toBe(401);
  });

  it('refuses a token without a key id', async () => {
    const claims = { iss: IDP, aud: WEB_CLIENT, email: ALICE.address };
    const now = world.clock.seconds();
    const token = await signToken(keys.idp, undefined, { ...claims, iat: now, exp: now + 3600 });
    expect(await sign({ authentication: token })).toBe(401);
  });

  it('refuses unsigned tokens and tokens under an HMAC with the public key as its secret', async () => {
    const now = world.clock.seconds();
    const claims = base64url({ iss: IDP, aud: WEB_CLIENT, email: ALICE.address, iat: now, exp: now + 3600 });
    expect(await sign({ authentication: `${base64url({ alg: 'none', kid: 'idp-1' })}.${claims}.` })).toBe(
      401,
    );
    const signed = `${base64url({ alg: 'HS256', kid: 'idp-1' })}.${claims}`;
    const secret = keys.idp.publicKey.export({ type: 'spki', format: 'pem' });
    const mac = createHmac('sha256', secret).update(signed).digest('base64url');
    expect(await sign({ authentication: `${signed}.${mac}` })).toBe(401);
  });

  it('refuses every other RSA algorithm', async () => {
    const now = world.clock.seconds();
    for (const alg of ['RS384', 'RS512', 'PS256']) {
      const token = await signToken(
        keys.idp,
        'idp-1',
        { iss: IDP, aud: WEB_CLIENT, email: ALICE.address, iat: now, exp: now + 3600 },
        { alg },
      );
      expect(await sign({ authentication: token })).toBe(401);
    }
  });

  it('ignores keys that a token brings along or points to', async () => {
    const now = world.clock.seconds();
    world.keySets.published.set('/evil', [jwkOf(keys.stranger, 'idp-1')]);
    const token = await signToken(
      keys.stranger,
      'idp-1',
      { iss: IDP, aud: WEB_CLIENT, email: ALICE.address, iat: now, exp: now + 3600 },
      { jwk: keys.stranger.publicKey.export({ format: 'jwk' }), jku: `${world.keySets.root}/evil` },
    );
    expect(await sign({ authentication: token })).toBe(401);
    expect(world.keySets.asked.get('/evil')).toBeUndefined();
  });

  it.each([
    ['an issuer nobody configured', { iss: 'https://login.acme.example/' }],
    ['no issuer', { iss: undefined }],
    ['another audience', { aud: 'another-client' }],
    ['no audience', { aud: undefined }],
    ['an empty list of audiences', { aud: [] }],
    ['no expiry', { exp: undefined }],
    ['an expiry that is text', { exp: '4102444800' }],
    ['no time of issue', { iat: undefined }],
    ['no address', { email: undefined }],
    ['an empty address', { email: '' }],
    ['an address that is no text', { email: [ALICE.address] }],
    ['an address its provider has not verified', { email_verified: false }],
    ['an audience of another trusted issuer', { aud: 'partner-client' }],
  ])('refuses an authentication token with %s', async (_what, changes) => {
    expect(await sign({ authentication: await world.authentication(changes) })).toBe(401);
  });

  it.each([
    ['another audience', { aud: 'cse-other' }],
    ['no audience', { aud: undefined }],
    ['no expiry', { exp: undefined }],
    ['no time of issue', { iat: undefined }],
    ['no address', { email: undefined }],
    ['no role', { role: undefined }],
    ['no kacls_url', { kacls_url: undefined }],
    ['no resource name', { resource_name: undefined }],
  ])('refuses an authorization token with %s', async (_what, changes) => {
    expect(await sign({ authorization: await world.authorization(changes) })).toBe(403);
  });

  it.each([
    ['expired less than the skew ago', (now: number) => ({ iat: now - 3600, exp: now - 59 }), true],
    ['expired for as long as the skew', (now: number) => ({ iat: now - 3600, exp: now - 60 }), false],
    ['valid from within the skew', (now: number) => ({ nbf: now + 60 }), true],
    ['valid from beyond the skew', (now: number) => ({ nbf: now + 61 }), false],
    ['issued within the skew in the future', (now: number) => ({ iat: now + 60 }), true],
    ['issued beyond the skew in the future', (now: number) => ({ iat: now + 61 }), false],
  ])('allows clocks to differ by a minute: a token %s', async (_what, times, accepted) => {
    const changes = times(world.clock.seconds());
    expect(await sign({ authentication: await world.authentication(changes) })).toBe(accepted ? 200 : 401);
    expect(await sign({ authorization: await world.authorization(changes) })).toBe(accepted ? 200 : 403);
  });

  it('accepts a list of audiences, a second audience and a second identity provider', async () => {
    const accepted = [
      await world.authentication({ aud: ['somebody', WEB_CLIENT] }),
      await world.authentication({ aud: PHONE_CLIENT }),
      await world.authentication({ iss: SECOND_IDP, aud: 'partner-client' }, keys.secondIdp, 'second-1'),
    ];
    for (const authentication of accepted) expect(await sign({ authentication })).toBe(200);
  });

  it('does not take one identity provider at its word for another', async () => {
    const token = await world.authentication({ iss: SECOND_IDP, aud: 'partner-client' }, keys.idp, 'idp-1');
    expect(await sign({ authentication: token })).toBe(401);
  });

  it('does not take the authorization token for the authentication token, or the reverse', async () => {
    expect(await sign({ authentication: await world.authorization() })).toBe(401);
    expect(await sign({ authorization: await world.authentication() })).toBe(403);
  });

  it.each([
    ['the issuer for Drive', DRIVE_ISSUER],
    ['the issuer for migrations', 'apps-security-cse-kaclscommunication@system.gserviceaccount.com'],
    ['an issuer with a name that begins alike', `${GMAIL_ISSUER}.evil.example`],
  ])('does not listen to %s where private keys are used', async (_who, iss) => {
    expect(await sign({ authorization: await world.authorization({ iss }) })).toBe(403);
  });
});

describe('key service, comparing what the tokens say', () => {
  it.each(['reader', 'writer', 'upgrader', 'decrypter', 'verifier', 'migrator', 'Signer', '', ['signer']])(
    'does not sign for the role %j',
    async (role) => {
      expect(await sign({ authorization: await world.authorization({ role }) })).toBe(403);
    },
  );

  it.each(['reader', 'writer', 'signer', 'verifier'])('does not decrypt for the role %s', async (role) => {
    const answer = await world.post('privatekeydecrypt', {
      authentication: await world.authentication(),
      authorization: await world.authorization({ role }),
      algorithm: 'RSA/ECB/PKCS1Padding',
      encrypted_data_encryption_key: randomBytes(256).toString('base64'),
      wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
    });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });

  it('refuses tokens of two different users', async () => {
    expect(await sign({ authentication: await world.authentication({ email: BOB.address }) })).toBe(403);
  });

  it('ignores the case of addresses', async () => {
    const authentication = await world.authentication({ email: 'Alice@ACME.example' });
    expect(await sign({ authentication })).toBe(200);
  });

  it('folds only ASCII letters: the Kelvin sign is no k', async () => {
    world.addresses.set('kim@acme.example', [ALICE.userId]);
    const authorization = await world.authorization({ email: 'kim@acme.example' });
    const authentication = await world.authentication({ email: '\u212aim@acme.example' });
    expect(await sign({ authorization, authentication })).toBe(403);
  });

  it('takes google_email for the address where the identity provider gives it, and then nothing else', async () => {
    const fitting = await world.authentication({ email: 'a.doe@corp.example', google_email: ALICE.address });
    expect(await sign({ authentication: fitting })).toBe(200);
    const differing = await world.authentication({ google_email: BOB.address });
    expect(await sign({ authentication: differing })).toBe(403);
    expect(await sign({ authentication: await world.authentication({ google_email: '' }) })).toBe(401);
  });

  it.each([
    ['another host', 'https://kacls.evil.example/v1'],
    ['another path', 'https://kacls.acme.example/v2'],
    ['a path below ours', `${BASE_URL}/privatekeysign`],
    ['plain HTTP', BASE_URL.replace('https', 'http')],
    ['another spelling of the host', 'https://KACLS.acme.example/v1'],
    ['an explicit port', 'https://kacls.acme.example:443/v1'],
    ['two trailing slashes', `${BASE_URL}//`],
  ])('refuses a token issued for a key service at %s', async (_where, kacls_url) => {
    expect(await sign({ authorization: await world.authorization({ kacls_url }) })).toBe(403);
  });

  it('takes one trailing slash for no difference, on either side', async () => {
    expect(await sign({ authorization: await world.authorization({ kacls_url: `${BASE_URL}/` }) })).toBe(200);
    await restart({ settings: { baseUrl: `${BASE_URL}/` } });
    expect(await sign({ authorization: await world.authorization({ kacls_url: BASE_URL }) })).toBe(200);
  });

  it('compares the owner domain where Google sends one', async () => {
    const of = (kacls_owner_domain: unknown) => world.authorization({ kacls_owner_domain });
    expect(await sign({ authorization: await of('ACME.example') })).toBe(200);
    expect(await sign({ authorization: await of('evil.example') })).toBe(403);
    expect(await sign({ authorization: await of('') })).toBe(403);
  });

  it('serves people without a Google account only where that is allowed', async () => {
    const of = (email_type: unknown) => world.authorization({ email_type });
    expect(await sign({ authorization: await of('google') })).toBe(200);
    for (const type of ['google-visitor', 'customer-idp', 'something-new', 7]) {
      expect(await sign({ authorization: await of(type) })).toBe(403);
    }
    await restart({ settings: { guests: 'allow' } });
    for (const type of ['google-visitor', 'customer-idp']) {
      expect(await sign({ authorization: await of(type) })).toBe(200);
    }
    expect(await sign({ authorization: await of('something-new') })).toBe(403);
  });

  it('accepts no delegated token where private keys are used', async () => {
    const resource_name = resourceName(ALICE.address);
    const delegated = { delegated_to: 'device-7', resource_name };
    expect(await sign({ authentication: await world.authentication(delegated) })).toBe(403);
    expect(await sign({ authentication: await world.authentication({ delegated_to: 'device-7' }) })).toBe(
      403,
    );
    expect(await sign({ authorization: await world.authorization({ delegated_to: 'device-7' }) })).toBe(403);
  });

  it('refuses a perimeter other than the one the key was wrapped with, and reads an empty one as none', async () => {
    const wrapped_private_key = await world.wrappedKey(keys.alice, ALICE.userId, { perimeter_id: 'board' });
    const use = async (perimeter_id: unknown) =>
      sign({ wrapped_private_key, authorization: await world.authorization({ perimeter_id }) });
    expect(await use('board')).toBe(200);
    expect(await use('')).toBe(200);
    expect(await use(undefined)).toBe(200);
    expect(await use('staff')).toBe(403);
    expect(await sign({ authorization: await world.authorization({ perimeter_id: 'board' }) })).toBe(403);
  });
});

describe('key service, keeping the keys of token issuers', () => {
  const asked = (path = '/idp') => world.keySets.asked.get(path) ?? 0;

  it('accepts a key that was rotated in, after exactly one more fetch', async () => {
    expect(await sign()).toBe(200);
    expect(asked()).toBe(1);
    const fresh = await rsaPair(2048);
    world.keySets.published.set('/idp', [jwkOf(keys.idp, 'idp-1'), jwkOf(fresh, 'idp-2')]);
    expect(await sign({ authentication: await world.authentication({}, fresh, 'idp-2') })).toBe(200);
    expect(asked()).toBe(2);
  });

  it('fetches once a minute at most for key ids that nobody publishes', async () => {
    expect(await sign()).toBe(200);
    for (const kid of ['made-up-1', 'made-up-2', 'made-up-3']) {
      expect(await sign({ authentication: await world.authentication({}, keys.stranger, kid) })).toBe(401);
    }
    expect(asked()).toBe(2);
    world.clock.advance(60_000);
    expect(await sign({ authentication: await world.authentication({}, keys.stranger, 'made-up-4') })).toBe(
      401,
    );
    expect(asked()).toBe(3);
  });

  it('goes on with the keys it has while the issuer is down, long after their time', async () => {
    expect(await sign()).toBe(200);
    world.keySets.down = true;
    world.clock.advance(7 * 86_400_000);
    expect(await sign()).toBe(200);
    expect(world.log.lines.some(({ event }) => event === 'key-set-not-refreshed')).toBe(true);
    expect(await sign({ authentication: await world.authentication({}, keys.stranger, 'made-up') })).toBe(
      401,
    );
    expect(await sign()).toBe(200);
  });

  it('asks callers to come back while it never had any key', async () => {
    world.keySets.down = true;
    const body = { authentication: await world.authentication() };
    const answer = await world.post('privatekeysign', body);
    expect(refusalProblems(answer, 503)).toEqual([]);
    expect(answer.headers.get('retry-after')).toBe('5');
    world.keySets.down = false;
    world.clock.advance(5_000);
    expect((await world.post('privatekeysign', body)).status).toBe(403);
  });
});

describe('wrapprivatekey, admitting its callers', () => {
  const wrap = async (authentication: string) => {
    const answer = await world.wrap(keys.alice, ALICE.userId, { authentication });
    if (answer.status !== 200) expect(refusalProblems(answer, answer.status, [authentication])).toEqual([]);
    return answer.status;
  };

  it('admits a listed service account with a token for our address', async () => {
    expect(await wrap(await world.wrapAuthentication())).toBe(200);
    expect(await wrap(await world.wrapAuthentication({ aud: `${BASE_URL}/` }))).toBe(200);
    expect(await wrap(await world.wrapAuthentication({ email: WRAP_CALLER.toUpperCase() }))).toBe(200);
  });

  it('refuses an ordinary user, however valid the token of the identity provider', async () => {
    expect(await wrap(await world.authentication())).toBe(401);
    expect(await wrap(await world.authentication({ aud: BASE_URL, email: WRAP_CALLER }))).toBe(401);
  });

  it('refuses the listed account when another trusted issuer vouches for it', async () => {
    const token = await world.authentication(
      { iss: SECOND_IDP, aud: BASE_URL, email: WRAP_CALLER, email_verified: true },
      keys.secondIdp,
      'second-1',
    );
    expect(await wrap(token)).toBe(401);
  });

  it('refuses an authorization token of Gmail in its place', async () => {
    expect(await wrap(await world.authorization({ email: WRAP_CALLER, email_verified: true }))).toBe(401);
  });

  it.each([
    ['an account that is not listed', { email: 'other@acme-pki.iam.gserviceaccount.com' }, 403],
    ['an account whose address is not verified', { email_verified: false }, 403],
    ['an account whose address is verified only in words', { email_verified: 'true' }, 403],
    ['a token for another service', { aud: 'https://admin.acme.example' }, 401],
    ['a token for an OAuth client', { aud: WEB_CLIENT }, 401],
    ['a token without an address', { email: undefined }, 401],
    ['a token without expiry', { exp: undefined }, 401],
  ])('refuses %s', async (_who, changes, status) => {
    expect(await wrap(await world.wrapAuthentication(changes))).toBe(status);
  });

  it('refuses a token that has expired, and one signed by somebody else', async () => {
    const expired = await world.wrapAuthentication();
    world.clock.advance(3_660_000);
    expect(await wrap(expired)).toBe(401);
    expect(await wrap(await world.wrapAuthentication({}, keys.stranger))).toBe(401);
  });

  it('admits nobody where the list is empty: then there is no such endpoint', async () => {
    await restart({ settings: { wrapCallers: [] } });
    expect(await wrap(await world.wrapAuthentication())).toBe(404);
  });
});
