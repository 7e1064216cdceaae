import { constants, publicEncrypt, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { jwkOf, signToken } from './support.ts';
import {
  ADMIN,
  ADMIN_CLIENT,
  ADMIN_IDP,
  ALICE,
  type Answer,
  BASE_URL,
  BOB,
  type Body,
  type ClaimChanges,
  FILE,
  IDP,
  type Keys,
  makeKeys,
  refusalProblems,
  spkiHash,
  startWorld,
  WEB_CLIENT,
  type World,
} from './world.ts';

const NEXT = 'https://next-kacls.example/v1';

let keys: Keys;
let world: World;
let wrappedPrivateKey: string;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, {
    // The next key service publishes its keys at its own address; here that is the server of the test.
    fetch: (input, init) => fetch(String(input).replace(`${NEXT}/certs`, `${world.keySets.root}/next`), init),
  });
  world.keySets.published.set('/next', [jwkOf(keys.stranger, 'next-1')]);
  wrappedPrivateKey = await world.wrappedKey(keys.alice, ALICE.userId);
});
afterAll(() => world.close());
afterEach(() => {
  world.log.lines.length = 0;
});

const contentKey = randomBytes(32);
const encrypted = () =>
  publicEncrypt({ key: keys.alice.publicKey, padding: constants.RSA_PKCS1_PADDING }, contentKey);

/** A request for each privileged endpoint that succeeds, but for its authentication. */
async function requests(): Promise<readonly (readonly [string, Body])[]> {
  const wrapped_key = await world.wrapContentKey(contentKey);
  return [
    ['privilegedwrap', { key: contentKey.toString('base64'), resource_name: FILE, reason: 'import' }],
    ['privilegedunwrap', { wrapped_key, resource_name: FILE, reason: 'export' }],
    ['takeout_unwrap', { wrapped_key, resource_name: FILE, reason: 'export' }],
    [
      'privilegedprivatekeydecrypt',
      {
        algorithm: 'RSA/ECB/PKCS1Padding',
        encrypted_data_encryption_key: encrypted().toString('base64'),
        spki_hash: spkiHash(keys.alice),
        spki_hash_algorithm: 'SHA-256',
        wrapped_private_key: wrappedPrivateKey,
        reason: 'export',
      },
    ],
  ];
}

const nextService = (changes: ClaimChanges = {}, pair = keys.stranger) =>
  signToken(pair, 'next-1', {
    iss: NEXT,
    aud: 'kacls-migration',
    kacls_url: BASE_URL,
    resource_name: FILE,
    iat: world.clock.seconds(),
    exp: world.clock.seconds() + 300,
    ...changes,
  });

