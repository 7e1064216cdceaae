import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import crc32c from 'crc-32/crc32c.js';
import { OAuth2Client } from 'google-auth-library';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSecretManager, type SecretManager } from '../../../emulator/secret-manager/index.ts';
import { type Serving, serve } from '../identity/serving.ts';

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const at = (name: string) => `${name}@acme-sealwright.iam.gserviceaccount.com`;
const ADMIN = at('setup');
const READER = at('sealwright-sign');
const STRANGER = at('sealwright-sweep');
const PROJECT = 'projects/acme-sealwright';
const SECRET = `${PROJECT}/secrets/ca-key`;
/** Google answers with the project's number whatever the request said. */
const ANSWERED = 'projects/411111111111/secrets/ca-key';

let serving: Serving<SecretManager>;
const clients: SecretManagerServiceClient[] = [];

beforeEach(async () => {
  const settings = {
    projectId: 'acme-sealwright',
    projectNumber: '411111111111',
    bindings: [{ role: 'roles/secretmanager.admin', members: [`serviceAccount:${ADMIN}`] }],
  };
  serving = await serve((context) => createSecretManager(context, { settings }));
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await serving[Symbol.asyncDispose]();
});

/** Google's own client over REST, calling as a service account. */
function client(email = ADMIN, scopes = [CLOUD_PLATFORM]): SecretManagerServiceClient {
  const auth = new OAuth2Client();
  const { accessToken } = serving.context.tokens.mint({ kind: 'service-account', email, scopes });
  auth.setCredentials({ access_token: accessToken });
  const made = new SecretManagerServiceClient({
    projectId: 'acme-sealwright',
    apiEndpoint: '127.0.0.1',
    port: serving.port,
    protocol: 'http',
    fallback: 'rest',
    authClient: auth,
  });
  clients.push(made);
  return made;
}

