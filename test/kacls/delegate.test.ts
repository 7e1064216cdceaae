import { randomBytes } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { jwkOf, memorySigningKeys, signToken } from './support.ts';
import {
  ALICE,
  BASE_URL,
  BOB,
  type Body,
  type ClaimChanges,
  FILE,
  type Keys,
  makeKeys,
  refusalProblems,
  resourceName,
  startWorld,
  type World,
} from './world.ts';

const DEVICE = 'Room-7@resource.acme.example';
const KEY = randomBytes(32).toString('base64');

let keys: Keys;
let world: World;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, {
    settings: { perimeters: [{ id: 'board', claims: { groups: ['directors'] } }] },
  });
});
afterAll(() => world.close());
afterEach(() => {
  world.log.lines.length = 0;
});

const delegate = async (claims: ClaimChanges = {}, person: ClaimChanges = {}, body: Body = {}) =>
  world.post('delegate', {
    authentication: await world.authentication(person),
    authorization: await world.fileAuthorization({ delegated_to: DEVICE, ...claims }),
    reason: 'delegate',
    ...body,
  });
const delegated = async (claims: ClaimChanges = {}, person: ClaimChanges = {}): Promise<string> => {
  const { status, json } = await delegate(claims, person);
  expect(status).toBe(200);
  expect(Object.keys(json)).toEqual(['delegated_authentication']);
  return String(json['delegated_authentication']);
};
const wrapWith = async (authentication: string, claims: ClaimChanges = {}) =>
  world.post('wrap', {
    authentication,
    authorization: await world.fileAuthorization({ delegated_to: DEVICE, ...claims }),
    key: KEY,
  });

