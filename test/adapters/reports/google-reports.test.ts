import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { googleReports } from '../../../shared/adapters/reports/google-reports.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestBearer, testRetry } from '../world.ts';

const WINDOW = {
  application: 'admin' as const,
  from: new Date('2027-01-15T05:00:00Z'),
  to: new Date('2027-01-15T09:00:00Z'),
};
const ACTIVITY = {
  id: { time: '2027-01-15T08:00:00.123Z', uniqueQualifier: '-42' },
  actor: { email: 'Admin@acme.example' },
  events: [
    {
      name: 'CREATE_USER',
      parameters: [
        { name: 'USER_EMAIL', value: 'ana@acme.example' },
        { name: 'COUNT', intValue: '7' },
        { name: 'FORCED', boolValue: false },
        { name: 'MANY', multiValue: ['a'] },
      ],
    },
  ],
};

describe('the Reports API', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  function reports(script: Script | Scripted) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const bearer = new TestBearer();
    const adapter = googleReports({ bearer, endpoints: { rootUrl: server.rootUrl }, retry: retry.settings });
    return { ...retry, bearer, adapter };
  }

  it('is asked for everybody’s activities of a window, the most a page, and told of in our words', async () => {
    const { adapter } = reports({ body: { items: [ACTIVITY], nextPageToken: 'next' } });
    expect(await adapter.activityPage(WINDOW)).toEqual({
      activities: [
        {
          happenedAt: new Date('2027-01-15T08:00:00.123Z'),
          uniqueQualifier: '-42',
          actor: 'admin@acme.example',
          events: [
            {
              name: 'CREATE_USER',
              parameters: new Map([
                ['USER_EMAIL', 'ana@acme.example'],
                ['COUNT', '7'],
                ['FORCED', 'false'],
                ['MANY', undefined],
              ]),
            },
          ],
        },
      ],
      nextPageToken: 'next',
    });
    const [asked] = server.asked;
    expect(asked?.path).toBe('/admin/reports/v1/activity/users/all/applications/admin');
    expect(Object.fromEntries(asked?.query ?? [])).toMatchObject({
      startTime: '2027-01-15T05:00:00.000Z',
      endTime: '2027-01-15T09:00:00.000Z',
      maxResults: '1000',
    });
  });

  it('may answer a page without anything that has a successor', async () => {
    const { adapter } = reports({ body: { nextPageToken: 'next' } });
    expect(await adapter.activityPage(WINDOW)).toEqual({ activities: [], nextPageToken: 'next' });
  });

  it.each<[string, Scripted]>([
    ['is no JSON', { body: '<html>', headers: { 'content-type': 'text/html' } }],
    ['holds something else than a list', { body: { items: {} } }],
    ['holds an activity without an id', { body: { items: [{ ...ACTIVITY, id: {} }] } }],
    ['holds an activity of no time', { body: { items: [{ ...ACTIVITY, id: { uniqueQualifier: '1' } }] } }],
    ['names itself as its successor', { body: { items: [ACTIVITY], nextPageToken: 'here' } }],
  ])('is not believed where a page %s', async (_what, answer) => {
    const { adapter } = reports(answer);
    const failure = await failureOf(adapter.activityPage({ ...WINDOW, pageToken: 'here' }));
    expect(failure).toMatchObject({ kind: 'retryable', code: 'reports-unavailable' });
  });

  it('is asked again where it throttles, by 503 as its limits say or by 403', async () => {
    let asked = 0;
    const { adapter, waits } = reports(() => {
      asked += 1;
      if (asked === 1) return googleError(503, 'backendError', 'Busy');
      if (asked === 2) return googleError(403, 'userRateLimitExceeded', 'Slower');
      return { body: {} };
    });
    expect(await adapter.activityPage(WINDOW)).toEqual({ activities: [] });
    expect(waits).toHaveLength(2);
  });

  it.each([
    [401, 'authError', 'privilege Reports'],
    [403, 'forbidden', 'privilege Reports'],
    [403, 'accessNotConfigured', 'Enable the Admin SDK API'],
    [400, 'badRequest', 'repeating it will not help'],
  ])('that refuses with %i %s is told with what to do', async (status, reason, advice) => {
    const { adapter } = reports(googleError(status, reason, 'No.'));
    const failure = await failureOf(adapter.activityPage(WINDOW));
    expect(failure).toMatchObject({ kind: 'permanent', code: 'reports-refused' });
    expect(failure.message).toContain(advice);
  });

  it('that no longer takes a page token has its list read from the beginning', async () => {
    const { adapter } = reports(googleError(400, 'invalid', 'Invalid Input: pageToken'));
    const failure = await failureOf(adapter.activityPage({ ...WINDOW, pageToken: 'old' }));
    expect(failure).toMatchObject({ kind: 'retryable', code: 'page-token-expired' });
  });
});
