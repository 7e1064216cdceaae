import { afterEach, beforeEach, describe, expect, it, type MockInstance, test, vi } from 'vitest';
import {
  ADMIN,
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  quiet,
  READER,
  type Received,
  type Receiver,
  receiver,
  refusalOf,
} from './company.ts';

let acme: Company;
let api: GoogleDirectory;
let hook: Receiver;
let stderr: MockInstance<typeof process.stderr.write>;

beforeEach(async () => {
  stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  acme = await company();
  api = acme.client();
  hook = await receiver();
});
afterEach(async () => {
  await acme[Symbol.asyncDispose]();
  await hook[Symbol.asyncDispose]();
  stderr.mockRestore();
});

const complaints = () => stderr.mock.calls.map(([line]) => String(line)).join('');

const watch = async (body: object = {}, parameters: object = { customer: 'my_customer' }) =>
  (
    await api.users.watch({
      ...parameters,
      requestBody: { id: 'channel-1', type: 'web_hook', address: hook.url, ...body },
    })
  ).data;

const states = (received: readonly Received[]) =>
  received.map(({ headers }) => headers['x-goog-resource-state']);

const suspend = (userKey: string, suspended = true) =>
  api.users.patch({ userKey, requestBody: { suspended } });

describe('users.watch', () => {
  it('answers with the channel', async () => {
    const beforeMs = acme.clock.nowMs();
    const channel = await watch(
      { token: 'k=3', params: { ttl: '3600' } },
      { domain: 'acme.example', event: 'delete' },
    );
    expect(channel).toEqual({
      kind: 'api#channel',
      id: 'channel-1',
      resourceId: expect.stringMatching(/^[\w-]{27}$/),
      resourceUri:
        'https://admin.googleapis.com/admin/directory/v1/users?domain=acme.example&event=delete&alt=json',
      token: 'k=3',
      expiration: expect.stringMatching(/^\d{13}$/),
    });
    const lifeMs = Number(channel.expiration) - beforeMs;
    expect(lifeMs).toBeGreaterThanOrEqual(3_600_000);
    expect(lifeMs).toBeLessThan(3_660_000);
  });

  it('sends sync as message number 1, without a body', async () => {
    const channel = await watch({ token: 'k=3' });
    const [sync] = await hook.atLeast(1);
    expect(sync?.method).toBe('POST');
    expect(sync?.body).toBe('');
    expect(sync?.headers).toMatchObject({
      'content-length': '0',
      'x-goog-channel-id': 'channel-1',
      'x-goog-channel-token': 'k=3',
      'x-goog-message-number': '1',
      'x-goog-resource-id': channel.resourceId,
      'x-goog-resource-state': 'sync',
      'x-goog-resource-uri': channel.resourceUri,
      'x-goog-channel-expiration': new Date(Number(channel.expiration)).toUTCString(),
    });
    expect(sync?.headers).not.toHaveProperty('content-type');
  });

  const hour = 3_600_000;
  test.each([
    ['a ttl in text', { params: { ttl: '600' } }, 600_000],
    ['a ttl in digits', { params: { ttl: 600 } }, 600_000],
    ['nothing: two hours', {}, 2 * hour],
    ['more than six hours: six', { params: { ttl: '172800' } }, 6 * hour],
  ])('lets a channel live as long as asked for: %s', async (_, body, lifeMs) => {
    const beforeMs = acme.clock.nowMs();
    const { expiration } = await watch(body);
    expect(Number(expiration)).toBeGreaterThanOrEqual(beforeMs + lifeMs);
    expect(Number(expiration)).toBeLessThanOrEqual(acme.clock.nowMs() + lifeMs);
  });

  it('takes an expiration in milliseconds, and the earlier end when there are two', async () => {
    const expiration = String(acme.clock.nowMs() + hour);
    expect((await watch({ expiration })).expiration).toBe(expiration);
    const both = await watch({ id: 'channel-2', expiration, params: { ttl: '7200' } });
    expect(both.expiration).toBe(expiration);
  });

  it('has the same resource id for the same question', async () => {
    const first = await watch();
    const second = await watch({ id: 'channel-2' });
    const other = await watch({ id: 'channel-3' }, { customer: 'my_customer', event: 'add' });
    expect(second.resourceId).toBe(first.resourceId);
    expect(other.resourceId).not.toBe(first.resourceId);
  });

  test.each([
    ['no id', { id: undefined }, 'badRequest'],
    ['an id of 65 characters', { id: 'x'.repeat(65) }, 'invalid'],
    ['an id with a blank', { id: 'a b' }, 'invalid'],
    ['no type', { type: undefined }, 'badRequest'],
    ['another type', { type: 'web_socket' }, 'invalid'],
    ['no address', { address: undefined }, 'badRequest'],
    ['an address that is none', { address: 'directory' }, 'invalid'],
    ['plain http elsewhere', { address: 'http://hooks.acme.example/' }, 'push.webhookUrlNotHttps'],
    ['another scheme', { address: 'ftp://127.0.0.1/' }, 'push.webhookUrlNotHttps'],
    ['a password in the address', { address: 'https://u:p@hooks.acme.example/' }, 'invalid'],
    ['a token of 257 characters', { token: 'x'.repeat(257) }, 'invalid'],
    ['a token that fits no header', { token: 'a\nb' }, 'invalid'],
    ['a ttl of nothing', { params: { ttl: '0' } }, 'invalid'],
    ['a ttl that is no number', { params: { ttl: '1h' } }, 'invalid'],
    ['an expiration in the past', { expiration: '1000' }, 'invalid'],
    ['an unknown field', { secret: 'x' }, 'invalidArgument'],
  ])('refuses %s', async (_, body, reason) => {
    expect(await refusalOf(watch(body))).toMatchObject({ status: 400, reason });
  });

  test.each([
    ['an unknown event', { customer: 'my_customer', event: 'dance' }, 400],
    ['neither customer nor domain', {}, 400],
    ['both', { customer: 'my_customer', domain: 'acme.example' }, 400],
    ['another customer', { customer: 'C00other' }, 403],
    ['another domain', { domain: 'other.example' }, 404],
  ])('refuses %s', async (_, parameters, status) => {
    expect((await refusalOf(watch({}, parameters))).status).toBe(status);
  });

  it('takes the longest id and token there are', async () => {
    const id = 'x'.repeat(64);
    expect(await watch({ id, token: 't'.repeat(256) })).toMatchObject({ id });
  });

  it('refuses an id that is in use', async () => {
    await watch();
    expect(await refusalOf(watch())).toMatchObject({ status: 400, reason: 'channelIdNotUnique' });
  });
});

