import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resourceKeyHash } from '../../shared/kacls/resource-key-hash.ts';
import { memoryKeks } from './support.ts';
import {
  ALICE,
  type Answer,
  APPLICATION_ISSUERS,
  BOB,
  type Body,
  type ClaimChanges,
  FILE,
  type Keys,
  makeKeys,
  refusalProblems,
  startWorld,
  type World,
} from './world.ts';

const KEK = { id: 'kek/1', key: randomBytes(32) };

let keys: Keys;
let world: World;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, { keks: memoryKeks([KEK]) });
});
afterAll(() => world.close());

async function wrap(contentKey: Uint8Array, claims: ClaimChanges = {}, body: Body = {}): Promise<Answer> {
  return world.post('wrap', {
    authentication: await world.authentication(),
    authorization: await world.fileAuthorization(claims),
    key: Buffer.from(contentKey).toString('base64'),
    reason: "{client:'drive' op:'write'}",
    ...body,
  });
}

async function unwrap(wrapped_key: unknown, claims: ClaimChanges = {}, body: Body = {}): Promise<Answer> {
  return world.post('unwrap', {
    authentication: await world.authentication(),
    authorization: await world.fileAuthorization({ role: 'reader', ...claims }),
    wrapped_key,
    reason: "{client:'drive' op:'read'}",
    ...body,
  });
}

describe('wrap and unwrap', () => {
  it.each([1, 16, 32, 128])('give back a content key of %i bytes from a blob below 1 KB', async (length) => {
    const contentKey = randomBytes(length);
    const wrapped = await wrap(contentKey);
    expect(wrapped.status).toBe(200);
    expect(Object.keys(wrapped.json)).toEqual(['wrapped_key']);
    expect(String(wrapped.json['wrapped_key']).length).toBeLessThanOrEqual(1024);
    const unwrapped = await unwrap(wrapped.json['wrapped_key']);
    expect(unwrapped.json).toEqual({ key: contentKey.toString('base64') });
  });

  it('read a content key without padding and answer with it', async () => {
    const contentKey = randomBytes(32);
    const { json } = await wrap(contentKey, {}, { key: contentKey.toString('base64').replace(/=+$/, '') });
    expect((await unwrap(json['wrapped_key'])).json['key']).toBe(contentKey.toString('base64'));
  });

  it('make another blob each time', async () => {
    const contentKey = randomBytes(32);
    expect((await wrap(contentKey)).json).not.toEqual((await wrap(contentKey)).json);
  });

  it.each([
    ['of 129 bytes', randomBytes(129).toString('base64')],
    ['that is missing', undefined],
    ['that is empty', ''],
    ['in base64url', '-_-_'],
    ['that is no text', 7],
  ])('refuse a content key %s', async (_what, key) => {
    expect(refusalProblems(await wrap(randomBytes(1), {}, { key }), 400)).toEqual([]);
  });

  it.each(APPLICATION_ISSUERS.filter((issuer) => !issuer.includes('-gmail@')))(
    'listen to %s',
    async (iss) => {
      const { status, json } = await wrap(randomBytes(32), { iss });
      expect(status).toBe(200);
      expect((await unwrap(json['wrapped_key'], { iss })).status).toBe(200);
    },
  );

  it('let an upgrader wrap and not unwrap, a reader unwrap and not wrap, a writer do both', async () => {
    const wrapped_key = (await wrap(randomBytes(32), { role: 'upgrader' })).json['wrapped_key'];
    expect(wrapped_key).toBeTypeOf('string');
    expect((await unwrap(wrapped_key, { role: 'reader' })).status).toBe(200);
    expect((await unwrap(wrapped_key, { role: 'writer' })).status).toBe(200);
    expect(refusalProblems(await unwrap(wrapped_key, { role: 'upgrader' }), 403)).toEqual([]);
    expect(refusalProblems(await wrap(randomBytes(32), { role: 'reader' }), 403)).toEqual([]);
  });

  it('serve every user Google lets at the file, not only the one who wrapped', async () => {
    const contentKey = randomBytes(32);
    const { json } = await wrap(contentKey);
    const bobs = await unwrap(
      json['wrapped_key'],
      { email: BOB.address },
      { authentication: await world.authentication({ email: BOB.address }) },
    );
    expect(bobs.json['key']).toBe(contentKey.toString('base64'));
  });

  it('open a blob for the resource it was wrapped for alone', async () => {
    const { json } = await wrap(randomBytes(32));
    const other = await unwrap(json['wrapped_key'], { resource_name: `${FILE}x` });
    expect(refusalProblems(other, 403)).toEqual([]);
  });

  it.each([undefined, '', 7, 'x'.repeat(513)])('refuse a token whose resource_name is %j', async (name) => {
    expect(refusalProblems(await wrap(randomBytes(32), { resource_name: name }), 403)).toEqual([]);
  });

  it('refuse a blob that is missing, altered, of another tenant, or a private key', async () => {
    const { json } = await wrap(randomBytes(32));
    const good = String(json['wrapped_key']);
    const theirs = await startWorld(keys, { keks: memoryKeks([KEK]), settings: { tenantId: 'C00other' } });
    try {
      const bad = [
        undefined,
        'no base64!',
        `${good.slice(0, -4)}AAA=`,
        'A'.repeat(1028),
        await theirs.wrapContentKey(randomBytes(32)),
        await world.wrappedKey(keys.alice, ALICE.userId),
      ];
      for (const wrapped of bad) expect(refusalProblems(await unwrap(wrapped), 400)).toEqual([]);
    } finally {
      await theirs.close();
    }
  });

  it('never use a content key for a private one', async () => {
    const { json } = await wrap(randomBytes(32));
    const answer = await world.post('privatekeysign', {
      authentication: await world.authentication(),
      authorization: await world.authorization(),
      algorithm: 'SHA256withRSA',
      digest: randomBytes(32).toString('base64'),
      wrapped_private_key: json['wrapped_key'],
    });
    expect(refusalProblems(answer, 400)).toEqual([]);
  });

  it('open after the key-encryption key was rotated', async () => {
    const contentKey = randomBytes(32);
    const { json } = await wrap(contentKey);
    const newer = { id: 'kek/2', key: randomBytes(32) };
    for (const [keks, status] of [
      [[newer, KEK], 200],
      [[newer], 422],
    ] as const) {
      const later = await startWorld(keys, { keks: memoryKeks(keks) });
      try {
        const answer = await later.post('unwrap', {
          authentication: await later.authentication(),
          authorization: await later.fileAuthorization(),
          wrapped_key: json['wrapped_key'],
        });
        expect(answer.status).toBe(status);
        if (status === 200) expect(answer.json['key']).toBe(contentKey.toString('base64'));
      } finally {
        await later.close();
      }
    }
  });

  it('write one audit line each, with user, resource and reason and without the key', async () => {
    world.log.lines.length = 0;
    const contentKey = randomBytes(32);
    const { json } = await wrap(contentKey);
    await unwrap(json['wrapped_key']);
    const common = { authenticated: ALICE.address, resourceName: FILE, kekId: 'kek/1', outcome: 'done' };
    expect(world.log.lines).toMatchObject([
      { event: 'content-key-wrapped', fields: { ...common, reason: "{client:'drive' op:'write'}" } },
      { event: 'content-key-unwrapped', fields: { ...common, reason: "{client:'drive' op:'read'}" } },
    ]);
    const all = JSON.stringify(world.log.lines);
    expect(all).not.toContain(contentKey.toString('base64'));
    expect(all).not.toContain(String(json['wrapped_key']).slice(0, 60));
  });
});

