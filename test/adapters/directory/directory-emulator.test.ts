import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import { admin } from 'googleapis/build/src/apis/admin/index.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DIRECTORY_SCOPES, googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import type { DirectoryUser } from '../../../shared/domain/directory-user.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import { type Company, DIRECTORY_ACCOUNT, openCompany, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

describe('the directory adapter against the emulator, as a service account with a read-only admin role', () => {
  let company: Company;
  let directory: Directory;
  /** What an administrator does meanwhile. */
  let administrator: admin_directory_v1.Admin;
  const collect = async (users: AsyncIterable<DirectoryUser>) => {
    const all: DirectoryUser[] = [];
    for await (const user of users) all.push(user);
    return all;
  };
  const directoryAs = (who: string | undefined) =>
    googleDirectory({
      bearer: delegatedCredentials({
        signerEmail: DIRECTORY_ACCOUNT,
        scopes: DIRECTORY_SCOPES,
        own: company.own(who),
        retry: company.retry,
        endpoints: company.endpoints,
      }).forAccount(),
      endpoints: company.endpoints,
      retry: company.retry,
    });
  const idOf = (address: string): string => company.directory.byAddress(address)?.id ?? 'nobody';

  beforeAll(async () => {
    company = await openCompany();
    company.directory.seedTenant({
      orgUnits: ['/Staff/Legal', "/Staff/O'Neill \\ Co", '/Contractors'],
      users: [
        { primaryEmail: 'admin@acme.example', givenName: 'Ada', familyName: 'Min', superAdmin: true },
        {
          primaryEmail: 'ana@acme.example',
          givenName: 'Ana',
          familyName: 'Smith',
          orgUnitPath: '/Staff/Legal',
          aliases: ['a.smith@acme.example'],
        },
        {
          primaryEmail: 'ben@acme.example',
          givenName: 'Ben',
          familyName: 'Jones',
          orgUnitPath: '/Staff',
          suspended: true,
        },
        {
          primaryEmail: 'cem@acme.example',
          givenName: 'Cem',
          familyName: 'Kaya',
          orgUnitPath: "/Staff/O'Neill \\ Co",
        },
        {
          primaryEmail: 'dia@acme.example',
          givenName: 'Dia',
          familyName: 'Roy',
          orgUnitPath: '/Contractors',
        },
      ],
    });
    directory = directoryAs(undefined);
    const token = company.tokens.mint({
      kind: 'user',
      email: 'admin@acme.example',
      serviceAccount: DIRECTORY_ACCOUNT,
      scopes: ['https://www.googleapis.com/auth/admin.directory.user'],
    });
    administrator = admin({
      version: 'directory_v1',
      rootUrl: company.endpoints.rootUrl ?? '',
      headers: { authorization: `Bearer ${token.accessToken}` },
    });
  });
  beforeEach(() => company.faults.apply({ reset: true }));
  afterAll(() => company.close());

  it('describes a living user', async () => {
    expect(await directory.presence(idOf('ana@acme.example'))).toEqual({
      kind: 'present',
      user: {
        userId: idOf('ana@acme.example'),
        primaryEmail: 'ana@acme.example',
        aliases: ['a.smith@acme.example'],
        orgUnitPath: '/Staff/Legal',
        suspended: false,
        archived: false,
        mailboxReady: true,
        givenName: 'Ana',
        familyName: 'Smith',
      },
    });
  });

  it('resolves primary addresses and aliases, and nobody to nobody', async () => {
    expect(await directory.resolve('Ana@acme.example')).toBe(idOf('ana@acme.example'));
    expect(await directory.resolve('a.smith@acme.example')).toBe(idOf('ana@acme.example'));
    expect(await directory.resolve('nobody@acme.example')).toBeUndefined();
    expect(await directory.presence('999999999999999999999')).toMatchObject({ kind: 'absent' });
  });

  it('lists a subtree, the quoted unit and everybody', async () => {
    const addresses = async (path: string) =>
      (await collect(directory.usersUnder(path))).map((user) => user.primaryEmail).sort();
    expect(await addresses('/Staff')).toEqual(['ana@acme.example', 'ben@acme.example', 'cem@acme.example']);
    expect(await addresses("/Staff/O'Neill \\ Co")).toEqual(['cem@acme.example']);
    expect(await addresses('/')).toHaveLength(5);
  });

  it('lists a page of a subtree with everybody in full, and says when there is no such unit', async () => {
    const { users, nextPageToken } = await directory.fullPage({ orgUnitPath: '/Staff/Legal' });
    expect(nextPageToken).toBeUndefined();
    expect(users.find(({ primaryEmail }) => primaryEmail === 'ana@acme.example')).toEqual(
      ((await directory.presence(idOf('ana@acme.example'))) as { user: unknown }).user,
    );
    await expect(directory.fullPage({ orgUnitPath: '/Nowhere' })).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(directory.fullPage({ orgUnitPath: '/', pageToken: 'never given' })).rejects.toMatchObject({
      code: 'page-token-expired',
    });
  });

  it('lists a page for a sweep with what is compared, and neither names nor mailboxes', async () => {
    const { users } = await directory.livingPage({ orgUnitPath: '/Staff/Legal' });
    expect(Array.from({ length: users.length }, (_, position) => users.userAt(position))).toEqual([
      {
        userId: idOf('ana@acme.example'),
        primaryEmail: 'ana@acme.example',
        aliases: ['a.smith@acme.example'],
        orgUnitPath: '/Staff/Legal',
        suspended: false,
        archived: false,
      },
    ]);
  });

  it('follows a deleted user into the deleted list, by id and by address', async () => {
    const { data } = await administrator.users.insert({
      requestBody: {
        primaryEmail: 'eva@acme.example',
        name: { givenName: 'Eva', familyName: 'Berg' },
        password: 'correct horse battery',
        orgUnitPath: '/Staff',
      },
    });
    const userId = data.id ?? '';
    expect(await directory.presence(userId)).toMatchObject({
      kind: 'present',
      user: { orgUnitPath: '/Staff' },
    });
    await administrator.users.delete({ userKey: userId });
    expect(await directory.presence(userId)).toEqual({
      kind: 'deleted',
      userId,
      deletedAt: expect.any(Date),
      primaryEmail: 'eva@acme.example',
    });
    expect(await directory.resolve('eva@acme.example')).toBe(userId);
  });

  it('opens a channel, reads its end, stops it, and stops it again', async () => {
    const channel = await directory.watch({
      channelId: 'b1f0c1c2-6a54-4c53-9f1a-1c5d0d7f0a11',
      token: 'k=3',
      address: 'https://watch.acme.example/directory',
      event: 'update',
      ttlSeconds: 3600,
    });
    expect(channel.channelId).toBe('b1f0c1c2-6a54-4c53-9f1a-1c5d0d7f0a11');
    expect(channel.resourceId).not.toBe('');
    expect(channel.expiresAt.getTime()).toBeGreaterThan(company.clock.nowMs());
    expect(channel.expiresAt.getTime()).toBeLessThanOrEqual(company.clock.nowMs() + 3_600_000);
    await directory.stopChannel(channel);
    await expect(directory.stopChannel(channel)).resolves.toBeUndefined();
  });

  it('gets through throttling by 403, 429 and 503', async () => {
    company.faults.apply({
      calls: [
        { method: 'directory.users.list', nth: [1], status: 403, reason: 'userRateLimitExceeded' },
        { method: 'directory.users.list', nth: [2], status: 429 },
        { method: 'directory.users.list', nth: [3], status: 503 },
        { method: 'directory.users.list', nth: [4], cut: 'after' },
      ],
    });
    expect(await collect(directory.usersUnder('/Contractors'))).toHaveLength(1);
  });

  it('gets a new token when the clock has jumped past the old one', async () => {
    await directory.presence(idOf('ana@acme.example'));
    company.clock.advance(7_200_000);
    expect(await directory.presence(idOf('ana@acme.example'))).toMatchObject({ kind: 'present' });
  });

  it('says what is missing when the function may not act as the account', async () => {
    const error = await failureOf(directoryAs(STRANGER).resolve('ana@acme.example'));
    expect(error).toMatchObject({ kind: 'permanent', code: 'directory-refused' });
    expect(error.message).toContain(`roles/iam.serviceAccountTokenCreator on ${DIRECTORY_ACCOUNT}`);
  });
});