describe('a notification', () => {
  it('holds exactly kind, id, etag and address', async () => {
    await watch();
    await suspend('ann@acme.example');
    const [, update] = await hook.atLeast(2);
    expect(update?.headers['content-type']).toBe('application/json; utf-8');
    expect(JSON.parse(update?.body ?? '')).toEqual({
      kind: 'admin#directory#user',
      id: acme.room.byAddress('ann@acme.example')?.id,
      etag: expect.stringMatching(/^".+"$/),
      primaryEmail: 'ann@acme.example',
    });
    expect(update?.headers).not.toHaveProperty('x-goog-channel-token');
  });

  it('comes for each change, under the name Google gives it', async () => {
    await watch();
    const { id = '' } = (await api.users.insert(newcomer('eve@acme.example'))).data;
    const userKey = id ?? '';
    const patch = (requestBody: object) => api.users.patch({ userKey, requestBody });
    const expected = ['sync', 'add'];
    for (const change of [
      { suspended: true },
      { suspended: false },
      { archived: true },
      { orgUnitPath: '/Staff' },
      { primaryEmail: 'eva@acme.example' },
      { name: { givenName: 'Eva' } },
    ]) {
      await patch(change);
      expected.push('update');
    }
    await api.users.makeAdmin({ userKey, requestBody: { status: true } });
    await api.users.delete({ userKey });
    await api.users.undelete({ userKey, requestBody: {} });
    expected.push('makeAdmin', 'delete', 'undelete');
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(expected);
  });

  it('has numbers that grow', async () => {
    await watch();
    for (let n = 0; n < 10; n += 1) await suspend('ann@acme.example', n % 2 === 0);
    await quiet(acme.room);
    const numbers = hook.received.map(({ headers }) => Number(headers['x-goog-message-number']));
    expect(numbers).toHaveLength(11);
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))).toBe(true);
  });

  it('does not come for an update that changes nothing', async () => {
    await watch();
    await suspend('ann@acme.example', false);
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(['sync']);
  });

  it('comes only for the event and the domain that were asked for', async () => {
    await watch({}, { domain: 'branch.example', event: 'add' });
    await api.users.insert(newcomer('eve@acme.example'));
    await api.users.insert(newcomer('cyd@branch.example'));
    await suspend('cyd@branch.example');
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(['sync', 'add']);
    expect(hook.received[1]?.body).toContain('cyd@branch.example');
  });

  it('goes to every channel', async () => {
    await watch();
    await watch({ id: 'channel-2' });
    await suspend('ann@acme.example');
    const received = await hook.atLeast(4);
    const updates = received.filter(({ headers }) => headers['x-goog-resource-state'] === 'update');
    expect(updates.map(({ headers }) => headers['x-goog-channel-id']).toSorted()).toEqual([
      'channel-1',
      'channel-2',
    ]);
  });

  it('does not come for what is seeded', async () => {
    await watch();
    acme.room.seedTenant({
      users: [{ primaryEmail: 'eve@acme.example', givenName: 'Eve', familyName: 'Ames' }],
    });
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(['sync']);
  });

  test.each([500, 502, 503, 504])('is sent again after %i', async (status) => {
    hook.answers.push(status, status);
    await watch();
    await hook.atLeast(3);
    await quiet(acme.room);
    expect(hook.received.map(({ headers }) => headers['x-goog-message-number'])).toEqual(['1', '1', '1']);
  });

  it('is given up after the last try', async () => {
    hook.answers.push(...Array.from({ length: 10 }, () => 503));
    await watch();
    await hook.atLeast(4);
    await quiet(acme.room);
    expect(hook.received).toHaveLength(4);
    expect(complaints()).toContain('notification 1 (sync) of channel channel-1 is lost after 4 tries');
  });

  test.each([302, 400, 401, 404, 429, 501])('is lost after %i', async (status) => {
    hook.answers.push(status);
    await watch();
    await hook.atLeast(1);
    await quiet(acme.room);
    expect(hook.received).toHaveLength(1);
    expect(complaints()).toContain(`is lost, the receiver answered ${status}`);
  });

  test.each([102, 200, 201, 202, 204])('is taken by %i', async (status) => {
    hook.answers.push(status);
    await watch();
    await hook.atLeast(1);
    await quiet(acme.room);
    expect(hook.received).toHaveLength(1);
    expect(complaints()).toBe('');
  });

  it('is tried again when nobody listens', async () => {
    const { port } = hook;
    await hook[Symbol.asyncDispose]();
    await watch({ address: `http://127.0.0.1:${port}/directory` });
    expect(acme.room.pending().length).toBeGreaterThan(0);
    await quiet(acme.room);
    hook = await receiver();
  });

  it('is not held up by an older one that is tried again', async () => {
    await watch();
    await hook.atLeast(1);
    hook.answers.push(503, 200, 200);
    await suspend('ann@acme.example');
    await suspend('bob@acme.example');
    const received = await hook.atLeast(4);
    await quiet(acme.room);
    const bodies = received.slice(1).map(({ body }) => (body.includes('ann@') ? 'ann' : 'bob'));
    expect(bodies.toSorted()).toEqual(['ann', 'ann', 'bob']);
  });

  it('finds the receiver behind a public name', async () => {
    await using named = await company({
      hostNames: {
        resolve: (url) =>
          url.hostname === 'hooks.acme.example' ? new URL(url.pathname, hook.url) : undefined,
      },
    });
    await named.client().users.watch({
      customer: 'my_customer',
      requestBody: { id: 'c', type: 'web_hook', address: 'https://hooks.acme.example/directory' },
    });
    const [sync] = await hook.atLeast(1);
    expect(sync?.headers.host).toBe('hooks.acme.example');
  });
});

