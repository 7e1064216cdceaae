/** The Reports API as Google's own client sees it. */

import { admin, auth as googleAuth } from 'googleapis/build/src/apis/admin/index.js';
import type { admin_reports_v1 } from 'googleapis/build/src/apis/admin/reports_v1.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, type Company, company, newcomer, READER, refusalOf } from './company.ts';

const HOUR_MS = 3_600_000;
const SCOPES = ['admin.reports.audit.readonly'];
const SERVICE = { kind: 'service-account', email: READER, scopes: SCOPES } as const;

let acme: Company;
beforeEach(async () => {
  acme = await company({ roles: { [READER]: 'read-only-and-reports' } });
});
afterEach(() => acme[Symbol.asyncDispose]());

const reports = (caller: Parameters<Company['token']>[0] = SERVICE): admin_reports_v1.Admin => {
  const auth = new googleAuth.OAuth2();
  auth.setCredentials({ access_token: acme.token(caller) });
  return admin({ version: 'reports_v1', rootUrl: acme.root, auth, retry: false });
};
type Parameters_ = admin_reports_v1.Params$Resource$Activities$List;
const ask = (parameters: Partial<Parameters_> = {}, caller?: Parameters<Company['token']>[0]) =>
  reports(caller).activities.list({ userKey: 'all', applicationName: 'admin', ...parameters });
const list = async (parameters?: Partial<Parameters_>) => (await ask(parameters)).data;
const names = async (parameters?: Partial<Parameters_>) =>
  ((await list(parameters)).items ?? []).map(({ events }) => events?.[0]?.name);
const move = (orgUnitPath: string, userKey = 'ann@acme.example') =>
  acme.client().users.patch({ userKey, requestBody: { orgUnitPath } });

describe('an activity', () => {
  it('has the shape of Workspace’s own, and the id of the log sink’s entry in the other units', async () => {
    await move('/Contractors');
    const activityId = acme.exported[0]?.entry.protoPayload.metadata.activityId as {
      timeUsec: string;
      uniqQualifier: string;
    };
    const time = new Date(Number(activityId.timeUsec) / 1000).toISOString();
    expect(await list()).toEqual({
      kind: 'admin#reports#activities',
      etag: expect.any(String),
      items: [
        {
          kind: 'admin#reports#activity',
          id: {
            time,
            uniqueQualifier: activityId.uniqQualifier,
            applicationName: 'admin',
            customerId: 'C00sample',
          },
          actor: { callerType: 'USER', email: ADMIN, profileId: expect.stringMatching(/^\d{21}$/) },
          ipAddress: '127.0.0.1',
          events: [
            {
              type: 'USER_SETTINGS',
              name: 'MOVE_USER_TO_ORG_UNIT',
              parameters: expect.arrayContaining([
                { name: 'USER_EMAIL', value: 'ann@acme.example' },
                { name: 'ORG_UNIT_NAME', value: '/Staff/Design' },
                { name: 'NEW_VALUE', value: '/Contractors' },
              ]),
            },
          ],
        },
      ],
    });
  });

  it('is there also where the log sink loses it or does not export it, and for groups in a list of its own', async () => {
    acme.faults.apply({ events: { drop: 1 } });
    await move('/Contractors');
    await acme.client().groups.insert({ requestBody: { email: 'pilots@acme.example' } });
    await acme
      .client()
      .members.insert({ groupKey: 'pilots@acme.example', requestBody: { email: 'ann@acme.example' } });
    expect(acme.exported).toEqual([]);
    expect(await names()).toEqual(['ADD_GROUP_MEMBER', 'CREATE_GROUP', 'MOVE_USER_TO_ORG_UNIT']);
    const { items } = await list({ applicationName: 'groups_enterprise' });
    expect(items?.[0]?.events?.[0]).toMatchObject({
      name: 'add_member',
      parameters: [
        { name: 'group_id', value: 'pilots@acme.example' },
        { name: 'member_id', value: 'ann@acme.example' },
        { name: 'member_type', value: 'user' },
        { name: 'member_role', value: 'member' },
      ],
    });
    expect(await names({ applicationName: 'login' })).toEqual([]);
  });

  it('appears late where the lists lag', async () => {
    acme.faults.apply({ reports: { lagMs: HOUR_MS } });
    await move('/Contractors');
    expect(await names()).toEqual([]);
    acme.clock.advance(HOUR_MS);
    expect(await names()).toEqual(['MOVE_USER_TO_ORG_UNIT']);
  });
});

