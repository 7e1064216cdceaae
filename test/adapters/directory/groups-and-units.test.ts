import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import { admin } from 'googleapis/build/src/apis/admin/index.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { DIRECTORY_SCOPES, googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { toTree } from '../../../shared/adapters/directory/org-units.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import { type Company, DIRECTORY_ACCOUNT, openCompany } from '../emulator-company.ts';
import { googleError, type Script, ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestBearer, testRetry } from '../world.ts';

const collect = async <T>(values: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
};

describe('groups and org units through the emulator, as a service account with a read-only admin role', () => {
  let company: Company;
  let directory: Directory;
  let administrator: admin_directory_v1.Admin;
  let pilots: string;
  const idOf = (name: string): string => company.directory.byAddress(`${name}@acme.example`)?.id ?? 'nobody';
  const makeGroup = async (name: string): Promise<string> =>
    (await administrator.groups.insert({ requestBody: { email: `${name}@acme.example` } })).data.id ?? '';
  const add = (groupKey: string, requestBody: object) =>
    administrator.members.insert({ groupKey, requestBody });

  beforeAll(async () => {
    company = await openCompany();
    const person = (name: string, orgUnitPath: string, more = {}) => ({
      primaryEmail: `${name}@acme.example`,
      givenName: name,
      familyName: 'Test',
      orgUnitPath,
      ...more,
    });
    company.directory.seedTenant({
      orgUnits: ['/Staff/Legal', '/Contractors'],
      users: [
        person('admin', '/', { superAdmin: true }),
        ...['ana', 'ben', 'cem'].map((name) => person(name, '/Staff')),
      ],
    });
    const credentials = delegatedCredentials({
      signerEmail: DIRECTORY_ACCOUNT,
      scopes: DIRECTORY_SCOPES,
      own: company.own(undefined),
      retry: company.retry,
      endpoints: company.endpoints,
    });
    directory = googleDirectory({
      bearer: credentials.forAccount(),
      endpoints: company.endpoints,
      retry: company.retry,
    });
    const token = company.tokens.mint({
      kind: 'user',
      email: 'admin@acme.example',
      serviceAccount: DIRECTORY_ACCOUNT,
      scopes: ['admin.directory.group', 'admin.directory.orgunit'].map(
        (scope) => `https://www.googleapis.com/auth/${scope}`,
      ),
    });
    administrator = admin({
      version: 'directory_v1',
      rootUrl: company.endpoints.rootUrl ?? '',
      headers: { authorization: `Bearer ${token.accessToken}` },
    });
    pilots = await makeGroup('pilots');
    const inner = await makeGroup('inner');
    await add(pilots, { id: inner });
    await add(pilots, { id: idOf('ana') });
    await add(inner, { id: idOf('ana') });
    await add(inner, { id: idOf('ben') });
    await add(inner, { email: 'friend@elsewhere.example' });
  });
  beforeEach(() => company.faults.apply({ reset: true }));
  afterAll(() => company.close());

  it('tells the whole tree, whose ids outlive a rename and a move', async () => {
    const before = await directory.orgUnits();
    expect(before.map(({ path }) => path).sort()).toEqual(['/', '/Contractors', '/Staff', '/Staff/Legal']);
    const staff = before.find(({ path }) => path === '/Staff');
    expect(before.find(({ path }) => path === '/Staff/Legal')?.parentId).toBe(staff?.orgUnitId);
    await administrator.orgunits.patch({
      customerId: 'my_customer',
      orgUnitPath: 'Staff',
      requestBody: { name: 'People', parentOrgUnitPath: '/Contractors' },
    });
    // Unasked for freshness, a tree of up to a minute ago does.
    expect(await directory.orgUnits()).toEqual(before);
    const after = await directory.orgUnits({ fresh: true });
    const same = after.find(({ orgUnitId }) => orgUnitId === staff?.orgUnitId);
    expect(same?.path).toBe('/Contractors/People');
    expect(after.map(({ path }) => path)).toContain('/Contractors/People/Legal');
  });

  it('finds a group by address and by id, and lists them all', async () => {
    expect(await directory.group('Pilots@acme.example')).toEqual({
      groupId: pilots,
      address: 'pilots@acme.example',
    });
    expect((await directory.group(pilots))?.address).toBe('pilots@acme.example');
    expect(await directory.group('none@acme.example')).toBeUndefined();
    const all = await collect(directory.groups());
    expect(all.map(({ address }) => address)).toEqual(['inner@acme.example', 'pilots@acme.example']);
  });

  it('knows nested members, one by one and as a list that names each once', async () => {
    const answers = await Promise.all(
      ['ana', 'ben', 'cem'].map((name) => directory.isMember(pilots, idOf(name))),
    );
    expect(answers).toEqual([true, true, false]);
    const members = await collect(directory.groupMembers(pilots));
    expect(members).toHaveLength(3);
    expect(members).toEqual(expect.arrayContaining([idOf('ana'), idOf('ben')]));
    expect(members).not.toContain(idOf('cem'));
  });

  it('lists members page by page, and says of a group that it holds the whole company', async () => {
    const everybody = await makeGroup('everybody');
    await add(everybody, { type: 'CUSTOMER' });
    await add(everybody, { id: idOf('cem') });
    expect(await directory.membersPage({ groupId: everybody })).toEqual({
      userIds: [idOf('cem')],
      holdsEverybody: true,
    });
    expect(await directory.membersPage({ groupId: pilots })).toMatchObject({ holdsEverybody: false });
    const refused = await failureOf(
      directory.membersPage({ groupId: pilots, pageToken: 'not one of Google’s' }),
    );
    expect(refused).toMatchObject({ kind: 'retryable', code: 'page-token-expired' });
  });

  it('lists everybody for a group that holds the whole company', async () => {
    const all = await makeGroup('all');
    await add(all, { type: 'CUSTOMER' });
    await add(all, { id: idOf('cem') });
    const members = await collect(directory.groupMembers(all));
    expect(members.toSorted()).toEqual(['admin', 'ana', 'ben', 'cem'].map(idOf).toSorted());
    expect(await directory.isMember(all, idOf('ben'))).toBe(true);
  });

  it('says that a group is gone, and does not take a user who is gone for it', async () => {
    const passing = await makeGroup('passing');
    expect(await directory.isMember(passing, '999')).toBe(false);
    await administrator.groups.delete({ groupKey: passing });
    expect(await directory.isMember(passing, idOf('ana'))).toBe('no-such-group');
    const failure = await failureOf(collect(directory.groupMembers(passing)));
    expect(failure).toMatchObject({ code: 'directory-refused', message: expect.stringContaining(passing) });
  });

  it('concludes nothing from a page that is empty and not the last', async () => {
    company.faults.apply({ directory: { emptyPages: 1 } });
    const failure = await failureOf(collect(directory.groupMembers(pilots)));
    expect(failure).toMatchObject({ kind: 'retryable', code: 'directory-unavailable' });
  });

  it('gets through throttling', async () => {
    company.faults.apply({
      calls: ['directory.members.hasMember', 'directory.orgunits.list'].map((method) => ({
        method,
        nth: [1],
        status: 403,
        reason: 'userRateLimitExceeded',
      })),
    });
    expect(await directory.isMember(pilots, idOf('ana'))).toBe(true);
    expect(await directory.orgUnits()).toHaveLength(4);
  });
});

