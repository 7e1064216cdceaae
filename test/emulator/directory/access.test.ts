import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  ADMIN,
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  quiet,
  READER,
  receiver,
  refusalOf,
} from './company.ts';

let acme: Company;

beforeEach(async () => {
  acme = await company();
});
afterEach(() => acme[Symbol.asyncDispose]());

const ann = { userKey: 'ann@acme.example' };
const unit = { customerId: 'my_customer', orgUnitPath: 'Staff' };

type Attempt = (api: GoogleDirectory) => Promise<unknown>;

const READS: readonly [string, Attempt][] = [
  ['users.get', (api) => api.users.get(ann)],
  ['users.list', (api) => api.users.list({ customer: 'my_customer' })],
  ['users.aliases.list', (api) => api.users.aliases.list(ann)],
  ['orgunits.get', (api) => api.orgunits.get(unit)],
  ['orgunits.list', (api) => api.orgunits.list({ customerId: 'my_customer' })],
  [
    'users.watch',
    (api) =>
      api.users.watch({
        customer: 'my_customer',
        requestBody: { id: 'c1', type: 'web_hook', address: 'https://127.0.0.1:9/' },
      }),
  ],
];

const CHANGES: readonly [string, Attempt][] = [
  ['users.insert', (api) => api.users.insert(newcomer('eve@acme.example'))],
  ['users.update', (api) => api.users.update({ ...ann, requestBody: {} })],
  ['users.patch', (api) => api.users.patch({ ...ann, requestBody: {} })],
  ['users.delete', (api) => api.users.delete(ann)],
  ['users.undelete', (api) => api.users.undelete({ ...ann, requestBody: {} })],
  ['users.makeAdmin', (api) => api.users.makeAdmin({ ...ann, requestBody: { status: true } })],
  [
    'users.aliases.insert',
    (api) => api.users.aliases.insert({ ...ann, requestBody: { alias: 'x@acme.example' } }),
  ],
  ['users.aliases.delete', (api) => api.users.aliases.delete({ ...ann, alias: 'a.archer@acme.example' })],
  [
    'orgunits.insert',
    (api) =>
      api.orgunits.insert({
        customerId: 'my_customer',
        requestBody: { name: 'X', parentOrgUnitPath: '/' },
      }),
  ],
  ['orgunits.update', (api) => api.orgunits.update({ ...unit, requestBody: {} })],
  ['orgunits.patch', (api) => api.orgunits.patch({ ...unit, requestBody: {} })],
  ['orgunits.delete', (api) => api.orgunits.delete(unit)],
];

const FORBIDDEN = {
  status: 403,
  reason: 'forbidden',
  message: 'Not Authorized to access this resource/api',
};

describe('a caller without a token', () => {
  it('is answered 401', async () => {
    const response = await fetch(`${acme.root}admin/directory/v1/users?customer=my_customer`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { errors: [{ reason: 'authError' }] } });
  });
});

describe('a service account with the read-only role', () => {
  const reader = () => acme.client({ kind: 'service-account', email: READER });

  test.each(READS)('may call %s', async (_, attempt) => {
    expect(await attempt(reader())).toMatchObject({ status: 200 });
  });

  test.each(CHANGES)('may not call %s', async (_, attempt) => {
    expect(await refusalOf(attempt(reader()))).toMatchObject(FORBIDDEN);
  });

  it('may stop its own channel', async () => {
    const { data } = await reader().users.watch({
      customer: 'my_customer',
      requestBody: { id: 'c1', type: 'web_hook', address: 'https://127.0.0.1:9/' },
    });
    expect((await reader().channels.stop({ requestBody: data })).status).toBe(204);
  });
});

describe('a service account without a role', () => {
  test.each([...READS, ...CHANGES])('may not call %s', async (_, attempt) => {
    const stranger = acme.client({
      kind: 'service-account',
      email: 'x@acme-sealwright.iam.gserviceaccount.com',
    });
    expect(await refusalOf(attempt(stranger))).toMatchObject(FORBIDDEN);
  });

  it('has none by the names every object has', async () => {
    const stranger = acme.client({ kind: 'service-account', email: 'constructor' });
    expect(await refusalOf(stranger.users.get(ann))).toMatchObject(FORBIDDEN);
  });
});

