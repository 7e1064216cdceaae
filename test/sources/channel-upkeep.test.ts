/** Days of `due`, minute after minute, against a Google that takes some kinds of channel and refuses others. */
import { describe, expect, it } from 'vitest';
import { createDue } from '../../functions/due.ts';
import { permanent } from '../../shared/errors.ts';
import { alarmsOf, measure, notificationsOf, readFreshness } from '../../shared/sources/freshness.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { memoryDatabase } from '../support/fakes/ledger/ledger.ts';
import { keptLog } from '../support/fakes/log.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, START } from '../support/fakes/world.ts';
import { BEHIND_IAM, call } from '../support/invocation.ts';

const MINUTES_A_DAY = 1_440;
/** What Google grants, whatever is asked for. */
const GRANT_MS = 6 * HOUR_MS;
/** A channel is replaced when an hour is left of it. */
const REPLACEMENTS_A_DAY = DAY_MS / (GRANT_MS - HOUR_MS);

/** Kinds that this Google refuses, `all` among them, and the status of its answer. */
function company(refused: readonly string[]) {
  const clock = manualClock(START);
  const ledger = memoryDatabase(() => clock.now().getTime()).open({ clock });
  const log = keptLog();
  const refusals = new Map(refused.map((event) => [event, 400]));
  const google = new Map<string, { readonly event: string; readonly endsMs: number }>();
  const calls = { watch: 0, stop: 0 };
  let ids = 0;
  const due = createDue({
    ...{ ...BEHIND_IAM, clock, ledger, hintsPerMinute: 400 },
    // What it says every minute whatever happens is not kept.
    log: { ...log, info: () => undefined },
    bus: { publishHints: async () => undefined, requestCrl: async () => undefined },
    channels: {
      ...{ clock, ledger, log, receiverUrl: 'https://watch.acme.example/' },
      randomBytes: (length) => new Uint8Array(length).fill(ids),
      randomId: () => {
        ids += 1;
        return `channel-${ids}`;
      },
      directory: {
        watch: async ({ channelId, event = 'all' }) => {
          calls.watch += 1;
          const httpStatus = refusals.get(event);
          if (httpStatus !== undefined)
            throw permanent('directory-refused', `Google refuses ${event}.`, { details: { httpStatus } });
          const expiresAt = new Date(clock.now().getTime() + GRANT_MS);
          google.set(channelId, { event, endsMs: expiresAt.getTime() });
          return { channelId, resourceId: `resource-of-${channelId}`, expiresAt };
        },
        stopChannel: async ({ channelId }) => {
          calls.stop += 1;
          google.delete(channelId);
        },
      },
    },
  });
  const freshness = () => readFreshness(ledger);
  return {
    ...{ clock, ledger, log, refusals, calls },
    /** Runs of `due`, one a minute; `after` is told how it stands after each. */
    live: async (minutes: number, after: () => Promise<void> = async () => undefined) => {
      for (let minute = 0; minute < minutes; minute += 1) {
        await call(due);
        await after();
        clock.advance(MINUTE_MS);
      }
    },
    /** The events of the channels that Google has and that are not over. */
    living: () =>
      [...google.values()].filter(({ endsMs }) => endsMs > clock.now().getTime()).map(({ event }) => event),
    alarms: async () => alarmsOf(await freshness(), clock.now()).map(({ message }) => message),
    leftSeconds: async () => measure(await freshness(), clock.now())['channelLeftSeconds'],
    notifications: async () => notificationsOf(await freshness(), clock.now()),
    errors: () => log.lines.filter(({ severity }) => severity === 'error').length,
  };
}