describe('the privileged endpoints', () => {
  it('serve a listed admin, each with an audit event of its own', async () => {
    const answers: Answer[] = [];
    const all = await requests();
    world.log.lines.length = 0;
    for (const [operation, body] of all) {
      answers.push(
        await world.post(operation, { authentication: await world.adminAuthentication(), ...body }),
      );
    }
    const key = contentKey.toString('base64');
    expect(answers.map(({ json }) => json)).toEqual([
      { wrapped_key: expect.any(String) },
      { key },
      { key },
      { data_encryption_key: key },
    ]);
    const by = { authenticated: ADMIN, outcome: 'done' };
    expect(world.log.lines).toMatchObject([
      { event: 'privileged-content-key-wrapped', fields: { ...by, resourceName: FILE, reason: 'import' } },
      { event: 'privileged-content-key-unwrapped', fields: { ...by, resourceName: FILE } },
      { event: 'privileged-content-key-unwrapped', fields: { ...by, operation: 'takeout_unwrap' } },
      {
        event: 'privileged-private-key-used',
        fields: { ...by, owner: ALICE.userId, reason: 'export', algorithm: 'pkcs1' },
      },
    ]);
  });

  it('refuse whoever is no admin of theirs, and record that under the same event', async () => {
    const tokens: [string, string, number][] = [
      ['an ordinary user', await world.authentication(), 401],
      [
        'an admin as the identity provider of everybody knows them',
        await world.authentication({ email: ADMIN, email_verified: true }),
        401,
      ],
      ['an admin with an audience for everybody', await world.adminAuthentication({ aud: WEB_CLIENT }), 401],
      ['an admin signed for by another issuer', await world.adminAuthentication({}, keys.idp, 'idp-1'), 401],
      [
        'somebody the admins vouch for and no list names',
        await world.adminAuthentication({ email: ALICE.address }),
        403,
      ],
      [
        'an admin whose address is not verified',
        await world.adminAuthentication({ email_verified: false }),
        403,
      ],
      [
        'an admin of whose address nobody says that it is verified',
        await world.adminAuthentication({ email_verified: undefined }),
        403,
      ],
      [
        'an admin with a delegated token',
        await world.adminAuthentication({ delegated_to: 'x', resource_name: FILE }),
        403,
      ],
      [
        'a listed address in google_email alone',
        await world.adminAuthentication({ email: BOB.address, google_email: ADMIN }),
        403,
      ],
      ['an authorization token', await world.fileAuthorization(), 401],
      [
        'an expired admin',
        await world.adminAuthentication({
          iat: world.clock.seconds() - 7200,
          exp: world.clock.seconds() - 60,
        }),
        401,
      ],
      ['nobody', '', 401],
    ];
    for (const [operation, body] of await requests()) {
      for (const [who, authentication, status] of tokens) {
        world.log.lines.length = 0;
        const answer = await world.post(operation, { authentication, ...body });
        expect(refusalProblems(answer, status, [authentication]), `${operation}: ${who}`).toEqual([]);
        expect(world.log.lines.at(-1)?.event).toMatch(/^privileged-/);
      }
    }
  });

  it('have a list each: who may import may not export', async () => {
    const importer = await startWorld(keys, {
      settings: { privilegedCallers: { privilegedwrap: [ADMIN], privilegedunwrap: ['other@acme.example'] } },
    });
    try {
      const authentication = await importer.adminAuthentication();
      const body = { authentication, resource_name: FILE, key: contentKey.toString('base64') };
      const { status, json } = await importer.post('privilegedwrap', body);
      expect(status).toBe(200);
      const answer = await importer.post('privilegedunwrap', { ...body, wrapped_key: json['wrapped_key'] });
      expect(refusalProblems(answer, 403)).toEqual([]);
    } finally {
      await importer.close();
    }
  });

  it('obey perimeters', async () => {
    const perimeters = [{ id: 'board', emails: [ALICE.address] }];
    const guarded = await startWorld(keys, { settings: { perimeters } });
    try {
      const authentication = await guarded.adminAuthentication();
      const wrap = (perimeter_id: string) =>
        guarded.post('privilegedwrap', {
          authentication,
          key: contentKey.toString('base64'),
          resource_name: FILE,
          perimeter_id,
        });
      expect(refusalProblems(await wrap('board'), 403)).toEqual([]);
      expect(refusalProblems(await wrap('bord'), 400)).toEqual([]);
      const wrapped_key = await guarded.wrapContentKey(contentKey, { perimeter_id: 'board' });
      const unwrap = { authentication, wrapped_key, resource_name: FILE };
      expect(refusalProblems(await guarded.post('privilegedunwrap', unwrap), 403)).toEqual([]);
    } finally {
      await guarded.close();
    }
  });
});

describe('privilegedwrap', () => {
  it('makes what the users of the resource can unwrap', async () => {
    const { json } = await world.post('privilegedwrap', {
      authentication: await world.adminAuthentication(),
      key: contentKey.toString('base64'),
      resource_name: FILE,
      perimeter_id: 'staff',
    });
    const unwrap = async (claims: ClaimChanges) =>
      world.post('unwrap', {
        authentication: await world.authentication(),
        authorization: await world.fileAuthorization(claims),
        wrapped_key: json['wrapped_key'],
      });
    expect((await unwrap({ perimeter_id: 'staff' })).json).toEqual({ key: contentKey.toString('base64') });
    expect(refusalProblems(await unwrap({ resource_name: `${FILE}x` }), 403)).toEqual([]);
    expect(refusalProblems(await unwrap({ perimeter_id: 'board' }), 403)).toEqual([]);
  });

  it.each([
    ['no resource', { resource_name: '' }],
    ['a resource of more than 512 bytes', { resource_name: 'x'.repeat(513) }],
    ['a perimeter of more than 128 bytes', { perimeter_id: 'x'.repeat(129) }],
    ['a key of more than 128 bytes', { key: randomBytes(129).toString('base64') }],
    ['no key', { key: undefined }],
  ])('refuses %s', async (_what, fields) => {
    const answer = await world.post('privilegedwrap', {
      authentication: await world.adminAuthentication(),
      key: contentKey.toString('base64'),
      resource_name: FILE,
      ...fields,
    });
    expect(refusalProblems(answer, 400)).toEqual([]);
  });
});