async function raw(verb: string, path: string, body?: unknown, email = ADMIN) {
  const response = await fetch(`${serving.root}v1/${path}`, {
    method: verb,
    headers: {
      authorization: serving.bearer({ kind: 'service-account', email, scopes: [CLOUD_PLATFORM] }),
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const refusal = (status: number, googleStatus: string, message: unknown = expect.any(String)) => ({
  status,
  body: { error: { code: status, status: googleStatus, message } },
});

const gRPC = { invalid: 3, notFound: 5, exists: 6, denied: 7, precondition: 9 };
const key = Buffer.from('a CA key');

async function withSecret(data: Buffer | undefined = key) {
  const admin = client();
  await admin.createSecret({
    parent: PROJECT,
    secretId: 'ca-key',
    secret: { replication: { automatic: {} } },
  });
  if (data !== undefined) await admin.addSecretVersion({ parent: SECRET, payload: { data } });
  return admin;
}

describe("Secret Manager, through Google's client,", () => {
  it('keeps a secret and gives back its newest version with its checksum', async () => {
    const admin = await withSecret();
    const [version] = await admin.addSecretVersion({
      parent: SECRET,
      payload: { data: Buffer.from('second'), dataCrc32c: crc32c.str('second') >>> 0 },
    });
    expect(version).toMatchObject({
      name: `${ANSWERED}/versions/2`,
      state: 'ENABLED',
      clientSpecifiedPayloadChecksum: true,
    });
    const [answer] = await admin.accessSecretVersion({ name: `${SECRET}/versions/latest` });
    expect(answer.name).toBe(`${ANSWERED}/versions/2`);
    expect(Buffer.from(answer.payload?.data as Uint8Array).toString()).toBe('second');
    expect(Number(answer.payload?.dataCrc32c)).toBe(crc32c.str('second') >>> 0);
    const [first] = await admin.accessSecretVersion({ name: `${SECRET}/versions/1` });
    expect(Buffer.from(first.payload?.data as Uint8Array)).toEqual(key);
  });

  it('lists secrets and versions, newest first, page by page', async () => {
    const admin = await withSecret();
    for (const data of ['2', '3']) {
      await admin.addSecretVersion({ parent: SECRET, payload: { data: Buffer.from(data) } });
    }
    const versions = [];
    for await (const version of admin.listSecretVersionsAsync({ parent: SECRET, pageSize: 2 })) {
      versions.push(version);
    }
    expect(versions.map((version) => version.name)).toEqual(
      [3, 2, 1].map((number) => `${ANSWERED}/versions/${number}`),
    );
    expect(versions[0]?.state).toBe('ENABLED');
    await admin.createSecret({
      parent: PROJECT,
      secretId: 'other',
      secret: { replication: { automatic: {} } },
    });
    const [secrets] = await admin.listSecrets({ parent: PROJECT });
    expect(secrets.map((secret) => secret.name?.split('/').at(-1))).toEqual(['other', 'ca-key']);
  });

  it('disables, enables and destroys a version, and tells the state of one that cannot be read', async () => {
    const admin = await withSecret();
    const name = `${SECRET}/versions/1`;
    const [disabled] = await admin.disableSecretVersion({ name });
    expect(disabled.state).toBe('DISABLED');
    await expect(admin.accessSecretVersion({ name })).rejects.toMatchObject({
      code: gRPC.precondition,
      message: expect.stringContaining(`Secret Version [${ANSWERED}/versions/1] is in DISABLED state.`),
    });
    const [enabled] = await admin.enableSecretVersion({ name });
    expect(enabled.state).toBe('ENABLED');
    await expect(admin.accessSecretVersion({ name })).resolves.toBeDefined();
    const [destroyed] = await admin.destroySecretVersion({ name });
    expect(destroyed).toMatchObject({ state: 'DESTROYED', destroyTime: { seconds: expect.anything() } });
    await expect(admin.accessSecretVersion({ name })).rejects.toMatchObject({
      code: gRPC.precondition,
      message: expect.stringContaining('is in DESTROYED state.'),
    });
    await expect(admin.enableSecretVersion({ name })).rejects.toMatchObject({ code: gRPC.precondition });
    expect(JSON.stringify(serving.context.state.section('secrets', () => ({})))).not.toContain(
      key.toString('base64'),
    );
  });

  it('reads by an alias, which moves with an update, but changes nothing by one', async () => {
    const admin = await withSecret();
    await admin.addSecretVersion({ parent: SECRET, payload: { data: Buffer.from('second') } });
    const [updated] = await admin.updateSecret({
      secret: { name: SECRET, versionAliases: { current: 1 } },
      updateMask: { paths: ['version_aliases'] },
    });
    expect(Number(updated.versionAliases?.['current'])).toBe(1);
    const [answer] = await admin.accessSecretVersion({ name: `${SECRET}/versions/current` });
    expect(answer.name).toBe(`${ANSWERED}/versions/1`);
    const [version] = await admin.getSecretVersion({ name: `${SECRET}/versions/current` });
    expect(version.name).toBe(`${ANSWERED}/versions/1`);
    for (const name of [`${SECRET}/versions/current`, `${SECRET}/versions/latest`]) {
      await expect(admin.disableSecretVersion({ name })).rejects.toMatchObject({ code: gRPC.invalid });
    }
  });

  it('lets a caller do what a role on that one secret allows, and nothing else', async () => {
    const admin = await withSecret();
    await admin.setIamPolicy({
      resource: SECRET,
      policy: {
        bindings: [
          { role: 'roles/secretmanager.secretAccessor', members: [`serviceAccount:${READER}`] },
          { role: 'roles/secretmanager.secretVersionAdder', members: [`serviceAccount:${STRANGER}`] },
        ],
      },
    });
    const name = `${SECRET}/versions/latest`;
    await expect(client(READER).accessSecretVersion({ name })).resolves.toBeDefined();
    const add = { parent: SECRET, payload: { data: Buffer.from('x') } };
    await expect(client(READER).addSecretVersion(add)).rejects.toMatchObject({ code: gRPC.denied });
    await expect(client(READER).getSecret({ name: SECRET })).rejects.toMatchObject({ code: gRPC.denied });
    await expect(client(READER).listSecrets({ parent: PROJECT })).rejects.toMatchObject({
      code: gRPC.denied,
    });
    await expect(client(STRANGER).addSecretVersion(add)).resolves.toBeDefined();
    await expect(client(STRANGER).accessSecretVersion({ name })).rejects.toMatchObject({
      code: gRPC.denied,
      message: expect.stringContaining(
        `Permission 'secretmanager.versions.access' denied for resource '${name}' (or it may not exist).`,
      ),
    });
    const [policy] = await admin.getIamPolicy({ resource: SECRET });
    expect(policy.bindings?.map((binding) => binding.role)).toEqual([
      'roles/secretmanager.secretAccessor',
      'roles/secretmanager.secretVersionAdder',
    ]);
    const [held] = await client(READER).testIamPermissions({
      resource: SECRET,
      permissions: ['secretmanager.versions.access', 'secretmanager.versions.add'],
    });
    expect(held.permissions).toEqual(['secretmanager.versions.access']);
  });

  it('says that a secret exists already, and that one does not', async () => {
    const admin = await withSecret();
    await expect(
      admin.createSecret({ parent: PROJECT, secretId: 'ca-key', secret: { replication: { automatic: {} } } }),
    ).rejects.toMatchObject({ code: gRPC.exists, message: expect.stringContaining(`[${ANSWERED}]`) });
    await expect(admin.getSecret({ name: `${PROJECT}/secrets/none` })).rejects.toMatchObject({
      code: gRPC.notFound,
    });
    await expect(admin.accessSecretVersion({ name: `${SECRET}/versions/9` })).rejects.toMatchObject({
      code: gRPC.notFound,
      message: expect.stringContaining(`Secret Version [${ANSWERED}/versions/9] not found.`),
    });
  });

  it('deletes a secret with its versions', async () => {
    const admin = await withSecret();
    await admin.deleteSecret({ name: SECRET });
    await expect(admin.getSecret({ name: SECRET })).rejects.toMatchObject({ code: gRPC.notFound });
  });

  it('refuses a token without the cloud-platform scope', async () => {
    const limited = client(ADMIN, ['https://www.googleapis.com/auth/gmail.settings.basic']);
    await expect(limited.getSecret({ name: SECRET })).rejects.toMatchObject({ code: gRPC.denied });
  });
});

describe('Secret Manager answers', () => {
  const path = 'projects/acme-sealwright/secrets';

  it('enum values as names, unless numbers are asked for as the client does', async () => {
    await withSecret();
    const named = await raw('GET', `${path}/ca-key/versions/1`);
    expect(named.body).toMatchObject({ state: 'ENABLED', replicationStatus: { automatic: {} } });
    const numbered = await raw('GET', `${path}/ca-key/versions/1?$alt=json%3Benum-encoding=int`);
    expect(numbered.body).toMatchObject({ state: 1 });
  });

  it('the checksum as decimal text and the payload as base64', async () => {
    await withSecret();
    expect((await raw('GET', `${path}/ca-key/versions/1:access`)).body).toEqual({
      name: `${ANSWERED}/versions/1`,
      payload: { data: key.toString('base64'), dataCrc32c: String(crc32c.buf(key) >>> 0) },
    });
  });

  it('an empty list without its array', async () => {
    expect((await raw('GET', path)).body).toEqual({ totalSize: 0 });
    await withSecret(Buffer.from('x'));
    expect((await raw('GET', `${path}/ca-key/versions?filter=state:DISABLED`)).body).toEqual({
      totalSize: 0,
    });
  });

  it('403, not 404, to somebody without rights who asks for a secret that does not exist', async () => {
    const denied = refusal(403, 'PERMISSION_DENIED', expect.stringContaining('(or it may not exist)'));
    expect(await raw('GET', `${path}/none/versions/1:access`, undefined, STRANGER)).toMatchObject(denied);
    expect(await raw('GET', 'projects/another/secrets/ca-key')).toMatchObject(denied);
  });

  it('the project by number as well as by id', async () => {
    await withSecret();
    expect((await raw('GET', 'projects/411111111111/secrets/ca-key')).status).toBe(200);
  });
});

describe('Secret Manager refuses', () => {
  const path = 'projects/acme-sealwright/secrets';
  const automatic = { replication: { automatic: {} } };

  it.each([
    ['an id with a dot', 'secretId=a.b', automatic],
    ['no id', '', automatic],
    ['no replication', 'secretId=a', {}],
    ['two kinds of replication', 'secretId=a', { replication: { automatic: {}, userManaged: {} } }],
    [
      'user-managed replication without a place',
      'secretId=a',
      { replication: { userManaged: { replicas: [{}] } } },
    ],
    ['an unknown field', 'secretId=a', { ...automatic, value: 'x' }],
    ['an unknown nested field', 'secretId=a', { replication: { auto: {} } }],
    ['an unknown query parameter', 'secretId=a&id=b', automatic],
    ['aliases before there are versions', 'secretId=a', { ...automatic, versionAliases: { x: '1' } }],
    ['a label key in capitals', 'secretId=a', { ...automatic, labels: { Team: 'x' } }],
    ['a label value with a blank', 'secretId=a', { ...automatic, labels: { team: 'a b' } }],
    ['an end in the past', 'secretId=a', { ...automatic, expireTime: '2020-01-01T00:00:00Z' }],
    ['an end that is no time', 'secretId=a', { ...automatic, expireTime: 'tomorrow' }],
    ['two ends', 'secretId=a', { ...automatic, ttl: '60s', expireTime: '2099-01-01T00:00:00Z' }],
    ['a life without a unit', 'secretId=a', { ...automatic, ttl: '60' }],
    ['a destruction delay under a day', 'secretId=a', { ...automatic, versionDestroyTtl: '3600s' }],
  ])('to create a secret with %s', async (_name, query, body) => {
    expect(await raw('POST', `${path}?${query}`, body)).toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
  });

  it.each([
    [
      'customer-managed encryption',
      { replication: { automatic: { customerManagedEncryption: { kmsKeyName: 'k' } } } },
    ],
    ['topics', { ...automatic, topics: [{ name: 't' }] }],
    ['rotation', { ...automatic, rotation: { rotationPeriod: '3600s' } }],
    ['tags', { ...automatic, tags: { a: 'b' } }],
  ])('%s, which the emulator does not have, with 501', async (_name, body) => {
    expect((await raw('POST', `${path}?secretId=a`, body)).status).toBe(501);
  });

  it.each([
    ['an empty payload', { data: '' }],
    ['no payload', undefined],
    ['more than 64 KiB', { data: Buffer.alloc(65_537).toString('base64') }],
    ['a wrong checksum', { data: key.toString('base64'), dataCrc32c: '1' }],
    [
      'a checksum of the other polynomial',
      { data: Buffer.from('123456789').toString('base64'), dataCrc32c: '3421780262' },
    ],
    ['a checksum that is no number', { data: key.toString('base64'), dataCrc32c: 'abc' }],
    ['data that is not base64', { data: '*' }],
    ['an unknown field', { data: key.toString('base64'), crc32c: '1' }],
  ])('to add a version with %s', async (_name, payload) => {
    await withSecret(Buffer.from('x'));
    const answer = await raw('POST', `${path}/ca-key:addVersion`, payload === undefined ? {} : { payload });
    expect(answer).toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
    expect((await raw('GET', `${path}/ca-key/versions`)).body['totalSize']).toBe(1);
  });

  it('nothing at exactly 64 KiB, and takes the Castagnoli checksum of the standard check text', async () => {
    await withSecret(Buffer.from('x'));
    const add = (payload: unknown) => raw('POST', `${path}/ca-key:addVersion`, { payload });
    expect((await add({ data: Buffer.alloc(65_536, 1).toString('base64') })).status).toBe(200);
    const check = { data: Buffer.from('123456789').toString('base64'), dataCrc32c: '3808858755' };
    expect((await add(check)).status).toBe(200);
  });

  it.each([
    ['a wrong alias', { versionAliases: { '1st': '1' } }],
    ['the alias latest', { versionAliases: { latest: '1' } }],
    ['an alias of a version that does not exist', { versionAliases: { current: '7' } }],
    ['an alias that names no number', { versionAliases: { current: 'one' } }],
    [
      'too many aliases',
      { versionAliases: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`a${n}`, '1'])) },
    ],
  ])('to set %s', async (_name, body) => {
    await withSecret();
    expect(await raw('PATCH', `${path}/ca-key?updateMask=versionAliases`, body)).toMatchObject(
      refusal(400, 'INVALID_ARGUMENT'),
    );
  });

  it('an update without a mask, and one of a field that cannot be updated', async () => {
    await withSecret();
    expect(await raw('PATCH', `${path}/ca-key`, { labels: {} })).toMatchObject(
      refusal(400, 'INVALID_ARGUMENT'),
    );
    expect(
      await raw('PATCH', `${path}/ca-key?updateMask=replication`, { replication: { automatic: {} } }),
    ).toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
  });

  it('a change under an etag that is not the present one, with FAILED_PRECONDITION', async () => {
    await withSecret();
    const precondition = refusal(400, 'FAILED_PRECONDITION');
    const etag = '"00"';
    for (const action of ['enable', 'disable', 'destroy']) {
      expect(await raw('POST', `${path}/ca-key/versions/1:${action}`, { etag })).toMatchObject(precondition);
    }
    expect(await raw('PATCH', `${path}/ca-key?updateMask=labels`, { etag, labels: {} })).toMatchObject(
      precondition,
    );
    expect(await raw('DELETE', `${path}/ca-key?etag=${encodeURIComponent(etag)}`)).toMatchObject(
      precondition,
    );
    const present = (await raw('GET', `${path}/ca-key/versions/1`)).body['etag'];
    const enabled = await raw('POST', `${path}/ca-key/versions/1:enable`, { etag: present });
    expect(enabled.status).toBe(200);
    expect(enabled.body['etag']).not.toBe(present);
  });

  it.each([
    ['a role of another service', { role: 'roles/run.invoker', members: ['user:a@b.c'] }, 400],
    ['a member that is none', { role: 'roles/secretmanager.admin', members: ['a@b.c'] }, 400],
    [
      'a group, which it cannot look into',
      { role: 'roles/secretmanager.admin', members: ['group:a@b.c'] },
      501,
    ],
    [
      'a condition',
      { role: 'roles/secretmanager.admin', members: [], condition: { expression: 'true' } },
      501,
    ],
    ['an unknown field', { role: 'roles/secretmanager.admin', member: [] }, 400],
  ])('a policy with %s', async (_name, binding, status) => {
    await withSecret();
    const answer = await raw('POST', `${path}/ca-key:setIamPolicy`, { policy: { bindings: [binding] } });
    expect(answer.status).toBe(status);
  });

  it('no policy at all, and one under an old etag with ABORTED', async () => {
    await withSecret();
    expect(await raw('POST', `${path}/ca-key:setIamPolicy`, {})).toMatchObject(
      refusal(400, 'INVALID_ARGUMENT'),
    );
    const { etag } = (await raw('GET', `${path}/ca-key:getIamPolicy`)).body;
    expect((await raw('POST', `${path}/ca-key:setIamPolicy`, { policy: { etag } })).status).toBe(200);
    expect(await raw('POST', `${path}/ca-key:setIamPolicy`, { policy: { etag } })).toMatchObject(
      refusal(409, 'ABORTED'),
    );
  });

  it('page sizes, page tokens and filters it does not understand', async () => {
    expect((await raw('GET', `${path}?pageSize=-1`)).status).toBe(400);
    expect((await raw('GET', `${path}?pageToken=x`)).status).toBe(400);
    expect((await raw('GET', `${path}?filter=labels.a=b`)).status).toBe(501);
    await withSecret();
    expect((await raw('GET', `${path}/ca-key/versions?filter=created>1`)).status).toBe(501);
  });
});

describe('Secret Manager, as time passes,', () => {
  const path = 'projects/acme-sealwright/secrets';

  it('destroys a version only after the delay of its secret, and not when it was enabled again', async () => {
    const delayed = { replication: { automatic: {} }, versionDestroyTtl: '86400s' };
    await raw('POST', `${path}?secretId=ca-key`, delayed);
    const payload = { data: key.toString('base64') };
    for (const _ of [1, 2]) await raw('POST', `${path}/ca-key:addVersion`, { payload });
    for (const version of [1, 2]) {
      const answer = await raw('POST', `${path}/ca-key/versions/${version}:destroy`, {});
      expect(answer.body).toMatchObject({ state: 'DISABLED', scheduledDestroyTime: expect.any(String) });
    }
    await raw('POST', `${path}/ca-key/versions/2:enable`, {});
    serving.context.clock.advance(86_300_000);
    expect((await raw('GET', `${path}/ca-key/versions/1`)).body['state']).toBe('DISABLED');
    serving.context.clock.advance(200_000);
    expect((await raw('GET', `${path}/ca-key/versions/1`)).body['state']).toBe('DESTROYED');
    expect((await raw('GET', `${path}/ca-key/versions/2`)).body['state']).toBe('ENABLED');
  });

  it('forgets a secret at its end', async () => {
    await raw('POST', `${path}?secretId=short`, { replication: { automatic: {} }, ttl: '60s' });
    expect((await raw('GET', `${path}/short`)).status).toBe(200);
    serving.context.clock.advance(61_000);
    expect((await raw('GET', `${path}/short`)).status).toBe(404);
  });
});

describe('the wiring of Secret Manager', () => {
  it('makes a secret once, sets its readers, and adds versions', async () => {
    const { room } = serving;
    const reader = [{ role: 'roles/secretmanager.secretAccessor', members: [`serviceAccount:${READER}`] }];
    room.ensureSecret('ca-key', reader);
    expect(room.addVersion('ca-key', key)).toBe(1);
    room.ensureSecret('ca-key', reader);
    const [answer] = await client(READER).accessSecretVersion({ name: `${SECRET}/versions/1` });
    expect(Buffer.from(answer.payload?.data as Uint8Array)).toEqual(key);
    expect(() => room.addVersion('none', key)).toThrow(RangeError);
    expect(() => room.ensureSecret('x', [{ role: 'roles/none', members: [] }])).toThrow('not supported');
  });
});