describe('the list of activities', () => {
  it('comes page by page, the latest first, and its tokens belong to one question', async () => {
    for (const unit of ['/Contractors', '/Staff', '/Staff/Design']) await move(unit);
    const seen: (string | undefined)[] = [];
    let pageToken: string | undefined;
    do {
      const { items = [], nextPageToken } = await list({ maxResults: 2, ...(pageToken && { pageToken }) });
      const parameters = items.flatMap(({ events }) => events?.[0]?.parameters ?? []);
      seen.push(
        ...parameters.filter(({ name }) => name === 'NEW_VALUE').map(({ value }) => value ?? undefined),
      );
      pageToken = nextPageToken ?? undefined;
      if (pageToken !== undefined)
        expect(await refusalOf(ask({ maxResults: 2, pageToken, eventName: 'X' }))).toMatchObject({
          status: 400,
        });
    } while (pageToken !== undefined);
    expect(seen).toEqual(['/Staff/Design', '/Staff', '/Contractors']);
  });

  it('holds what happened in the window asked for', async () => {
    await move('/Contractors');
    acme.clock.advance(2 * HOUR_MS);
    await move('/Staff');
    const startTime = new Date(acme.clock.nowMs() - HOUR_MS).toISOString();
    expect(await names({ startTime })).toHaveLength(1);
    expect(await names({ endTime: startTime })).toHaveLength(1);
    expect(await names()).toHaveLength(2);
  });

  it('is narrowed down by event, by its parameters and by who did it', async () => {
    await move('/Contractors');
    await move('/Staff', 'bob@acme.example');
    await acme.client().users.insert(newcomer('cleo@acme.example'));
    const eventName = 'MOVE_USER_TO_ORG_UNIT';
    expect(await names({ eventName })).toHaveLength(2);
    expect(await names({ eventName, filters: 'USER_EMAIL==bob@acme.example' })).toHaveLength(1);
    expect(await names({ eventName, filters: 'USER_EMAIL<>bob@acme.example,NEW_VALUE==/Staff' })).toEqual([]);
    expect(await names({ eventName, filters: 'FOREIGN==x' })).toEqual([]);
    expect(await names({ userKey: 'ann@acme.example' })).toEqual([]);
    expect(await names({ userKey: ADMIN })).toHaveLength(3);
  });

  it.each<[string, Partial<Parameters_>]>([
    ['filters without an event', { filters: 'USER_EMAIL==x' }],
    ['a filter that is none', { eventName: 'CREATE_USER', filters: 'USER_EMAIL' }],
    [
      'a window that ends before it begins',
      { startTime: '2026-01-02T00:00:00Z', endTime: '2026-01-01T00:00:00Z' },
    ],
    ['a time that is none', { startTime: 'yesterday' }],
    ['an application that does not exist', { applicationName: 'pigeons' }],
    ['more than a thousand a page', { maxResults: 1001 }],
    ['a page token that was made up', { pageToken: 'x' }],
    ['what it does not do', { orgUnitID: 'id:1' }],
    ['somebody who is not there', { userKey: 'nobody@acme.example' }],
  ])('refuses %s', async (_what, parameters) => {
    expect(await refusalOf(ask(parameters))).toMatchObject({ status: 400 });
  });

  it('is for admins and for roles with the privilege, who also need the scope', async () => {
    await move('/Contractors');
    expect((await ask({}, { email: ADMIN, scopes: SCOPES })).data.items).toHaveLength(1);
    expect(await refusalOf(ask({}, { email: 'ann@acme.example', scopes: SCOPES }))).toMatchObject({
      status: 401,
      reason: 'authError',
      message: 'Access denied. You are not authorized to read activity records.',
    });
    expect(
      await refusalOf(ask({}, { ...SERVICE, email: 'stranger@x.iam.gserviceaccount.com' })),
    ).toMatchObject({
      status: 401,
    });
    expect(await refusalOf(ask({}, { ...SERVICE, scopes: ['admin.directory.user'] }))).toMatchObject({
      status: 403,
    });
  });
});