describe('a perimeter', () => {
  const perimeters = [
    { id: 'board', domains: ['acme.example'], claims: { groups: ['directors'] } },
    { id: 'staff', domains: ['acme.example'] },
    { id: 'hr', emails: [BOB.address] },
  ];
  let guarded: World;
  beforeAll(async () => {
    guarded = await startWorld(keys, { settings: { perimeters } });
  });
  afterAll(() => guarded.close());

  const director = { groups: ['everybody', 'directors'] };
  const use = async (operation: string, person: ClaimChanges, claims: ClaimChanges, more: Body) =>
    guarded.post(operation, {
      authentication: await guarded.authentication(person),
      authorization: await guarded.fileAuthorization(claims),
      ...more,
    });
  const key = randomBytes(32).toString('base64');

  it('given at wrap time is the one that counts at unwrap', async () => {
    const { json } = await use('wrap', director, { perimeter_id: 'board' }, { key });
    const wrapped_key = json['wrapped_key'];
    for (const perimeter_id of ['board', '', undefined]) {
      expect((await use('unwrap', director, { perimeter_id }, { wrapped_key })).status).toBe(200);
      expect(refusalProblems(await use('unwrap', {}, { perimeter_id }, { wrapped_key }), 403)).toEqual([]);
    }
    const elsewhere = await use('unwrap', director, { perimeter_id: 'staff' }, { wrapped_key });
    expect(refusalProblems(elsewhere, 403)).toEqual([]);
  });

  it('keeps out of wrap whoever it does not admit, and admits nobody where it is not configured', async () => {
    expect(refusalProblems(await use('wrap', {}, { perimeter_id: 'board' }, { key }), 403)).toEqual([]);
    expect(refusalProblems(await use('wrap', {}, { perimeter_id: 'hr' }, { key }), 403)).toEqual([]);
    expect(refusalProblems(await use('wrap', director, { perimeter_id: 'moon' }, { key }), 403)).toEqual([]);
    expect((await use('wrap', {}, { perimeter_id: 'staff' }, { key })).status).toBe(200);
    expect((await use('wrap', {}, {}, { key })).status).toBe(200);
  });

  it.each([7, {}, 'x'.repeat(129)])('that is %j is refused', async (perimeter_id) => {
    expect(refusalProblems(await use('wrap', director, { perimeter_id }, { key }), 403)).toEqual([]);
  });

  it('guards private keys as well, and none can be wrapped under one that is not configured', async () => {
    const wrapped_private_key = await guarded.wrappedKey(keys.alice, ALICE.userId, { perimeter_id: 'board' });
    const sign = async (person: ClaimChanges) =>
      guarded.post('privatekeysign', {
        authentication: await guarded.authentication(person),
        authorization: await guarded.authorization(),
        algorithm: 'SHA256withRSA',
        digest: key,
        wrapped_private_key,
      });
    expect((await sign(director)).status).toBe(200);
    expect(refusalProblems(await sign({}), 403)).toEqual([]);
    const misspelt = await guarded.wrap(keys.alice, ALICE.userId, { perimeter_id: 'bord' });
    expect(refusalProblems(misspelt, 400)).toEqual([]);
  });
});

