/** Each alarm, seen once by breaking what it watches, and seen to end once that is mended. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readStatus } from '../../functions/admin/sweeps.ts';
import { createDirectoryEvent } from '../../functions/directory-event.ts';
import { createDirectoryWatch } from '../../functions/directory-watch.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import type { Activity, Reports } from '../../shared/ports/reports.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import {
  ALARM_NAMES,
  type AlarmName,
  alarmsOf,
  measure,
  notificationsOf,
  readFreshness,
} from '../../shared/sources/freshness.ts';
import { hintDueUsers } from '../../shared/sources/hint-due-users.ts';
import { readReports } from '../../shared/sources/reports/read-reports.ts';
import { tick } from '../../shared/sources/sweep/tick.ts';
import { keepChannels } from '../../shared/sources/watch-channels.ts';
import { logEntry, push } from '../functions/support/pushes.ts';
import { failing, named } from '../reconcile/outcome.ts';
import {
  CAUSE,
  createWorld,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  makeMaterials,
  POLICY,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

const TOKEN = 'token';
const CALLER = 'push@acme.iam.gserviceaccount.com';

let world: World;
let restore: () => Promise<void>;
beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  restore = await world.save();
});
afterEach(async () => {
  await restore();
});
afterAll(() => world.close());

/** All that have stood in any test. */
const seen = new Set<AlarmName>();
const standing = async () => {
  const names = alarmsOf(await readFreshness(world.ledger), world.clock.now()).map(({ alarm }) => alarm);
  for (const name of names) seen.add(name);
  return names;
};
const messageOf = async (name: string) =>
  alarmsOf(await readFreshness(world.ledger), world.clock.now()).find(({ alarm }) => alarm === name)?.message;
let ids = 0;
const channels = (directory: Partial<World['directory']> = {}) =>
  keepChannels({
    ...world,
    directory: { ...world.directory, ...directory },
    receiverUrl: 'https://watch.acme.example/',
    randomBytes: (length) => new Uint8Array(length),
    randomId: () => {
      ids += 1;
      return `channel-${ids}`;
    },
  });
const sweep = () =>
  tick({
    ...world,
    policy: POLICY,
    elapsedMs: () => performance.now(),
    intervalMs: 6 * HOUR_MS,
    budgetMs: 60_000,
    lookByAgeMs: 7 * DAY_MS,
    hintsPerMinute: 400,
  });
/** A look at user 1; where they stand then. */
const look = async (deps: ReconcileDeps = world.deps) => {
  await reconcile(deps, '1', CAUSE);
  return (await world.ledger.readUser('1')).user?.state;
};
const due = () => hintDueUsers({ ...world, hintsPerMinute: 400 }, 'due-1');
const read = (activityPage: Reports['activityPage']) =>
  readReports({ ...world, elapsedMs: () => 0, reports: { activityPage }, budgetMs: 60_000 });
/** A notification through a channel of its own. */
const notify = async (state: string) => {
  ids += 1;
  const channelId = `notified-${ids}`;
  await world.ledger.recordChannel({
    channelId,
    resourceId: 'r',
    event: 'all',
    tokenSha256Hex: createHash('sha256').update(TOKEN).digest('hex'),
    expiresAt: new Date(world.clock.now().getTime() + HOUR_MS),
  });
  await createDirectoryWatch(world)({
    method: 'POST',
    path: '/',
    query: new URLSearchParams(),
    headers: {
      'x-goog-channel-id': channelId,
      'x-goog-channel-token': TOKEN,
      'x-goog-resource-state': state,
      'x-goog-message-number': '2',
    },
    body: Buffer.from('{"id":"1"}'),
  });
};
/** The log sink brings an entry, a minute after the event as it does. */
const log = async (eventName: string) => {
  const receive = createDirectoryEvent({
    ...world.deps,
    policies: inForce(POLICY),
    callers: { behindIam: false, audience: 'a', emails: [CALLER] },
    idTokens: { verify: async () => ({ email: CALLER, subject: CALLER }) },
  });
  const timestamp = new Date(world.clock.now().getTime() - MINUTE_MS).toISOString();
  const parameter = [{ name: 'USER_EMAIL', value: 'nobody@acme.example' }];
  await receive({
    method: 'POST',
    path: '/',
    query: new URLSearchParams(),
    headers: { authorization: 'Bearer x' },
    body: Buffer.from(push({ ...logEntry([{ eventName, parameter }]), timestamp })),
  });
};