describe('what Google may answer about groups', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  const directory = (script: Script) => {
    server.play(script);
    const { settings: retry } = testRetry();
    return googleDirectory({ bearer: new TestBearer(), endpoints: { rootUrl: server.rootUrl }, retry });
  };

  it('a page of members is asked for without white space, and without what is not read of them', async () => {
    const adapter = directory(() => ({ body: { members: [{ id: '7', type: 'USER' }] } }));
    expect(await adapter.membersPage({ groupId: '1' })).toEqual({ userIds: ['7'], holdsEverybody: false });
    expect(Object.fromEntries(server.asked[0]?.query ?? [])).toMatchObject({
      ...{ fields: 'nextPageToken,members(id,type)', prettyPrint: 'false', maxResults: '200' },
    });
  });

  it('a refusal to look for a nested member of another domain is answered from the list', async () => {
    const adapter = directory(({ path, query }) => {
      if (path.includes('/hasMember/')) return googleError(400, 'invalid', 'Invalid Input: memberKey');
      expect(query.get('includeDerivedMembership')).toBe('true');
      return {
        body: {
          members: [
            { id: '7', type: 'USER' },
            { id: 'g', type: 'GROUP' },
          ],
        },
      };
    });
    expect(await adapter.isMember('g1', '7')).toBe(true);
    expect(await adapter.isMember('g1', '8')).toBe(false);
    expect(await adapter.isMember('g1', 'g')).toBe(false);
  });

  it('a tree that somebody is reading already is not read again, unless it has to be fresh', async () => {
    const adapter = directory(() => ({
      body: { organizationUnits: [{ orgUnitId: 'id:r', orgUnitPath: '/' }] },
    }));
    const together = [adapter.orgUnits(), adapter.orgUnits(), adapter.orgUnits({ fresh: true })];
    await Promise.all(together);
    expect(server.asked).toHaveLength(2);
    await adapter.orgUnits();
    expect(server.asked).toHaveLength(2);
  });

  it('a reading that failed is told to all who waited for it, and the next one asks again', async () => {
    server.playInOrder(googleError(400, 'invalid', 'No.'), {
      body: { organizationUnits: [{ orgUnitId: 'id:r', orgUnitPath: '/' }] },
    });
    const { settings: retry } = testRetry();
    const adapter = googleDirectory({
      bearer: new TestBearer(),
      endpoints: { rootUrl: server.rootUrl },
      retry,
    });
    const failures = await Promise.all([adapter.orgUnits(), adapter.orgUnits()].map(failureOf));
    expect(failures.map(({ code }) => code)).toEqual(['directory-refused', 'directory-refused']);
    expect(await adapter.orgUnits()).toHaveLength(1);
  });

  it('an answer that does not say yes or no is no answer', async () => {
    expect(await failureOf(directory(() => ({ body: {} })).isMember('g1', '7'))).toMatchObject({
      kind: 'retryable',
      code: 'directory-unavailable',
    });
  });
});

describe('a list of org units', () => {
  const legal = { orgUnitId: 'id:b', orgUnitPath: '/S/L', parentOrgUnitId: 'id:a', parentOrgUnitPath: '/S' };
  const staff = { orgUnitId: 'id:a', orgUnitPath: '/S', parentOrgUnitId: 'id:r', parentOrgUnitPath: '/' };

  test('without the root has the root that its units name', () => {
    expect(toTree([staff, legal])).toEqual([
      { orgUnitId: 'id:r', path: '/' },
      { orgUnitId: 'id:a', path: '/S', parentId: 'id:r' },
      { orgUnitId: 'id:b', path: '/S/L', parentId: 'id:a' },
    ]);
  });

  test.each([
    ['a unit whose parent is not listed', [{ orgUnitId: 'id:r', orgUnitPath: '/' }, legal]],
    ['nothing', []],
    ['a unit without an id', [{ orgUnitPath: '/' }]],
    ['a unit without a path', [{ orgUnitId: 'id:r' }]],
  ])('with %s is not believed', (_what, units) => {
    expect(() => toTree(units)).toThrow(/cannot be used/);
  });
});
