/** What the log sink lost, brought by the Reports API: Google's own client, over HTTP, against the ledger in SQL. */
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createDirectoryEvent, type DirectoryEventDeps } from '../../../functions/directory-event.ts';
import { createLedger } from '../../../shared/adapters/ledger/ledger.ts';
import { googleReports, REPORTS_SCOPES } from '../../../shared/adapters/reports/google-reports.ts';
import { isSealwrightError, retryable } from '../../../shared/errors.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Reports } from '../../../shared/ports/reports.ts';
import { alarmsOf, readFreshness } from '../../../shared/sources/freshness.ts';
import { type ReportsDeps, readReports } from '../../../shared/sources/reports/read-reports.ts';
import { testRetry } from '../../adapters/world.ts';
import {
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  READER,
} from '../../emulator/directory/company.ts';
import { push } from '../../functions/support/pushes.ts';
import { type KeptBus, keptBus } from '../../support/fakes/bus.ts';
import { type KeptLog, keptLog } from '../../support/fakes/log.ts';
import { openTestDatabase } from '../../support/ledger.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const CALLER = 'push@acme-sealwright.iam.gserviceaccount.com';
const SCOPES = REPORTS_SCOPES.map((scope) => scope.replace('https://www.googleapis.com/auth/', ''));

let acme: Company;
let api: GoogleDirectory;
let ledger: Ledger;
let bus: KeptBus;
let log: KeptLog;
let asked: { application: string; pageToken: string | undefined; from: Date }[];

const open = async (role: 'read-only' | 'read-only-and-reports' = 'read-only-and-reports') => {
  acme = await company({ roles: { [READER]: role } });
  api = acme.client();
  const clock = { now: () => new Date(acme.clock.nowMs()) };
  ledger = createLedger({ database: await openTestDatabase(), clock });
  bus = keptBus();
  log = keptLog();
  asked = [];
};
const close = async () => {
  await ledger.close();
  await acme[Symbol.asyncDispose]();
};
beforeEach(() => open());
afterEach(close);

/** As `due` would have it; the clock is the emulator's. */
const deps = (changes: Partial<ReportsDeps> = {}, pageSize = 1000): ReportsDeps => {
  const google = googleReports({
    bearer: {
      accessToken: async () => acme.token({ kind: 'service-account', email: READER, scopes: SCOPES }),
      forget: () => undefined,
    },
    endpoints: { rootUrl: acme.root },
    retry: testRetry({ attempts: 1 }).settings,
    pageSize,
  });
  const reports: Reports = {
    activityPage: async (request) => {
      asked.push({ application: request.application, pageToken: request.pageToken, from: request.from });
      return await google.activityPage(request);
    },
  };
  return {
    clock: { now: () => new Date(acme.clock.nowMs()) },
    elapsedMs: () => performance.now(),
    reports,
    ledger,
    bus,
    log,
    budgetMs: 60_000,
    ...changes,
  };
};
const later = (ms: number) => {
  acme.clock.advance(ms);
  // Tokens end when the clock moves.
  api = acme.client();
};
/** A reading ten minutes later or more; answers the addresses it hints at, the latest first. */
const read = async (afterMs = 20 * MINUTE_MS, changes: Partial<ReportsDeps> = {}, pageSize?: number) => {
  later(afterMs);
  bus.hints.length = 0;
  const outcome = await readReports(deps(changes, pageSize));
  return { ...outcome, hinted: bus.hints.map((hint) => ('address' in hint ? hint.address : hint.userId)) };
};
const sinkIsBroken = (broken = true) => acme.faults.apply({ reset: true, events: { drop: broken ? 1 : 0 } });
const join = (name: string) => api.users.insert(newcomer(`${name}@acme.example`));
const suspend = (suspended = true) =>
  api.users.patch({ userKey: 'bob@acme.example', requestBody: { suspended } });
const alarms = async () =>
  alarmsOf(await readFreshness(ledger), new Date(acme.clock.nowMs()))
    .map(({ alarm }) => alarm)
    .filter((alarm) => alarm !== 'no-channel');