describe('an alarm about', () => {
  test('notification channels stands while none can be opened, and again when the last one is not replaced', async () => {
    const refuse = {
      watch: async () => {
        throw permanent('directory-refused', 'Not now.');
      },
    };
    await channels(refuse);
    expect(await standing()).toEqual(['no-channel']);
    await channels();
    expect(await standing()).toEqual([]);
    world.clock.advance(5 * HOUR_MS + 20 * MINUTE_MS);
    await channels(refuse);
    expect(await messageOf('no-channel')).toContain('ends in 40 minutes');
    await channels();
    expect(await standing()).toEqual([]);
  });

  test('notification channels stands for the kinds that are needed and that none brings, whatever the others do', async () => {
    const row = (channelId: string, event: string, hours: number, resourceId = 'r') => ({
      ...{ channelId, event, resourceId, tokenSha256Hex: 'ab'.repeat(32) },
      expiresAt: new Date(world.clock.now().getTime() + hours * HOUR_MS),
    });
    const told = async (...rows: readonly Parameters<World['ledger']['recordChannel']>[0][]) => {
      await restore();
      for (const each of rows) await world.ledger.recordChannel(each);
      const freshness = await readFreshness(world.ledger);
      const [alarm, ...others] = alarmsOf(freshness, world.clock.now());
      expect(others).toEqual([]);
      return [
        alarm?.message.split('. ')[0],
        measure(freshness, world.clock.now())['channelLeftSeconds'],
        notificationsOf(freshness, world.clock.now()),
      ];
    };
    const at = (hours: number) => new Date(world.clock.now().getTime() + hours * HOUR_MS);
    const needed = ['add', 'delete', 'undelete'].map((event) => row(event, event, 5));
    const open = (count: number, hours: number) => ({ open: count, until: at(hours) });
    const noAdmin = { kind: 'makeAdmin' };
    expect(await told(...needed, row('4', 'update', 4))).toEqual([
      undefined,
      4 * 3600,
      { ...open(4, 4), without: [noAdmin] },
    ]);
    const ended = { since: at(-3) };
    expect(await told(...needed, row('4', 'update', 4), row('5', 'all', -3)), 'one for all is over').toEqual([
      undefined,
      4 * 3600,
      { ...open(4, 4), without: [{ ...noAdmin, ...ended }] },
    ]);
    expect(await told(...needed, row('4', 'update', 2 / 3)), 'one ends').toEqual([
      'The last notification channel for update ends in 40 minutes and was not replaced',
      2_400,
      { ...open(4, 2 / 3), without: [noAdmin] },
    ]);
    expect(await told(...needed, row('4', 'update', -3)), 'one has ended').toEqual([
      `No notification channel is open for update; the last one ended at ${at(-3).toISOString()}`,
      0,
      { ...open(3, 5), without: [noAdmin, { kind: 'update', ...ended }] },
    ]);
    expect(await told(...needed, row('4', 'update', 1, '')), 'one is asked for and not there').toEqual([
      'No notification channel is open for update',
      0,
      { ...open(3, 5), without: [noAdmin, { kind: 'update' }] },
    ]);
    expect(await told(row('5', 'all', -3)), 'all are over').toEqual([
      `No notification channel is open; the last one ended at ${at(-3).toISOString()}`,
      0,
      {
        open: 0,
        without: ['add', 'delete', 'makeAdmin', 'undelete', 'update'].map((kind) => ({ kind, ...ended })),
      },
    ]);
  });

  test('the audit log stands when notifications tell of new users and it does not, and not on a quiet day', async () => {
    await channels();
    await notify('add');
    world.clock.advance(MINUTE_MS);
    await log('CREATE_USER');
    world.clock.advance(3 * HOUR_MS);
    await channels();
    expect(await standing(), 'nothing happens, and nobody has missed anything').toEqual([]);
    await notify('update');
    world.clock.advance(3 * HOUR_MS);
    await channels();
    expect(await standing(), 'an update of a telephone number is in no log').toEqual([]);
    await notify('add');
    world.clock.advance(2 * HOUR_MS - 1);
    await channels();
    expect(await standing()).toEqual([]);
    world.clock.advance(1);
    expect(await standing()).toEqual(['audit-silent']);
    expect(await messageOf('audit-silent')).toMatch(
      /brought something last at 2026-.* shared with Google Cloud/,
    );
    await log('CREATE_USER');
    expect(await standing()).toEqual([]);
  });

  test('a notification channel that has died without a word stands when the audit log tells of new users', async () => {
    await channels();
    await log('CREATE_USER');
    world.clock.advance(2 * HOUR_MS);
    expect(await standing()).toEqual(['watch-silent']);
    await notify('add');
    expect(await standing()).toEqual([]);
  });

  test('the sweep stands when none was whole for thirteen hours, and says why', async () => {
    await channels();
    for (let id = 1; id <= 20; id += 1) world.directory.put({ userId: String(id) });
    await sweep();
    expect(await standing()).toEqual([]);
    for (let id = 3; id <= 20; id += 1) world.directory.forget(String(id));
    for (let hours = 0; hours < 14; hours += 1) {
      world.clock.advance(HOUR_MS);
      await sweep();
    }
    await channels();
    expect(await standing()).toEqual(['sweep-late']);
    expect(await messageOf('sweep-late')).toMatch(/last at .* 18 are unaccounted for/);
    await world.ledger.requestSweep({ scope: '/', cause: { eventId: 'ana', event: 'accept-shrunk' } });
    world.clock.advance(HOUR_MS);
    await sweep();
    expect(await standing()).toEqual([]);
  });

  test('the sweep stands when none has ever ended, thirteen hours after a policy came into force', async () => {
    world.clock.advance(14 * HOUR_MS);
    await channels();
    expect(await standing(), 'nobody wants anything of it yet').toEqual([]);
    await world.ledger.recordPolicyActivation({
      ...{ digest: '0'.repeat(64), text: '# policy', pins: { units: {}, groups: {} } },
      ...{ activatedBy: 'admin@acme.example', automatic: false },
    });
    world.clock.advance(13 * HOUR_MS);
    await channels();
    expect(await standing()).toEqual([]);
    world.clock.advance(1);
    expect(await standing()).toEqual(['sweep-late']);
    expect(await messageOf('sweep-late')).toMatch(/No sweep has ever ended.* since 2026-/);
    await sweep();
    expect(await standing()).toEqual([]);
  });

  test('drift stands when a sweep finds many users whom no event had told of', async () => {
    await channels();
    for (let id = 1; id <= 21; id += 1) world.directory.put({ userId: String(id) });
    await sweep();
    expect(await standing()).toEqual(['drift']);
    expect(await messageOf('drift')).toContain('21 of 21 users');
  });

  test('drift does not stand for those who wait for their wave since an earlier sweep', async () => {
    await channels();
    for (let id = 1; id <= 21; id += 1) world.directory.put({ userId: String(id) });
    await world.ledger.switchRollout({ paused: true, by: 'admin@acme.example' });
    await sweep();
    expect(await standing()).toEqual(['drift']);
    world.clock.advance(6 * HOUR_MS);
    await channels();
    await sweep();
    expect(await standing()).toEqual([]);
    expect((await world.ledger.sweepOverview()).lastWhole).toMatchObject({ living: 21, differing: 0 });
    world.directory.put({ userId: '22' });
    world.clock.advance(6 * HOUR_MS);
    await sweep();
    expect((await world.ledger.sweepOverview()).lastWhole).toMatchObject({ living: 22, differing: 1 });
  });

  test('users who wait stands while every look at somebody who is due fails', async () => {
    await channels();
    world.directory.put({ userId: '1' });
    expect(await look()).toBe('ready');
    const { nextActionAt } = (await world.ledger.readUser('1')).user ?? {};
    if (nextActionAt === undefined) throw new Error('Nothing is ever due.');
    world.clock.advance(nextActionAt.getTime() - world.clock.now().getTime());
    const broken = world.surrounded(async ({ port }, perform) => {
      if (port === 'directory') throw new Error('A bug in the deployment.');
      return await perform();
    });
    await channels();
    for (let minutes = 0; minutes < 30; minutes += 5) {
      await due();
      await expect(look(broken)).rejects.toThrow('A bug in the deployment.');
      world.clock.advance(5 * MINUTE_MS);
      expect(await standing(), `${minutes + 5} minutes`).toEqual([]);
    }
    world.clock.advance(1);
    expect(await standing()).toEqual(['backlog-late']);
    expect(await messageOf('backlog-late')).toContain('1 users are due');
    await world.publishCrl();
    await look();
    expect(await standing()).toEqual([]);
  });

  test('users who wait stands while the key service wraps nobody’s key for a day', async () => {
    await channels();
    world.directory.put({ userId: '1' });
    const away = retryable('key-service-unavailable', 'The key service is away.');
    const refused = world.surrounded(failing(away, named('wrapPrivateKey')));
    const endMs = world.clock.now().getTime() + 25 * HOUR_MS;
    while (world.clock.now().getTime() < endMs) {
      await expect(look(refused)).rejects.toBe(away);
      world.clock.advance(20 * MINUTE_MS);
    }
    await channels();
    await expect(look(refused)).rejects.toBe(away);
    expect(await standing()).toEqual([]);
    world.clock.advance(1);
    expect(await standing()).toEqual(['pending-long']);
    expect(await look()).toBe('ready');
    expect(await standing()).toEqual([]);
  });

  test('the Reports API stands for entries that the log sink lost, until a reading finds none', async () => {
    await channels();
    await read(async () => ({ activities: [] }));
    const lost: Activity = {
      happenedAt: world.clock.now(),
      uniqueQualifier: '-4711',
      events: [{ name: 'CREATE_USER', parameters: new Map([['USER_EMAIL', 'nobody@acme.example']]) }],
    };
    world.clock.advance(20 * MINUTE_MS);
    await read(async () => ({ activities: [lost] }));
    expect(await standing()).toEqual(['audit-gaps']);
    world.clock.advance(20 * MINUTE_MS);
    await read(async () => ({ activities: [] }));
    expect(await standing()).toEqual([]);
  });

  test('the Reports API stands when it cannot be read three times in a row', async () => {
    await channels();
    const refuse = async () => {
      throw permanent('reports-refused', 'The privilege is missing.');
    };
    for (let time = 0; time < 3; time += 1) {
      expect(await standing()).toEqual([]);
      await read(refuse);
      world.clock.advance(10 * MINUTE_MS);
    }
    expect(await standing()).toEqual(['reports-failing']);
    expect(await messageOf('reports-failing')).toContain('The privilege is missing.');
    await read(async () => ({ activities: [] }));
    expect(await standing()).toEqual([]);
  });
});