describe('delegate', () => {
  it('answers a token of a quarter of an hour that verifies under certs', async () => {
    const { json } = await world.request('/v1/certs');
    const keySet = createLocalJWKSet(json as unknown as Parameters<typeof createLocalJWKSet>[0]);
    const { payload, protectedHeader } = await jwtVerify(await delegated(), keySet, {
      currentDate: world.clock.now(),
    });
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' });
    expect(payload).toEqual({
      iss: BASE_URL,
      aud: 'kacls-delegation',
      iat: world.clock.seconds(),
      exp: world.clock.seconds() + 900,
      email: ALICE.address,
      delegated_to: DEVICE,
      resource_name: FILE,
    });
  });

  it('gives a token that wraps and unwraps the one resource', async () => {
    const authentication = await delegated();
    const { status, json } = await wrapWith(authentication);
    expect(status).toBe(200);
    const answer = await world.post('unwrap', {
      authentication,
      authorization: await world.fileAuthorization({ delegated_to: DEVICE.toUpperCase(), role: 'reader' }),
      wrapped_key: json['wrapped_key'],
    });
    expect(answer.json).toEqual({ key: KEY });
  });

  it.each([
    ['another delegate', { delegated_to: 'room-8@resource.acme.example' }],
    ['no delegate', { delegated_to: undefined }],
    ['another resource', { resource_name: `${FILE}x` }],
    ['another user', { email: BOB.address }],
  ])('gives a token that is refused beside an authorization for %s', async (_what, claims) => {
    expect(refusalProblems(await wrapWith(await delegated(), claims), 403)).toEqual([]);
  });

  it('gives a token that ends after a quarter of an hour and the minute for clocks', async () => {
    const authentication = await delegated();
    world.clock.advance(15 * 60_000 + 59_000);
    expect((await wrapWith(authentication)).status).toBe(200);
    world.clock.advance(1_000);
    expect(refusalProblems(await wrapWith(authentication), 401)).toEqual([]);
  });

  it('gives a token that nothing but wrap and unwrap takes', async () => {
    const authentication = await delegated();
    const requests: [string, string][] = [
      ['privatekeysign', await world.authorization()],
      ['privatekeydecrypt', await world.authorization({ role: 'decrypter' })],
      ['delegate', await world.fileAuthorization({ delegated_to: DEVICE })],
      ['privilegedwrap', ''],
      ['privilegedunwrap', ''],
      ['privilegedprivatekeydecrypt', ''],
      ['wrapprivatekey', ''],
      ['rewrapprivatekey', ''],
    ];
    for (const [operation, authorization] of requests) {
      const answer = await world.post(operation, { authentication, authorization, resource_name: FILE });
      expect(refusalProblems(answer, 401, [authentication]), operation).toEqual([]);
    }
  });

  it('carries the claims that perimeters ask for, and no others', async () => {
    const person = { groups: ['directors'], department: 'secret', google_email: ALICE.address };
    const authentication = await delegated({ perimeter_id: 'board' }, person);
    expect((await wrapWith(authentication, { perimeter_id: 'board' })).status).toBe(200);
    const claims = JSON.parse(Buffer.from(authentication.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ groups: ['directors'], google_email: ALICE.address });
    expect(claims).not.toHaveProperty('department');
    expect(refusalProblems(await delegate({ perimeter_id: 'board' }), 403)).toEqual([]);
  });

  it.each([
    ['names no delegate', { delegated_to: undefined }],
    ['names an empty delegate', { delegated_to: '' }],
    ['names no resource', { resource_name: undefined }],
    ['is for another user', { email: BOB.address }],
    ['is for another key service', { kacls_url: 'https://other.example/v1' }],
    ['names another owner', { kacls_owner_domain: 'evil.example' }],
    ['is for a guest', { email_type: 'google-visitor' }],
    ['comes from Gmail', { iss: 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com' }],
  ])('refuses an authorization token that %s', async (_what, claims) => {
    expect(refusalProblems(await delegate(claims), 403)).toEqual([]);
  });

  it('makes no token out of a delegated one, whoever issued that', async () => {
    const answer = await delegate({}, { delegated_to: DEVICE, resource_name: FILE });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });

  it('records user, delegate, resource and reason, and not the token', async () => {
    const token = await delegated();
    expect(world.log.lines).toMatchObject([
      {
        event: 'access-delegated',
        fields: {
          authenticated: ALICE.address,
          delegatedTo: DEVICE,
          resourceName: FILE,
          reason: 'delegate',
          outcome: 'done',
        },
      },
    ]);
    expect(JSON.stringify(world.log.lines)).not.toContain(token.slice(-60));
  });
});

describe('a delegated token of the identity provider', () => {
  it('is taken by wrap when delegate and resource are those of the authorization', async () => {
    const by = (claims: ClaimChanges) => world.authentication({ delegated_to: DEVICE, ...claims });
    expect((await wrapWith(await by({ resource_name: FILE }))).status).toBe(200);
    for (const [claims, status] of [
      [{}, 401],
      [{ resource_name: `${FILE}x` }, 403],
      [{ resource_name: FILE, delegated_to: 'somebody' }, 403],
      [{ resource_name: FILE, delegated_to: 7 }, 401],
    ] as const) {
      expect(refusalProblems(await wrapWith(await by(claims)), status)).toEqual([]);
    }
  });

  it('is refused where private keys are used', async () => {
    const resource_name = resourceName(ALICE.address);
    const answer = await world.post('privatekeysign', {
      authentication: await world.authentication({ delegated_to: DEVICE, resource_name }),
      authorization: await world.authorization({ delegated_to: DEVICE }),
    });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });
});

describe('certs', () => {
  it('publishes RSA keys for signatures under their thumbprints, the same on every instance', async () => {
    const answer = await world.request('/v1/certs');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=3600');
    const { n, e } = jwkOf(keys.ours, '');
    const { keyId } = await memorySigningKeys([keys.ours]).current();
    expect(answer.json).toEqual({ keys: [{ kty: 'RSA', n, e, kid: keyId, alg: 'RS256', use: 'sig' }] });
    const another = await startWorld(keys);
    try {
      expect((await another.request('/v1/certs')).json).toEqual(answer.json);
    } finally {
      await another.close();
    }
  });

  it('keeps publishing the key before, so that what it signed goes on verifying', async () => {
    const token = await delegated();
    const rotated = await startWorld(keys, {
      tokenSigningKeys: memorySigningKeys([keys.stranger, keys.ours]),
    });
    try {
      const { json } = await rotated.request('/v1/certs');
      expect(json['keys']).toHaveLength(2);
      rotated.clock.advance(world.clock.now().getTime() - rotated.clock.now().getTime());
      const answer = await rotated.post('wrap', {
        authentication: token,
        authorization: await rotated.fileAuthorization({ delegated_to: DEVICE }),
        key: KEY,
      });
      expect(answer.status).toBe(200);
    } finally {
      await rotated.close();
    }
  });

  it('vouches for nobody whose key is not in it', async () => {
    const now = world.clock.seconds();
    const claims = {
      ...{ iss: BASE_URL, aud: 'kacls-delegation', iat: now, exp: now + 900 },
      ...{ email: ALICE.address, delegated_to: DEVICE, resource_name: FILE },
    };
    const { keyId } = await memorySigningKeys([keys.ours]).current();
    expect((await wrapWith(await signToken(keys.ours, keyId, claims))).status).toBe(200);
    for (const forged of [
      await signToken(keys.stranger, keyId, claims),
      await signToken(keys.stranger, 'made-up', claims),
      await signToken(keys.ours, keyId, { ...claims, aud: 'kacls-migration' }),
    ]) {
      expect(refusalProblems(await wrapWith(forged), 401)).toEqual([]);
    }
  });
});