/** The log sink's entries arrive at `directory-event`; whoever they name is resolved by `resolve`. Answers what it answered. */
const deliver = async (resolve: () => Promise<string | undefined> = async () => undefined) => {
  const receive = createDirectoryEvent({
    ...deps(),
    directory: { resolve, group: async () => undefined },
    callers: { behindIam: false, audience: 'a', emails: [CALLER] },
    idTokens: { verify: async () => ({ email: CALLER, subject: CALLER }) },
  } as unknown as DirectoryEventDeps);
  const outcomes: string[] = [];
  for (const { entry } of acme.exported.splice(0)) {
    const call = {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: { authorization: 'Bearer x' },
      body: Buffer.from(push(entry)),
    };
    try {
      outcomes.push(String((await receive(call)).status));
    } catch (error) {
      if (!isSealwrightError(error)) throw error;
      outcomes.push(error.code);
    }
  }
  return outcomes;
};

describe('entries that the log sink lost', () => {
  beforeEach(async () => {
    await read();
    sinkIsBroken();
  });

  it('are followed by what they name, once, and the log says which', async () => {
    await join('cleo');
    await api.users.patch({
      userKey: 'ann@acme.example',
      requestBody: { primaryEmail: 'anna@acme.example' },
    });
    await suspend();
    await api.users.delete({ userKey: 'bob@acme.example' });
    expect(acme.exported).toEqual([]);
    const { kind, hinted } = await read();
    expect(kind).toBe('read');
    expect(hinted).toEqual([
      'bob@acme.example',
      'bob@acme.example',
      'anna@acme.example',
      'cleo@acme.example',
    ]);
    expect(bus.hints.at(-1)?.cause).toMatchObject({
      source: 'audit',
      eventId: expect.stringMatching(/^reports-\d{13}:-?\d+$/),
      event: 'CREATE_USER',
      actor: 'admin@acme.example',
      at: expect.any(Date),
    });
    expect(log.lines.find(({ event }) => event === 'reports-gap')).toMatchObject({
      fields: { entries: 4 },
    });
    expect(await read()).toMatchObject({ kind: 'read', gaps: 0, hinted: [] });
  });

  it('have the subtree of a unit swept that was moved or renamed', async () => {
    await api.orgunits.patch({
      customerId: 'my_customer',
      orgUnitPath: 'Staff/Design',
      requestBody: { name: 'Studio' },
    });
    expect((await read()).hinted).toEqual([]);
    expect((await ledger.sweepOverview()).waiting).toMatchObject([
      { scope: '/Staff/Studio', cause: { event: 'EDIT_ORG_UNIT_NAME' } },
    ]);
  });

  it('are alarmed, until a reading finds none, and the log sink counts as silent if it stays so', async () => {
    await join('cleo');
    await read();
    expect(await alarms()).toEqual(['audit-gaps']);
    await join('dora');
    await read(2 * HOUR_MS);
    expect(await alarms()).toEqual(['audit-silent', 'audit-gaps']);
    sinkIsBroken(false);
    await suspend();
    await deliver();
    await read();
    expect(await alarms()).toEqual([]);
  });

  it.each([
    ['hours', 3 * HOUR_MS, 0],
    ['a day', 25 * HOUR_MS, 1],
  ])('and that the Reports API itself has %s late are found all the same', async (_late, lagMs) => {
    acme.faults.apply({ reports: { lagMs } });
    await join('cleo');
    acme.faults.apply({ reports: { lagMs: 0 } });
    expect((await read(lagMs - MINUTE_MS)).hinted).toEqual([]);
    const found: string[] = [];
    for (let hour = 0; hour < 7; hour += 1) found.push(...(await read(HOUR_MS)).hinted);
    expect(found).toEqual(['cleo@acme.example']);
  });

  it('are hinted at again where the crash came before they were written down', async () => {
    await join('cleo');
    const dying = { followEntries: () => Promise.reject(retryable('ledger-unavailable', 'It is away.')) };
    await expect(read(20 * MINUTE_MS, { ledger: { ...ledger, ...dying } })).rejects.toThrow('away');
    expect(bus.hints).toHaveLength(1);
    expect((await read()).hinted).toEqual(['cleo@acme.example']);
    expect((await read()).hinted).toEqual([]);
  });

  it('wait for the next reading where their hints cannot be published', async () => {
    await join('cleo');
    const silent = { publishHints: () => Promise.reject(retryable('bus-unavailable', 'Pub/Sub is away.')) };
    expect(await read(20 * MINUTE_MS, { bus: silent })).toMatchObject({ kind: 'failed' });
    expect((await ledger.reportsReading()).why).toContain('away');
    expect((await read()).hinted).toEqual(['cleo@acme.example']);
  });
});

