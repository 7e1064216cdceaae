import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  ADMIN,
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  READER,
  refusalOf,
} from './company.ts';

const GROUP = 'pilots@acme.example';

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
});
afterEach(() => acme[Symbol.asyncDispose]());

const makeGroup = async (email = GROUP) => (await api.groups.insert({ requestBody: { email } })).data;
const add = async (groupKey: string, email: string, more = {}) =>
  (await api.members.insert({ groupKey, requestBody: { email, ...more } })).data;
const isMember = async (groupKey: string, memberKey: string) =>
  (await api.members.hasMember({ groupKey, memberKey })).data.isMember;
const listed = async (groupKey: string, includeDerivedMembership = false) =>
  ((await api.members.list({ groupKey, includeDerivedMembership })).data.members ?? [])
    .map(({ email, type }) => email ?? type)
    .sort();

describe('groups', () => {
  it('are made, read by address and by id, and listed by address', async () => {
    const { data } = await api.groups.insert({
      requestBody: { email: 'Pilots@acme.example', name: 'Pilots', description: 'first' },
    });
    expect(data).toMatchObject({
      kind: 'admin#directory#group',
      id: expect.stringMatching(/^0[0-9a-z]+$/),
      email: GROUP,
      name: 'Pilots',
      description: 'first',
      directMembersCount: '0',
      adminCreated: true,
    });
    expect((await api.groups.get({ groupKey: GROUP })).data).toEqual(data);
    expect((await api.groups.get({ groupKey: data.id ?? '' })).data).toEqual(data);
    await makeGroup('board@branch.example');
    const { data: all } = await api.groups.list({ customer: 'my_customer', fields: 'groups(email)' });
    expect(all).toEqual({ groups: [{ email: 'board@branch.example' }, { email: GROUP }] });
    const { data: one } = await api.groups.list({ domain: 'branch.example' });
    expect(one.groups?.map(({ email }) => email)).toEqual(['board@branch.example']);
  });

  it('keep their id through a change of address, and answer to the old one', async () => {
    const { id } = await makeGroup();
    await api.groups.patch({ groupKey: GROUP, requestBody: { email: 'flyers@acme.example' } });
    const { data } = await api.groups.get({ groupKey: GROUP });
    expect(data).toMatchObject({ id, email: 'flyers@acme.example', aliases: [GROUP] });
  });

  it('are gone once deleted, from the groups they were in too', async () => {
    await makeGroup();
    await makeGroup('all@acme.example');
    await add('all@acme.example', GROUP);
    await api.groups.delete({ groupKey: GROUP });
    expect(await refusalOf(api.groups.get({ groupKey: GROUP }))).toMatchObject({ status: 404 });
    expect(await listed('all@acme.example')).toEqual([]);
  });

  test.each([
    ['without an address', {}, 400],
    ['at a foreign domain', { email: 'a@elsewhere.example' }, 404],
    ['at a user’s address', { email: 'ann@acme.example' }, 409],
    ['at a group’s address', { email: GROUP }, 409],
    ['with too long a description', { email: 'b@acme.example', description: 'x'.repeat(4097) }, 400],
  ])('%s are refused', async (_what, requestBody, status) => {
    await makeGroup();
    expect(await refusalOf(api.groups.insert({ requestBody }))).toMatchObject({ status });
  });

  it('take an address from users and aliases too', async () => {
    await makeGroup();
    expect(await refusalOf(api.users.insert(newcomer(GROUP)))).toMatchObject({ status: 409 });
    const alias = api.users.aliases.insert({ userKey: 'ann@acme.example', requestBody: { alias: GROUP } });
    expect(await refusalOf(alias)).toMatchObject({ status: 409 });
  });

  it('of a user are those they are directly in', async () => {
    for (const email of [GROUP, 'all@acme.example', 'none@acme.example']) await makeGroup(email);
    await add(GROUP, 'ann@acme.example');
    await add('all@acme.example', GROUP);
    const { data } = await api.groups.list({ userKey: 'ann@acme.example' });
    expect(data.groups?.map(({ email }) => email)).toEqual([GROUP]);
  });

  test.each([
    ["email='pilots@acme.example'", [GROUP]],
    ['email:p*', [GROUP]],
    ['name:P* memberKey=ann@acme.example', [GROUP]],
    ['memberKey=bob@acme.example', []],
  ])('are searched by %s', async (query, found) => {
    await makeGroup();
    await makeGroup('all@acme.example');
    await add(GROUP, 'ann@acme.example');
    const { data } = await api.groups.list({ customer: 'my_customer', query });
    expect((data.groups ?? []).map(({ email }) => email)).toEqual(found);
  });

  it('come page by page', async () => {
    for (let n = 0; n < 5; n += 1) await makeGroup(`g${n}@acme.example`);
    const seen: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = { customer: 'my_customer', maxResults: 2, ...(pageToken ? { pageToken } : {}) };
      const { data } = await api.groups.list(page);
      seen.push(...(data.groups ?? []).map(({ email }) => email ?? ''));
      pageToken = data.nextPageToken ?? undefined;
    } while (pageToken !== undefined);
    expect(seen).toEqual([0, 1, 2, 3, 4].map((n) => `g${n}@acme.example`));
  });
});