describe('the hash by which two key services compare a content key', () => {
  it.each([
    [
      '6a68079290123ed8f23c845cc8bda91cd961c0246b79446662919e336920cbef',
      '//googleapis.com/testcase/hJB0PzRI7nl79LC18qaV8WMDCBALBSs9BREcq79MfVw',
      '',
      'TZqv6wbNDoEtDzwQ8YVzpa7kyGMAoQT62bJY8Lcb2BM=',
    ],
    [
      '05b62b91cb66f19e27789fb69eb680fac113a70a120178d6cfa6b1b4cb11bb95',
      '//googleapis.com/testcase/od8yfZiS5ZF2RN27X4ClalsV6LobL2FwKRk4qOJxWdE',
      'perimeter1',
      'G2IxoXG8EO+Z3TsI8HQmIIEaWRkVcChNMrZ0xTHMLaU=',
    ],
    [
      Buffer.from('data-encryption-key').toString('hex'),
      'resource-name',
      '',
      'BzUyXkZ0424Ve8NtOB1CWgg5hVx60OAPf9SNbVPdtUo=',
    ],
    ['f00d', 'my_resource', 'my_perimeter', 'EfRLb/AKdtsPSfX+vZ/Pi8h6bmKhBTu4egOABRnEdCg='],
  ])('of %s for %s in perimeter "%s" is %s', (contentKeyHex, resourceName, perimeterId, expected) => {
    expect(resourceKeyHash(Buffer.from(contentKeyHex, 'hex'), resourceName, perimeterId)).toBe(expected);
  });
});

describe('digest', () => {
  const digest = async (wrapped_key: unknown, claims: ClaimChanges = {}, body: Body = {}) =>
    world.post('digest', {
      authorization: await world.migrationAuthorization(claims),
      wrapped_key,
      reason: 'migration',
      ...body,
    });

  it.each([
    [
      '6a68079290123ed8f23c845cc8bda91cd961c0246b79446662919e336920cbef',
      '//googleapis.com/testcase/hJB0PzRI7nl79LC18qaV8WMDCBALBSs9BREcq79MfVw',
      undefined,
      'TZqv6wbNDoEtDzwQ8YVzpa7kyGMAoQT62bJY8Lcb2BM=',
    ],
    [
      '05b62b91cb66f19e27789fb69eb680fac113a70a120178d6cfa6b1b4cb11bb95',
      '//googleapis.com/testcase/od8yfZiS5ZF2RN27X4ClalsV6LobL2FwKRk4qOJxWdE',
      'perimeter1',
      'G2IxoXG8EO+Z3TsI8HQmIIEaWRkVcChNMrZ0xTHMLaU=',
    ],
    [
      Buffer.from('data-encryption-key').toString('hex'),
      'resource-name',
      '',
      'BzUyXkZ0424Ve8NtOB1CWgg5hVx60OAPf9SNbVPdtUo=',
    ],
  ])(
    'answers the published hash of %s without any authentication',
    async (hex, name, perimeter, expected) => {
      const claims = { resource_name: name, perimeter_id: perimeter };
      const { json } = await wrap(Buffer.from(hex, 'hex'), claims);
      const answer = await digest(json['wrapped_key'], { resource_name: name });
      expect(answer.json).toEqual({ resource_key_hash: expected });
    },
  );

  it.each([
    ['the role of a writer', { role: 'writer' }],
    ['the role of a migrator', { role: 'migrator' }],
    ['another resource', { resource_name: `${FILE}x` }],
    ['another key service', { kacls_url: 'https://other.example/v1' }],
    ['another owner', { kacls_owner_domain: 'evil.example' }],
    ['the issuer for Drive', { iss: APPLICATION_ISSUERS[0] }],
    ['another audience', { aud: 'kacls-migration' }],
  ])('refuses a token with %s', async (_what, claims) => {
    const { json } = await wrap(randomBytes(32));
    expect((await digest(json['wrapped_key'])).status).toBe(200);
    expect(refusalProblems(await digest(json['wrapped_key'], claims), 403)).toEqual([]);
  });

  it('refuses a request without authorization, even from a user with authentication', async () => {
    const { json } = await wrap(randomBytes(32));
    const authentication = await world.authentication();
    const answer = await digest(json['wrapped_key'], {}, { authorization: undefined, authentication });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });
});