describe('a delegated user who is no admin', () => {
  test.each([...READS, ...CHANGES])('may not call %s', async (_, attempt) => {
    expect(await refusalOf(attempt(acme.client({ email: 'bob@acme.example' })))).toMatchObject(FORBIDDEN);
  });

  it('may look people up in the public view', async () => {
    const bob = acme.client({ email: 'bob@acme.example' });
    const viewType = 'domain_public';
    expect((await bob.users.get({ ...ann, viewType })).data.name?.fullName).toBe('Ann Archer');
    expect((await bob.users.list({ customer: 'my_customer', viewType })).data.users).toHaveLength(3);
  });

  it('may not list the deleted, whatever the view', async () => {
    const bob = acme.client({ email: 'bob@acme.example' });
    const call = bob.users.list({
      customer: 'my_customer',
      viewType: 'domain_public',
      showDeleted: 'true',
    });
    expect(await refusalOf(call)).toMatchObject(FORBIDDEN);
  });

  it('may do everything once made an admin', async () => {
    await acme.client().users.makeAdmin({ userKey: 'bob@acme.example', requestBody: { status: true } });
    const bob = acme.client({ email: 'bob@acme.example' });
    expect((await bob.users.delete(ann)).status).toBe(204);
  });
});

describe('a delegated admin', () => {
  it('is refused while suspended, and when gone', async () => {
    const api = acme.client();
    await api.users.makeAdmin({ userKey: 'bob@acme.example', requestBody: { status: true } });
    const bob = acme.client({ email: 'bob@acme.example' });
    await api.users.patch({ userKey: 'bob@acme.example', requestBody: { suspended: true } });
    expect(await refusalOf(bob.users.get(ann))).toMatchObject({ status: 401, reason: 'authError' });
    await api.users.delete({ userKey: 'bob@acme.example' });
    expect(await refusalOf(bob.users.get(ann))).toMatchObject({ status: 401, reason: 'authError' });
  });
});

describe('a token with too little scope', () => {
  test.each([
    ...CHANGES.map(
      ([id, attempt]) =>
        [id, attempt, ['admin.directory.user.readonly', 'admin.directory.orgunit.readonly']] as const,
    ),
    ...READS.map(([id, attempt]) => [id, attempt, ['gmail.settings.basic']] as const),
  ])('may not call %s', async (_, attempt, scopes) => {
    expect(await refusalOf(attempt(acme.client({ scopes })))).toMatchObject({
      status: 403,
      reason: 'insufficientPermissions',
    });
  });

  test.each([
    ['cloud-platform', 'users.list', true],
    ['cloud-platform', 'users.get', false],
    ['cloud-platform', 'users.watch', true],
    ['admin.directory.user.readonly', 'users.get', true],
    ['admin.directory.user.alias.readonly', 'users.aliases.list', true],
    ['admin.directory.user.alias.readonly', 'users.get', false],
    ['admin.directory.orgunit.readonly', 'orgunits.list', true],
    ['admin.directory.user', 'orgunits.list', false],
  ])('with %s, calling %s: %s', async (scope, id, allowed) => {
    const attempt = READS.find(([name]) => name === id)?.[1];
    if (attempt === undefined) throw new Error(`There is no attempt ${id}.`);
    const call = attempt(acme.client({ scopes: [scope] }));
    if (allowed) expect(await call).toMatchObject({ status: 200 });
    else expect((await refusalOf(call)).reason).toBe('insufficientPermissions');
  });
});

describe('the quotas', () => {
  const createTwelve = async () => {
    const api = acme.client();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) => api.users.insert(newcomer(`q${n}@acme.example`))),
    );
    return outcomes.filter(({ status }) => status === 'rejected').length;
  };

  it('are off unless they are switched on', async () => {
    expect(await createTwelve()).toBe(0);
  });

  it('allow 2,400 calls a minute to each user', async () => {
    const { now, nowMs } = frozen(acme);
    acme.faults.apply({ quotas: true });
    await callDirectly(acme, 2399);
    expect((await acme.client().users.get(ann)).status).toBe(200);
    expect(await refusalOf(acme.client().users.get(ann))).toMatchObject({
      status: 403,
      reason: 'userRateLimitExceeded',
      domain: 'usageLimits',
    });
    const reader = acme.client({ kind: 'service-account', email: READER });
    expect((await reader.users.get(ann)).status).toBe(200);
    now(nowMs() + 60_000);
    expect((await acme.client().users.get(ann)).status).toBe(200);
  });

  it('allow ten new users a second, and one change of units', async () => {
    const { now, nowMs } = frozen(acme);
    acme.faults.apply({ quotas: true });
    expect(await createTwelve()).toBe(2);
    const insert = (name: string) =>
      acme.client().orgunits.insert({
        customerId: 'my_customer',
        requestBody: { name, parentOrgUnitPath: '/' },
      });
    expect((await insert('One')).status).toBe(200);
    expect(await refusalOf(insert('Two'))).toMatchObject({
      status: 403,
      reason: 'quotaExceeded',
      domain: 'usageLimits',
    });
    now(nowMs() + 1000);
    expect((await insert('Two')).status).toBe(200);
  });
});

