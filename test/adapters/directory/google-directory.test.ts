import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { GoogleCallError } from '../../../shared/adapters/google/call-error.ts';
import type { DirectoryUser } from '../../../shared/domain/directory-user.ts';
import type { ErrorKind } from '../../../shared/errors.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestBearer, testRetry } from '../world.ts';

const ANA = {
  id: '101',
  primaryEmail: 'Ana@acme.example',
  aliases: ['A.Smith@acme.example', 'ana@ACME.example', 'a.smith@acme.example'],
  nonEditableAliases: ['ana@acme.example.test-google-a.com'],
  orgUnitPath: '/Staff/Legal',
  suspended: false,
  archived: false,
  isMailboxSetup: true,
  name: { givenName: 'Ana', familyName: 'Smith' },
};
const ANA_READ: DirectoryUser = {
  userId: '101',
  primaryEmail: 'ana@acme.example',
  aliases: ['a.smith@acme.example'],
  orgUnitPath: '/Staff/Legal',
  suspended: false,
  archived: false,
  mailboxReady: true,
  givenName: 'Ana',
  familyName: 'Smith',
};
const USERS = '/admin/directory/v1/users';

describe('the directory', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  function directory(script: Script | Scripted) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const bearer = new TestBearer();
    const adapter = googleDirectory({
      bearer,
      endpoints: { rootUrl: server.rootUrl },
      retry: retry.settings,
    });
    return { ...retry, bearer, adapter };
  }
  /** No living user; this is the deleted list, page by page. */
  const deletedOnly =
    (...pages: readonly (readonly object[])[]): Script =>
    ({ path, query }) => {
      if (path !== USERS) return googleError(404, 'notFound', 'Resource Not Found: userKey');
      expect(query.get('showDeleted')).toBe('true');
      const index = Number(query.get('pageToken') ?? 0);
      const more = index + 1 < pages.length ? { nextPageToken: String(index + 1) } : {};
      const users = pages[index] ?? [];
      return { body: { kind: 'admin#directory#users', ...(users.length === 0 ? {} : { users }), ...more } };
    };
  const everybody = async (users: AsyncIterable<DirectoryUser>): Promise<DirectoryUser[]> => {
    const all: DirectoryUser[] = [];
    for await (const user of users) all.push(user);
    return all;
  };

  describe('asked for an id', () => {
    it('describes a living user in our words', async () => {
      const { adapter } = directory({ body: ANA });
      expect(await adapter.presence('101')).toEqual({ kind: 'present', user: ANA_READ });
      expect(server.asked).toHaveLength(1);
      const [asked] = server.asked;
      expect(asked?.path).toBe(`${USERS}/101`);
      expect(asked?.headers.authorization).toBe('Bearer token-1');
      expect(asked?.query.get('viewType')).toBe('admin_view');
      expect(asked?.query.get('fields')).toContain('isMailboxSetup');
    });

    it('leaves out addresses that Google added by itself', async () => {
      const { adapter } = directory({ body: ANA });
      const presence = await adapter.presence('101');
      expect(JSON.stringify(presence)).not.toContain('test-google-a.com');
    });

    it('says suspended, archived and mailbox ready only where the directory does', async () => {
      const { suspended: _s, archived: _a, isMailboxSetup: _m, name: _n, aliases: _l, ...bare } = ANA;
      const { adapter } = directory({ body: bare });
      expect(await adapter.presence('101')).toEqual({
        kind: 'present',
        user: {
          userId: '101',
          primaryEmail: 'ana@acme.example',
          aliases: [],
          orgUnitPath: '/Staff/Legal',
          suspended: false,
          archived: false,
          mailboxReady: false,
        },
      });
      const suspended = directory({ body: { ...ANA, suspended: true, archived: true } });
      expect(await suspended.adapter.presence('101')).toMatchObject({
        user: { suspended: true, archived: true },
      });
    });

    it('finds a deleted user on a later page of the deleted list', async () => {
      const { adapter } = directory(
        deletedOnly(
          [{ id: '1', primaryEmail: 'x@acme.example' }],
          [{ id: '101', primaryEmail: 'Ana@acme.example' }],
        ),
      );
      expect(await adapter.presence('101')).toEqual({
        kind: 'deleted',
        userId: '101',
        primaryEmail: 'ana@acme.example',
      });
    });

    it('answers absent after the whole deleted list, also an empty one', async () => {
      expect(await directory(deletedOnly([])).adapter.presence('101')).toEqual({
        kind: 'absent',
        userId: '101',
      });
      const two = directory(deletedOnly([{ id: '1', primaryEmail: 'x@acme.example' }], [{ id: '2' }]));
      expect(await two.adapter.presence('101')).toEqual({ kind: 'absent', userId: '101' });
      expect(server.asked).toHaveLength(3);
    });

    it('does not take another user for the one asked for', async () => {
      const { adapter } = directory((asked) =>
        asked.path === USERS ? { body: {} } : { body: { ...ANA, id: '999' } },
      );
      expect(await adapter.presence('101')).toEqual({ kind: 'absent', userId: '101' });
    });

    it.each(['id', 'primaryEmail', 'orgUnitPath'] as const)(
      'refuses half an answer, without %s',
      async (field) => {
        const { [field]: _left, ...half } = ANA;
        const { adapter } = directory((asked) => (asked.path === USERS ? { body: {} } : { body: half }));
        expect(await failureOf(adapter.presence('101'))).toMatchObject({
          kind: 'retryable',
          code: 'directory-unavailable',
        });
      },
    );
  });

  describe('asked for an address', () => {
    it('answers the id of the living user who has it', async () => {
      const { adapter } = directory({ body: { id: '101' } });
      expect(await adapter.resolve('A.Smith@acme.example')).toBe('101');
      expect(server.asked[0]?.path).toBe(`${USERS}/a.smith@acme.example`);
    });

    it('answers the id of the user deleted under it, the last one when there were several', async () => {
      const { adapter } = directory(
        deletedOnly(
          [{ id: '7', primaryEmail: 'Ana@acme.example', deletionTime: '2027-01-14T00:00:00Z' }],
          [{ id: '5', primaryEmail: 'ana@acme.example', deletionTime: '2027-01-02T00:00:00Z' }],
        ),
      );
      expect(await adapter.resolve('ana@acme.example')).toBe('7');
    });

    it('answers nobody when nobody has it', async () => {
      const { adapter } = directory(deletedOnly([{ id: '7', primaryEmail: 'ben@acme.example' }]));
      expect(await adapter.resolve('ana@acme.example')).toBeUndefined();
    });
  });

  describe('listing a subtree', () => {
    it('follows the pages, 500 users each, with just the fields it needs', async () => {
      const { adapter } = directory(({ query }) =>
        query.get('pageToken') === 'next'
          ? { body: { users: [{ ...ANA, id: '102' }] } }
          : { body: { users: [ANA], nextPageToken: 'next' } },
      );
      const users = await everybody(adapter.usersUnder('/Staff'));
      expect(users.map((user) => user.userId)).toEqual(['101', '102']);
      const [first] = server.asked;
      expect(Object.fromEntries(first?.query ?? [])).toMatchObject({
        customer: 'my_customer',
        maxResults: '500',
        query: "orgUnitPath='/Staff'",
        viewType: 'admin_view',
      });
      expect(first?.query.get('fields')).toMatch(/^nextPageToken,users\(/);
    });

    it('asks for a sweep for no more of a user than is compared', async () => {
      const { isMailboxSetup: _m, name: _n, ...listed } = ANA;
      const { adapter } = directory({ body: { users: [listed] } });
      const { users } = await adapter.livingPage({ orgUnitPath: '/Staff' });
      const { mailboxReady: _r, givenName: _g, familyName: _f, ...read } = ANA_READ;
      expect([users.length, users.userAt(0)]).toEqual([1, read]);
      expect(server.asked[0]?.query.get('fields')).toBe(
        'nextPageToken,users(id,primaryEmail,aliases,orgUnitPath,suspended,archived)',
      );
    });

    it('escapes quotes and backslashes in the path', async () => {
      const { adapter } = directory({ body: {} });
      await everybody(adapter.usersUnder("/Staff/O'Neill \\ Co"));
      expect(server.asked[0]?.query.get('query')).toBe("orgUnitPath='/Staff/O\\'Neill \\\\ Co'");
    });

    it('says of a unit that is not there just that, which is no failure of the directory', async () => {
      const { adapter } = directory({
        status: 400,
        body: {
          error: { code: 400, message: 'Invalid Input: INVALID_OU_ID', errors: [{ reason: 'invalid' }] },
        },
      });
      expect(await failureOf(everybody(adapter.usersUnder('/Nope')))).toMatchObject({
        code: 'not-found',
        message: 'Listing the users under /Nope failed: there is no such org unit.',
      });
    });

    it('ends what Google said before it says what to do', async () => {
      const { adapter } = directory({
        status: 400,
        body: { error: { code: 400, message: 'Invalid Input: query', errors: [{ reason: 'invalid' }] } },
      });
      expect(await failureOf(everybody(adapter.usersUnder('/Staff')))).toMatchObject({
        code: 'directory-refused',
        message: expect.stringContaining('Invalid Input: query. The request itself was refused'),
      });
    });

    it('lists everybody for the root, without a query', async () => {
      const { adapter } = directory({ body: { users: [ANA] } });
      expect(await everybody(adapter.usersUnder('/'))).toEqual([ANA_READ]);
      expect(server.asked[0]?.query.has('query')).toBe(false);
    });

    it('takes a last page without users for an empty one', async () => {
      expect(await everybody(directory({ body: {} }).adapter.usersUnder('/Staff'))).toEqual([]);
    });

    it.each<[string, Scripted]>([
      ['a page that has a successor but no users', { body: { nextPageToken: 'next' } }],
      ['pages that go round in a circle', { body: { users: [ANA], nextPageToken: 'again' } }],
      ['a user without an address', { body: { users: [{ ...ANA, primaryEmail: undefined }] } }],
      ['a page that is no JSON', { body: '<html>', headers: { 'content-type': 'text/html' } }],
      ['a page of bytes', { body: Buffer.from([1, 2, 3]) }],
    ])('fails, rather than end early, on %s', async (_name, page) => {
      const { adapter } = directory(page);
      expect(await failureOf(everybody(adapter.usersUnder('/Staff')))).toMatchObject({
        kind: 'retryable',
        code: 'directory-unavailable',
      });
    });

    it('fails on a single page that has a successor but no users', async () => {
      const { adapter } = directory({ body: { nextPageToken: 'next' } });
      await expect(adapter.fullPage({ orgUnitPath: '/Staff' })).rejects.toMatchObject({
        kind: 'retryable',
        code: 'directory-unavailable',
      });
    });

    it('fails when a later page cannot be had', async () => {
      const { adapter } = directory(({ query }) =>
        query.has('pageToken')
          ? googleError(503, 'backendError')
          : { body: { users: [ANA], nextPageToken: 'n' } },
      );
      expect(await failureOf(everybody(adapter.usersUnder('/Staff')))).toMatchObject({
        code: 'directory-unavailable',
      });
    });
  });

  describe('opening a notification channel', () => {
    const request = {
      channelId: 'c1',
      token: 't',
      address: 'https://watch.acme.example/',
      event: 'update',
      ttlSeconds: 21_600,
    };

    it('sends what Google asks for and reads when the channel ends', async () => {
      const { adapter } = directory({
        body: { kind: 'api#channel', id: 'c1', resourceId: 'r1', expiration: '1800000000000' },
      });
      expect(await adapter.watch(request)).toEqual({
        channelId: 'c1',
        resourceId: 'r1',
        expiresAt: new Date(1_800_000_000_000),
      });
      const [asked] = server.asked;
      expect(asked?.path).toBe(`${USERS}/watch`);
      expect(Object.fromEntries(asked?.query ?? [])).toEqual({ customer: 'my_customer', event: 'update' });
      expect(JSON.parse(asked?.body ?? '')).toEqual({
        id: 'c1',
        type: 'web_hook',
        address: 'https://watch.acme.example/',
        token: 't',
        params: { ttl: '21600' },
      });
    });

    it.each([
      { resourceId: 'r1' },
      { expiration: '1800000000000' },
      { resourceId: 'r1', expiration: 'soon' },
    ])('fails on an answer without its end or its resource: %j', async (body) => {
      expect(await failureOf(directory({ body }).adapter.watch(request))).toMatchObject({
        code: 'directory-unavailable',
      });
    });

    it('is not repeated after a lost answer, because a channel id can be used once', async () => {
      expect(await failureOf(directory({ cut: true }).adapter.watch(request))).toMatchObject({
        kind: 'retryable',
      });
      expect(server.asked).toHaveLength(1);
    });

    it('is undone by stopping it, which also succeeds when it has already ended', async () => {
      const { adapter } = directory({ status: 204 });
      await adapter.stopChannel({ channelId: 'c1', resourceId: 'r1' });
      expect(server.asked[0]?.path).toBe('/admin/directory_v1/channels/stop');
      expect(JSON.parse(server.asked[0]?.body ?? '')).toEqual({ id: 'c1', resourceId: 'r1' });
      const gone = directory(googleError(404, 'notFound', "Channel 'c1' not found"));
      await expect(gone.adapter.stopChannel({ channelId: 'c1', resourceId: 'r1' })).resolves.toBeUndefined();
    });
  });

  describe('when Google refuses', () => {
    it.each<[string, Scripted, ErrorKind, string, RegExp]>([
      ['401 twice', googleError(401, 'authError'), 'retryable', 'directory-unavailable', /authError/],
      [
        '403 forbidden',
        googleError(403, 'forbidden', 'Not Authorized'),
        'permanent',
        'directory-refused',
        /admin role/,
      ],
      [
        '403 for the scope',
        googleError(403, 'insufficientPermissions'),
        'permanent',
        'directory-refused',
        /scope/,
      ],
      [
        '403 for an API that is off',
        googleError(403, 'accessNotConfigured'),
        'permanent',
        'directory-refused',
        /Enable/,
      ],
      [
        '403 for the quota',
        googleError(403, 'userRateLimitExceeded'),
        'retryable',
        'directory-unavailable',
        /Rate/,
      ],
      [
        '403 "Quota exceeded"',
        googleError(403, 'forbidden', 'Quota exceeded for x'),
        'retryable',
        'directory-unavailable',
        /Quota/,
      ],
      ['429', googleError(429, 'rateLimitExceeded'), 'retryable', 'directory-unavailable', /429/],
      ['503', googleError(503, 'backendError'), 'retryable', 'directory-unavailable', /503/],
      [
        '400',
        googleError(400, 'invalid', 'Invalid Input: query'),
        'permanent',
        'directory-refused',
        /Invalid Input/,
      ],
      ['a lost answer', { cut: true }, 'retryable', 'directory-unavailable', /gave no answer/],
    ])('turns %s into %j', async (_name, answer, kind, code, says) => {
      const { adapter } = directory(answer);
      const error = await failureOf(everybody(adapter.usersUnder('/Staff')));
      expect(error).toMatchObject({ kind, code });
      expect(error.message).toMatch(says);
      expect(error.message).toContain('Listing the users under /Staff failed');
    });

    it('passes on how long Google wants to be left alone', async () => {
      const { adapter } = directory(
        googleError(429, 'rateLimitExceeded', 'x', { headers: { 'retry-after': '300' } }),
      );
      expect(await failureOf(adapter.resolve('a@acme.example'))).toMatchObject({ retryAfterMs: 300_000 });
    });

    it('never takes a failure to get a token for an absent user', async () => {
      server.play(() => ({ body: ANA }));
      const noToken = new GoogleCallError({
        method: 'metadata.token',
        reached: 'answered',
        httpStatus: 404,
        reasons: [],
        text: 'no such account',
        advice: 'Check that account.',
      });
      const adapter = googleDirectory({
        bearer: { accessToken: () => Promise.reject(noToken), forget: () => undefined },
        endpoints: { rootUrl: server.rootUrl },
        retry: testRetry().settings,
      });
      const error = await failureOf(adapter.presence('101'));
      expect(error).toMatchObject({ kind: 'permanent', code: 'directory-refused' });
      expect(error.message).toContain('Check that account.');
      expect(server.asked).toEqual([]);
    });
  });
});