describe.each(['privilegedunwrap', 'takeout_unwrap'])('%s', (operation) => {
  const unwrap = async (authentication: string, fields: Body = {}) =>
    world.post(operation, {
      authentication,
      resource_name: FILE,
      wrapped_key: await world.wrapContentKey(contentKey),
      ...fields,
    });

  it('refuses a resource other than that of wrap time', async () => {
    const answer = await unwrap(await world.adminAuthentication(), { resource_name: `${FILE}x` });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });

  it('serves the key service the customer moves to, and records which', async () => {
    for (const iss of [NEXT, `${NEXT}/`]) {
      expect((await unwrap(await nextService({ iss }))).json).toEqual({ key: contentKey.toString('base64') });
    }
    expect((await unwrap(await nextService({ kacls_url: `${BASE_URL}/` }))).status).toBe(200);
    expect(world.log.lines.at(-1)).toMatchObject({
      event: 'privileged-content-key-unwrapped',
      fields: { authenticated: NEXT, outcome: 'done' },
    });
  });

  it.each([
    ['is not on the list', { iss: 'https://other-kacls.example/v1' }, 401],
    ['names another audience', { aud: 'cse-authorization' }, 401],
    ['is for another key service', { kacls_url: 'https://other.example/v1' }, 403],
    ['is for no key service', { kacls_url: undefined }, 401],
    ['is for another resource', { resource_name: `${FILE}x` }, 403],
    ['is for no resource', { resource_name: undefined }, 401],
    ['has expired', { iat: 1, exp: 2 }, 401],
    ['passes itself off as an admin', { iss: ADMIN_IDP, aud: ADMIN_CLIENT, email: ADMIN }, 401],
    ['passes itself off as the identity provider', { iss: IDP }, 401],
  ])('refuses a key service whose token %s', async (_what, claims, status) => {
    expect(refusalProblems(await unwrap(await nextService(claims)), status)).toEqual([]);
  });

  it('refuses a token of a listed key service that it did not sign, and one without a resource in the body', async () => {
    expect(refusalProblems(await unwrap(await nextService({}, keys.idp)), 401)).toEqual([]);
    const answer = await unwrap(await nextService(), { resource_name: undefined });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });

  it('lets no other endpoint be opened by a key service', async () => {
    for (const other of ['privilegedwrap', 'privilegedprivatekeydecrypt', 'wrapprivatekey', 'wrap']) {
      const answer = await world.post(other, { authentication: await nextService(), resource_name: FILE });
      expect(refusalProblems(answer, 401)).toEqual([]);
    }
  });
});

describe('privilegedprivatekeydecrypt', () => {
  const decrypt = async (fields: Body = {}) => {
    const [, body] = (await requests()).at(-1) ?? ['', {}];
    return world.post('privilegedprivatekeydecrypt', {
      authentication: await world.adminAuthentication(),
      ...body,
      ...fields,
    });
  };

  it.each([
    ['the hash of another key', () => ({ spki_hash: spkiHash(keys.bob) }), 403],
    ['no hash', () => ({ spki_hash: undefined }), 400],
    ['a hash cut short', () => ({ spki_hash: 'uq2NTg==' }), 400],
    ['no hash algorithm', () => ({ spki_hash_algorithm: undefined }), 400],
    ['an unknown hash algorithm', () => ({ spki_hash_algorithm: 'SHA-1' }), 400],
    ['an unknown algorithm', () => ({ algorithm: 'AES' }), 400],
    ['no wrapped key', () => ({ wrapped_private_key: '' }), 400],
    [
      'an altered wrapped key',
      () => ({ wrapped_private_key: `${wrappedPrivateKey.slice(0, -8)}AAAAAAAA` }),
      400,
    ],
  ])('refuses %s', async (_what, fields, status) => {
    expect((await decrypt()).status).toBe(200);
    expect(refusalProblems(await decrypt(fields()), status)).toEqual([]);
  });

  it('decrypts OAEP with its label', async () => {
    const label = Buffer.from('label');
    const ciphertext = publicEncrypt(
      {
        key: keys.alice.publicKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        oaepLabel: label,
      },
      contentKey,
    );
    const answer = await decrypt({
      algorithm: 'RSA/ECB/OAEPwithSHA-256andMGF1Padding',
      encrypted_data_encryption_key: ciphertext.toString('base64'),
      rsa_oaep_label: label.toString('base64'),
    });
    expect(answer.json).toEqual({ data_encryption_key: contentKey.toString('base64') });
  });
});