test('the status names the channels that are open, and not one that is over or was never answered', async () => {
  const recorded = (event: string, hours: number, resourceId: string) =>
    world.ledger.recordChannel({
      ...{ channelId: `${event}-${hours}`, event, resourceId, tokenSha256Hex: 'ab'.repeat(32) },
      expiresAt: new Date(world.clock.now().getTime() + hours * HOUR_MS),
    });
  await recorded('all', 0, 'r');
  await recorded('update', 2, 'r');
  await recorded('add', 1, '');
  const deadLetters = { look: async () => ({ letters: [], more: false }) };
  const { body } = await readStatus({ ...world, deadLetters, hintsPerMinute: 400 });
  const expiresAt = new Date(world.clock.now().getTime() + 2 * HOUR_MS);
  expect(body).toMatchObject({ channels: [{ event: 'update', expiresAt }], notifications: { open: 1 } });
  expect((body as { channels: unknown[] }).channels).toHaveLength(1);
});

describe('every alarm there is', () => {
  const NAMES = ALARM_NAMES.toSorted();

  test('was seen above, by breaking what it watches', () => {
    expect([...seen].toSorted()).toEqual(NAMES);
  });

  test('has its row in the runbook', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/runbooks/events.md'), 'utf8');
    const table = page.slice(page.indexOf('## Alarms'), page.indexOf('## Dead letters'));
    const rows = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
    expect(rows.toSorted()).toEqual(NAMES);
  });
});

test('the numbers for the metrics are in seconds, and leave out what is not known', async () => {
  await channels();
  await notify('update');
  world.clock.advance(90_000);
  expect(measure(await readFreshness(world.ledger), world.clock.now())).toEqual({
    watchAgeSeconds: 90,
    channelLeftSeconds: 6 * 3600 - 90,
    dueUsers: 0,
    oldestDueSeconds: 0,
    pendingUsers: 0,
    oldestPendingSeconds: 0,
  });
});