describe('members', () => {
  beforeEach(() => makeGroup());

  it('are added by address or id, read, and removed', async () => {
    const ann = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    const member = await add(GROUP, 'ann@acme.example', { role: 'MANAGER' });
    expect(member).toMatchObject({
      kind: 'admin#directory#member',
      id: ann.id,
      email: 'ann@acme.example',
      role: 'MANAGER',
      type: 'USER',
      status: 'ACTIVE',
    });
    expect(await refusalOf(add(GROUP, 'ann@acme.example'))).toMatchObject({ status: 409 });
    const { data } = await api.members.get({ groupKey: GROUP, memberKey: ann.id ?? '' });
    expect(data).toMatchObject({ email: 'ann@acme.example', delivery_settings: 'ALL_MAIL' });
    await api.members.delete({ groupKey: GROUP, memberKey: 'ann@acme.example' });
    expect(
      await refusalOf(api.members.get({ groupKey: GROUP, memberKey: 'ann@acme.example' })),
    ).toMatchObject({
      status: 404,
      message: 'Resource Not Found: memberKey',
    });
  });

  it('stay members when they are renamed, moved or suspended', async () => {
    await add(GROUP, 'ann@acme.example');
    await api.users.patch({
      userKey: 'ann@acme.example',
      requestBody: { primaryEmail: 'ann.baxter@acme.example', orgUnitPath: '/', suspended: true },
    });
    const { data } = await api.members.list({ groupKey: GROUP });
    expect(data.members).toMatchObject([{ email: 'ann.baxter@acme.example', status: 'SUSPENDED' }]);
  });

  it('are gone with their account and back when it is undeleted', async () => {
    const { id } = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    await add(GROUP, 'ann@acme.example');
    await api.users.delete({ userKey: 'ann@acme.example' });
    expect(await listed(GROUP)).toEqual([]);
    await api.users.undelete({ userKey: id ?? '', requestBody: { orgUnitPath: '/' } });
    expect(await listed(GROUP)).toEqual(['ann@acme.example']);
  });

  it('of nested groups count for hasMember, and are listed where derived membership is asked for', async () => {
    for (const email of ['middle@acme.example', 'inner@acme.example']) await makeGroup(email);
    await add(GROUP, 'middle@acme.example');
    await add('middle@acme.example', 'inner@acme.example');
    await add('inner@acme.example', 'ann@acme.example');
    await add('middle@acme.example', 'ann@acme.example');
    expect(await isMember(GROUP, 'ann@acme.example')).toBe(true);
    expect(await isMember(GROUP, 'bob@acme.example')).toBe(false);
    expect(await listed(GROUP)).toEqual(['middle@acme.example']);
    expect(await listed(GROUP, true)).toEqual([
      'ann@acme.example',
      'inner@acme.example',
      'middle@acme.example',
    ]);
  });

  it('cannot go round in a circle', async () => {
    for (const email of ['middle@acme.example', 'inner@acme.example']) await makeGroup(email);
    await add(GROUP, 'middle@acme.example');
    await add('middle@acme.example', 'inner@acme.example');
    expect(await refusalOf(add('inner@acme.example', GROUP))).toMatchObject({ status: 412 });
    expect(await refusalOf(add(GROUP, GROUP))).toMatchObject({ status: 412 });
  });

  it('of another domain are known to hasMember when direct, and refused when they could only be nested', async () => {
    await api.users.insert(newcomer('zoe@branch.example'));
    await makeGroup('inner@acme.example');
    await add(GROUP, 'inner@acme.example');
    await add('inner@acme.example', 'zoe@branch.example');
    expect(await isMember('inner@acme.example', 'zoe@branch.example')).toBe(true);
    expect(
      await refusalOf(api.members.hasMember({ groupKey: GROUP, memberKey: 'zoe@branch.example' })),
    ).toMatchObject({
      status: 400,
      message: 'Invalid Input: memberKey',
    });
  });

  it('may be of another company, or everybody', async () => {
    await add(GROUP, 'friend@elsewhere.example');
    await api.members.insert({ groupKey: GROUP, requestBody: { type: 'CUSTOMER' } });
    expect(await listed(GROUP)).toEqual(['CUSTOMER', 'friend@elsewhere.example']);
    expect(await isMember(GROUP, 'bob@acme.example')).toBe(true);
  });

  it('come page by page, by role, and with the fields that were asked for', async () => {
    for (const [email, role] of [
      ['ann@acme.example', 'OWNER'],
      ['bob@acme.example', 'MEMBER'],
      [ADMIN, 'MEMBER'],
    ] as const) {
      await add(GROUP, email, { role });
    }
    const { data: first } = await api.members.list({ groupKey: GROUP, maxResults: 2 });
    const { data: second } = await api.members.list({
      groupKey: GROUP,
      maxResults: 2,
      pageToken: first.nextPageToken ?? '',
    });
    expect([first.members?.length, second.members?.length, second.nextPageToken]).toEqual([2, 1, undefined]);
    const { data: owners } = await api.members.list({
      groupKey: GROUP,
      roles: 'OWNER',
      fields: 'members(email)',
    });
    expect(owners).toEqual({ members: [{ email: 'ann@acme.example' }] });
    const other = api.members.list({ groupKey: GROUP, roles: 'OWNER', pageToken: first.nextPageToken ?? '' });
    expect(await refusalOf(other)).toMatchObject({ status: 400 });
  });

  it('are cut short by the directory’s faults as users are', async () => {
    for (const email of ['ann@acme.example', 'bob@acme.example']) await add(GROUP, email);
    acme.faults.apply({ directory: { truncatePages: 1 } });
    expect(await listed(GROUP)).toHaveLength(1);
    acme.faults.apply({ directory: { truncatePages: 0, emptyPages: 1 } });
    const { data } = await api.members.list({ groupKey: GROUP });
    expect([data.members, typeof data.nextPageToken]).toEqual([undefined, 'string']);
  });

  it('are read by an account with the read-only role and changed by nobody without the right', async () => {
    const reader = acme.client({ kind: 'service-account', email: READER });
    expect((await reader.members.list({ groupKey: GROUP })).status).toBe(200);
    const added = reader.members.insert({ groupKey: GROUP, requestBody: { email: ADMIN } });
    expect(await refusalOf(added)).toMatchObject({ status: 403 });
    expect(
      await refusalOf(acme.client({ email: 'ann@acme.example' }).groups.get({ groupKey: GROUP })),
    ).toMatchObject({ status: 403 });
  });

  test.each([
    ['an unknown group', 'none@acme.example', 'ann@acme.example', 'Resource Not Found: groupKey'],
    ['an unknown user', GROUP, 'none@acme.example', 'Resource Not Found: memberKey'],
  ])('of %s are refused', async (_what, groupKey, memberKey, message) => {
    expect(await refusalOf(api.members.hasMember({ groupKey, memberKey }))).toMatchObject({
      status: 404,
      message,
    });
  });
});