describe('a restart', () => {
  it('continues with the same people, page tokens and channels', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'directory-'));
    try {
      const stateFile = join(folder, 'state.json');
      await using hook = await receiver();
      const before = await company({ stateFile });
      const { data: first } = await before.client().users.list({ customer: 'my_customer', maxResults: 1 });
      await before.client().users.watch({
        customer: 'my_customer',
        requestBody: { id: 'c1', type: 'web_hook', address: hook.url },
      });
      await before.client().users.delete({ userKey: 'bob@acme.example' });
      await quiet(before.room);
      await before[Symbol.asyncDispose]();

      await using after = await company({ stateFile });
      const { data: second } = await after.client().users.list({
        customer: 'my_customer',
        pageToken: first.nextPageToken ?? '',
      });
      expect(second.users?.map((user) => user.primaryEmail)).toEqual(['ann@acme.example']);
      expect(after.room.deletedByAddress('bob@acme.example')).toBeDefined();
      await after.client().users.delete(ann);
      const received = await hook.atLeast(3);
      expect(received.map(({ headers }) => headers['x-goog-resource-state'])).toEqual([
        'sync',
        'delete',
        'delete',
      ]);
      const numbers = received.map(({ headers }) => Number(headers['x-goog-message-number']));
      expect(numbers[2]).toBeGreaterThan(numbers[1] ?? 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('the seed', () => {
  test.each([
    ['a taken address', { primaryEmail: 'ann@acme.example' }, /taken/],
    ['a foreign address', { primaryEmail: 'x@other.example' }, /not in acme\.example/],
    ['no address', { primaryEmail: 'x' }, /no address/],
    ['an unknown unit', { primaryEmail: 'x@acme.example', orgUnitPath: '/Nowhere' }, /orgUnits/],
    ['an alias twice', { primaryEmail: 'x@acme.example', aliases: ['x@acme.example'] }, /twice/],
  ])('refuses %s in a sentence', (_, user, message) => {
    const users = [{ givenName: 'X', familyName: 'Y', ...user }];
    expect(() => acme.room.seedTenant({ users })).toThrow(message);
  });
});

describe('the other rooms', () => {
  it('hear of every change at once', async () => {
    const heard: string[] = [];
    acme.room.onChange((change, account) => heard.push(`${change} ${account.primaryEmail}`));
    const api = acme.client();
    const { id } = (await api.users.insert(newcomer('eve@acme.example'))).data;
    const userKey = id ?? '';
    await api.users.patch({ userKey, requestBody: { primaryEmail: 'eva@acme.example' } });
    await api.users.aliases.insert({ userKey, requestBody: { alias: 'e@acme.example' } });
    await api.users.makeAdmin({ userKey, requestBody: { status: true } });
    await api.users.delete({ userKey });
    await api.users.undelete({ userKey, requestBody: {} });
    expect(heard).toEqual([
      'add eve@acme.example',
      'update eva@acme.example',
      'update eva@acme.example',
      'makeAdmin eva@acme.example',
      'delete eva@acme.example',
      'undelete eva@acme.example',
    ]);
  });
});

/** So many users.get by the admin, without the network in between. */
async function callDirectly(of: Company, count: number): Promise<void> {
  const route = of.room.routes.find(({ id }) => id === 'directory.users.get');
  const url = new URL('admin/directory/v1/users/ann@acme.example', of.root);
  for (let n = 0; n < count; n += 1) {
    await route?.handle({
      verb: 'GET',
      url,
      params: ann,
      query: url.searchParams,
      headers: {},
      body: Buffer.alloc(0),
      caller: { kind: 'user', email: ADMIN, scopes: [], serviceAccount: READER },
      signal: new AbortController().signal,
    });
  }
}

/** Holds the company's clock still, so that a slow machine sees the same windows as a fast one. */
function frozen(of: Company): { now: (ms: number) => void; nowMs: () => number } {
  let instant = of.clock.nowMs();
  Object.defineProperty(of.clock, 'nowMs', { value: () => instant });
  return {
    now: (ms) => {
      instant = ms;
    },
    nowMs: () => instant,
  };
}