describe('a channel', () => {
  it('falls silent when it expires, and its id is free again', async () => {
    await watch({ params: { ttl: '600' } });
    await hook.atLeast(1);
    acme.clock.advance(600_001);
    await suspend('ann@acme.example');
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(['sync']);
    expect(await watch()).toMatchObject({ id: 'channel-1' });
  });

  it('falls silent when it is stopped', async () => {
    const { id, resourceId } = await watch();
    await hook.atLeast(1);
    const { status } = await api.channels.stop({
      requestBody: { id: id ?? '', resourceId: resourceId ?? '' },
    });
    expect(status).toBe(204);
    await suspend('ann@acme.example');
    await quiet(acme.room);
    expect(states(hook.received)).toEqual(['sync']);
  });

  it('is stopped with the whole answer of watch as well', async () => {
    const channel = await watch();
    expect((await api.channels.stop({ requestBody: channel })).status).toBe(204);
  });

  test.each([
    ['an unknown id', { id: 'channel-9' }, 404],
    ['another resource', { resourceId: 'other' }, 404],
    ['no id', { id: '' }, 400],
    ['no resource', { resourceId: '' }, 400],
  ])('is not stopped with %s', async (_, change, status) => {
    const { id, resourceId } = await watch();
    const requestBody = { id: id ?? '', resourceId: resourceId ?? '', ...change };
    expect((await refusalOf(api.channels.stop({ requestBody }))).status).toBe(status);
    await suspend('ann@acme.example');
    expect(states(await hook.atLeast(2))).toEqual(['sync', 'update']);
  });

  it('is not stopped twice, nor after its end', async () => {
    const first = await watch();
    await api.channels.stop({ requestBody: first });
    expect((await refusalOf(api.channels.stop({ requestBody: first }))).status).toBe(404);
    const second = await watch({ params: { ttl: '60' } });
    acme.clock.advance(60_001);
    expect((await refusalOf(api.channels.stop({ requestBody: second }))).status).toBe(404);
  });

  it('is not stopped by somebody else', async () => {
    const channel = await watch();
    const reader = acme.client({ kind: 'service-account', email: READER });
    expect((await refusalOf(reader.channels.stop({ requestBody: channel }))).status).toBe(404);
    const again = acme.client({ email: ADMIN });
    expect((await again.channels.stop({ requestBody: channel })).status).toBe(204);
  });
});