describe('the audit log', () => {
  it('tells of a membership in the admin stream and in the Enterprise Groups stream', async () => {
    await makeGroup();
    acme.exported.length = 0;
    await add(GROUP, 'ann@acme.example');
    await api.members.delete({ groupKey: GROUP, memberKey: 'ann@acme.example' });
    const payloads = acme.exported.map(
      ({ entry }) => entry.protoPayload as unknown as Record<string, unknown>,
    );
    expect(payloads.map((payload) => payload['methodName'])).toEqual([
      'google.admin.AdminService.addGroupMember',
      'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership',
      'google.admin.AdminService.removeGroupMember',
      'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership',
    ]);
    expect(payloads[1]).toMatchObject({
      serviceName: 'cloudidentity.googleapis.com',
      authenticationInfo: { principalEmail: ADMIN },
      metadata: {
        '@type': 'type.googleapis.com/google.cloud.audit.GroupAuditMetadata',
        group: `group:${GROUP}`,
        membershipDelta: { member: 'user:ann@acme.example', roleDeltas: [{ action: 'ADD', role: 'MEMBER' }] },
      },
    });
    expect(payloads[3]).toMatchObject({
      metadata: { membershipDelta: { roleDeltas: [{ action: 'REMOVE', role: 'MEMBER' }] } },
    });
  });

  it('tells of a group that is deleted in the admin stream, and not of whom it had', async () => {
    await makeGroup();
    await add(GROUP, 'ann@acme.example');
    acme.exported.length = 0;
    await api.groups.delete({ groupKey: GROUP });
    expect(acme.exported.map(({ entry }) => entry.protoPayload)).toMatchObject([
      { methodName: 'google.admin.AdminService.deleteGroup' },
    ]);
    expect(JSON.stringify(acme.exported)).not.toContain('ann@acme.example');
  });
});