describe('three days of due, where Google takes', () => {
  const DAYS = 3;

  it.each([
    ['one channel for all kinds', [], ['all'], 0],
    ['one for each kind', ['all'], ['add', 'delete', 'makeAdmin', 'undelete', 'update'], 1],
    ['none for an admin made', ['all', 'makeAdmin'], ['add', 'delete', 'undelete', 'update'], 2],
  ] as const)(
    '%s: keep no more than that many, and raise no alarm',
    async (_what, refused, kinds, refusedKinds) => {
      const acme = company(refused);
      let most = 0;
      let mostRows = 0;
      await acme.live(DAYS * MINUTES_A_DAY, async () => {
        most = Math.max(most, acme.living().length);
        mostRows = Math.max(mostRows, (await acme.ledger.channels()).length);
      });
      expect(acme.living().toSorted()).toEqual(kinds);
      expect(most, 'what was replaced is stopped at once').toBe(kinds.length);
      expect(mostRows).toBeLessThanOrEqual(kinds.length + refusedKinds);
      expect(acme.log.of('alarm')).toEqual([]);
      const opened = kinds.length * Math.ceil(DAYS * REPLACEMENTS_A_DAY);
      expect(acme.calls.watch).toBeLessThanOrEqual(opened + refusedKinds * DAYS * 24);
      expect(acme.calls.stop).toBe(opened - kinds.length);
      expect(acme.errors()).toBe(0);
      expect(await acme.notifications()).toMatchObject({ open: kinds.length });
    },
  );
});

describe('a kind of event that is needed and that Google refuses from the second day to the third', () => {
  it('is alarmed about from 45 minutes before its channel ends until there is one again, is asked for hourly and told once', async () => {
    const acme = company(['all']);
    await acme.live(MINUTES_A_DAY);
    acme.refusals.set('update', 400);
    const stood: number[] = [];
    const watches = acme.calls.watch;
    let lines = acme.log.of('alarm').length;
    expect(lines).toBe(0);
    const noteAlarm = async () => {
      const now = acme.log.of('alarm').length;
      if (now > lines) stood.push(acme.clock.now().getTime());
      lines = now;
    };
    await acme.live(MINUTES_A_DAY, noteAlarm);
    expect(acme.living().toSorted()).toEqual(['add', 'delete', 'makeAdmin', 'undelete']);
    expect(acme.calls.watch - watches).toBeLessThanOrEqual(4 * Math.ceil(REPLACEMENTS_A_DAY) + 2 * 24);
    expect(acme.log.of('channel-refused').filter(({ severity }) => severity === 'error')).toHaveLength(1);
    const endedAt = (await acme.notifications()).without[0]?.since;
    expect(endedAt?.getTime()).toBe(Number(stood[0]) + 44 * MINUTE_MS);
    expect(await acme.notifications()).toMatchObject({ open: 4, without: [{ kind: 'update' }] });
    expect(await acme.alarms()).toEqual([
      `No notification channel is open for update; the last one ended at ${endedAt?.toISOString()}. The log of due says why Google refuses one (channel-refused).`,
    ]);
    expect(await acme.leftSeconds()).toBe(0);
    acme.refusals.delete('update');
    await acme.live(61, noteAlarm);
    expect(await acme.alarms()).toEqual([]);
    expect(acme.living()).toContain('update');
    expect(Number(stood.at(-1)) - Number(stood[0])).toBe((stood.length - 1) * MINUTE_MS);
  });
});

describe('notifications of which Google takes none for two days', () => {
  it('are asked for, alarmed about with the instant of their end, and come again within the hour', async () => {
    const acme = company([]);
    await acme.live(1);
    for (const kind of ['all', 'add', 'delete', 'makeAdmin', 'undelete', 'update'])
      acme.refusals.set(kind, 400);
    await acme.live(2 * MINUTES_A_DAY);
    expect(acme.living()).toEqual([]);
    const endedAt = new Date(START.getTime() + GRANT_MS);
    expect(await acme.notifications()).toMatchObject({
      open: 0,
      without: ['add', 'delete', 'makeAdmin', 'undelete', 'update'].map((kind) => ({ kind, since: endedAt })),
    });
    expect(await acme.alarms()).toEqual([
      expect.stringContaining(
        `No notification channel is open; the last one ended at ${endedAt.toISOString()}.`,
      ),
    ]);
    expect(acme.calls.watch).toBeLessThanOrEqual(6 * 24 * 2);
    acme.refusals.clear();
    await acme.live(61);
    expect(acme.living().length).toBeGreaterThan(0);
    expect(await acme.alarms()).toEqual([]);
  });
});