describe('an entry that comes both ways', () => {
  beforeEach(async () => void (await read()));

  it('through the log sink first is not hinted at from the Reports API', async () => {
    await join('cleo');
    expect(await deliver()).toEqual(['204']);
    expect(await read()).toMatchObject({ kind: 'read', gaps: 0, hinted: [] });
  });

  it('from the Reports API first is not looked at once more when the log sink brings it', async () => {
    await join('cleo');
    expect((await read()).hinted).toEqual(['cleo@acme.example']);
    let resolved = 0;
    expect(
      await deliver(async () => {
        resolved += 1;
        return undefined;
      }),
    ).toEqual(['204']);
    expect(resolved).toBe(0);
    expect(await ledger.oddities()).toMatchObject([{ kind: 'repeated-entry' }]);
  });

  it('is no gap while its look fails and Pub/Sub delivers it again', async () => {
    await join('cleo');
    const entries = [...acme.exported];
    const failing = () => Promise.reject(retryable('directory-unavailable', 'Not now.'));
    expect(await deliver(failing)).toEqual(['directory-unavailable']);
    expect(await read()).toMatchObject({ kind: 'read', gaps: 0, hinted: [] });
    acme.exported.push(...entries);
    let resolved = 0;
    await deliver(async () => {
      resolved += 1;
      return undefined;
    });
    expect(resolved).toBe(1);
  });

  it('of the last minutes is left to the log sink', async () => {
    later(10 * MINUTE_MS);
    await join('cleo');
    expect((await read(9 * MINUTE_MS)).hinted).toEqual([]);
    expect((await read(11 * MINUTE_MS)).hinted).toEqual(['cleo@acme.example']);
  });
});

describe('members of groups', () => {
  const pinned = () =>
    ledger.recordPolicyActivation({
      digest: '0'.repeat(64),
      text: 'rules: []',
      pins: { units: {}, groups: { 'pilots@acme.example': 'g1' } },
      activatedBy: 'admin@acme.example',
      automatic: false,
    });
  beforeEach(async () => {
    await api.groups.insert({ requestBody: { email: 'pilots@acme.example' } });
    await api.groups.insert({ requestBody: { email: 'inner@acme.example' } });
    await read();
    acme.exported.length = 0;
  });
  const add = (email: string) =>
    api.members.insert({ groupKey: 'pilots@acme.example', requestBody: { email } });

  it('are followed from the Enterprise Groups list too where the policy names a group', async () => {
    await pinned();
    await add('ann@acme.example');
    expect((await read()).hinted).toEqual(['ann@acme.example', 'ann@acme.example']);
    expect(asked.slice(-2).map(({ application }) => application)).toEqual(['admin', 'groups_enterprise']);
    expect(bus.hints.map(({ cause }) => cause.event)).toEqual(['ADD_GROUP_MEMBER', 'add_member']);
    expect(await ledger.reportsReading()).toMatchObject({ gaps: 1 });
  });

  it('are followed from the admin list alone where it names none', async () => {
    await add('ann@acme.example');
    expect((await read()).hinted).toEqual(['ann@acme.example']);
    expect(asked.at(-1)?.application).toBe('admin');
  });

  it('that the log sink brought in its own form are not hinted at again', async () => {
    await pinned();
    await add('ann@acme.example');
    await api.members.delete({ groupKey: 'pilots@acme.example', memberKey: 'ann@acme.example' });
    expect(await deliver()).toEqual(['204', '204', '204', '204']);
    expect((await read()).hinted).toEqual([]);
  });

  it('that are groups have everybody compared', async () => {
    await pinned();
    await add('inner@acme.example');
    await read();
    expect((await ledger.sweepOverview()).waiting).toMatchObject([
      { scope: '/', cause: { event: 'add_member' } },
    ]);
  });
});

describe('a reading of several pages', () => {
  const names = ['cleo', 'dora', 'emil', 'finn', 'gwen'];
  const addresses = names.map((name) => `${name}@acme.example`).toReversed();
  beforeEach(async () => {
    await read();
    for (const name of names) await join(name);
    asked.length = 0;
  });

  it('goes on at the page that failed, and loses nothing', async () => {
    acme.faults.apply({
      reset: true,
      calls: [{ method: 'reports.activities.list', nth: [2], status: 503, reason: 'backendError' }],
    });
    const first = await read(20 * MINUTE_MS, {}, 2);
    expect(first).toMatchObject({ kind: 'failed', hinted: addresses.slice(0, 2) });
    const failedAt = asked.at(-1);
    expect(failedAt?.pageToken).toBeDefined();
    expect(await ledger.reportsReading()).toMatchObject({ failures: 1, why: expect.stringContaining('503') });
    const second = await read(20 * MINUTE_MS, {}, 2);
    expect(second).toMatchObject({ kind: 'read', gaps: 5, hinted: addresses.slice(2) });
    expect(asked[2]).toEqual(failedAt);
    expect(await ledger.reportsReading()).toMatchObject({ failures: 0, gaps: 5 });
  });

  it('that runs out of time goes on in the next invocation, with the same window', async () => {
    const hinted: string[] = [];
    for (const kind of ['out-of-time', 'out-of-time', 'read']) {
      const outcome = await read(hinted.length === 0 ? 20 * MINUTE_MS : MINUTE_MS, { budgetMs: 0 }, 2);
      expect(outcome.kind).toBe(kind);
      hinted.push(...outcome.hinted);
    }
    expect(hinted).toEqual(addresses);
    expect(new Set(asked.map(({ from }) => from.getTime())).size).toBe(1);
  });

  it('whose page token is no longer taken begins that list anew, and repeats no hint', async () => {
    await read(20 * MINUTE_MS, { budgetMs: 0 }, 2);
    const { kind, hinted } = await read(4 * 24 * HOUR_MS, {}, 2);
    expect(kind).toBe('read');
    expect(hinted).toEqual(addresses.slice(2));
    expect(asked.map(({ pageToken }) => pageToken !== undefined)).toEqual([false, true, false, true, true]);
  });

  it('is made by one of two that come at once', async () => {
    later(20 * MINUTE_MS);
    bus.hints.length = 0;
    const outcomes = await Promise.all([readReports(deps({}, 2)), readReports(deps({}, 2))]);
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['busy', 'read']);
    expect(bus.hints).toHaveLength(5);
  });

  it('cannot be written about by one that has lost its lease to another', async () => {
    const lost = await ledger.acquireLease('job:reports', 1);
    await expect.poll(() => ledger.acquireLease('job:reports', 60_000)).toBeDefined();
    if (lost === undefined) throw new Error('The lease was not granted.');
    const whole = { through: new Date(), gaps: 0, isDeep: false };
    await expect(ledger.recordReportsRead(lost, whole)).rejects.toMatchObject({ code: 'lease-lost' });
    await expect(ledger.recordReportsFailure(lost, 'Why.')).rejects.toMatchObject({ code: 'lease-lost' });
  });
});

test('the first reading hints at what happened a moment before it and calls none of it a gap', async () => {
  sinkIsBroken();
  await join('cleo');
  expect(await read()).toEqual({ kind: 'read', gaps: 0, hinted: ['cleo@acme.example'] });
  expect(await alarms()).toEqual([]);
});

test('without the privilege nothing is read, the alarm says what to give to whom, and ends once it is given', async () => {
  await close();
  await open('read-only');
  for (let time = 0; time < 3; time += 1) expect(await read()).toMatchObject({ kind: 'failed' });
  const why = (await ledger.reportsReading()).why ?? '';
  expect(why).toContain('not authorized to read activity records');
  expect(why).toContain('privilege Reports');
  expect(await alarms()).toEqual(['reports-failing']);
  const given: Reports = { activityPage: async () => ({ activities: [] }) };
  expect(await read(20 * MINUTE_MS, { reports: given })).toMatchObject({ kind: 'read' });
  expect(await alarms()).toEqual([]);
});
