import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { permanent, retryable } from '../../shared/errors.ts';
import { keepChannels, type WatchChannelDeps } from '../../shared/sources/watch-channels.ts';
import { surround } from '../support/fakes/calls.ts';
import { type ChannelRows, channelRows } from '../support/fakes/channel-rows.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type FakeDirectory, fakeDirectory } from '../support/fakes/directory.ts';
import { type KeptLog, keptLog } from '../support/fakes/log.ts';

const START = new Date('2026-11-22T12:00:00Z');
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

let clock: ManualClock;
let directory: FakeDirectory;
let ledger: ChannelRows;
let log: KeptLog;
let deps: WatchChannelDeps;

beforeEach(() => {
  clock = manualClock(START);
  directory = fakeDirectory(clock);
  ledger = channelRows();
  log = keptLog();
  let ids = 0;
  deps = {
    clock,
    directory,
    ledger,
    log,
    receiverUrl: 'https://watch.acme.example/',
    randomBytes: (length) => new Uint8Array(length).fill(ids),
    randomId: () => {
      ids += 1;
      return `channel-${ids}`;
    },
  };
});

const open = () => [...directory.openChannels.keys()];

describe('keeping a notification channel', () => {
  test('opens one where there is none, and keeps the hash of its token only', async () => {
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 1, stopped: 0 });
    const channel = directory.openChannels.get('channel-1');
    expect(channel?.address).toBe('https://watch.acme.example/');
    const row = await ledger.readChannel('channel-1');
    expect(row).toEqual({
      channelId: 'channel-1',
      resourceId: 'resource-of-channel-1',
      event: 'all',
      tokenSha256Hex: createHash('sha256')
        .update(channel?.token ?? '')
        .digest('hex'),
      expiresAt: new Date(START.getTime() + 6 * HOUR_MS),
    });
    expect(channel?.token).toHaveLength(43);
    expect(JSON.stringify(log.lines)).not.toContain(channel?.token);
  });

  test('believes the end that Google grants, not the one it asked for', async () => {
    await keepChannels(deps);
    clock.advance(5 * HOUR_MS - 1);
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 0, stopped: 0 });
    clock.advance(1);
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 1, stopped: 1 });
    expect(open()).toEqual(['channel-2']);
    expect(await ledger.channels()).toHaveLength(1);
  });

  test('writes the row before Google is asked, because a notification may come before the answer', async () => {
    const seen: boolean[] = [];
    const watched = surround('directory', directory, async (call, perform) => {
      if (call.method === 'watch') seen.push((await ledger.readChannel('channel-1')) !== undefined);
      return await perform();
    });
    await keepChannels({ ...deps, directory: watched });
    expect(seen).toEqual([true]);
  });

  test('keeps the old channel until the new one is open', async () => {
    await keepChannels(deps);
    clock.advance(5.5 * HOUR_MS);
    const refusing = surround('directory', directory, async (call, perform) => {
      if (call.method === 'watch') throw permanent('directory-refused', 'Not now.');
      return await perform();
    });
    expect(await keepChannels({ ...deps, directory: refusing })).toEqual({ open: 1, opened: 0, stopped: 0 });
    expect(open()).toEqual(['channel-1']);
    expect(await ledger.readChannel('channel-1')).toBeDefined();
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 1, stopped: 1 });
  });

  test.each([
    permanent('directory-refused', 'The role is missing.'),
    retryable('directory-unavailable', 'Away.'),
  ])(
    'reports a directory that refuses to open one, leaves no row, and does not throw (%s)',
    async (error) => {
      const refusing = surround('directory', directory, async () => {
        throw error;
      });
      expect(await keepChannels({ ...deps, directory: refusing })).toEqual({
        open: 0,
        opened: 0,
        stopped: 0,
      });
      expect(await ledger.channels()).toEqual([]);
      expect(log.of('channel-refused')).toMatchObject([{ severity: 'error', fields: { code: error.code } }]);
    },
  );

  test('tries to stop an old channel again until it has run out by itself', async () => {
    await keepChannels(deps);
    clock.advance(5.5 * HOUR_MS);
    const stubborn = surround('directory', directory, async (call, perform) => {
      if (call.method === 'stopChannel') throw retryable('directory-unavailable', 'Away.');
      return await perform();
    });
    expect(await keepChannels({ ...deps, directory: stubborn })).toEqual({ open: 2, opened: 1, stopped: 0 });
    expect(await ledger.channels()).toHaveLength(2);
    expect(log.of('channel-not-stopped')).toHaveLength(1);
    clock.advance(HOUR_MS);
    expect(await keepChannels({ ...deps, directory: stubborn })).toEqual({ open: 1, opened: 0, stopped: 1 });
    expect(await ledger.channels()).toHaveLength(1);
  });

  test('clears away a row whose opening died half-way', async () => {
    const dying = surround('directory', directory, async () => {
      throw new Error('the process died');
    });
    const keeping = { ...ledger, retireChannel: async () => expect.unreachable() };
    await expect(keepChannels({ ...deps, directory: dying, ledger: keeping })).rejects.toThrow();
    expect(await ledger.channels()).toHaveLength(1);
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 1, stopped: 0 });
    expect((await ledger.channels()).map(({ channelId }) => channelId)).toEqual(['channel-2']);
  });

  describe('where Google takes no channel for all kinds of event', () => {
    const KINDS = ['add', 'delete', 'makeAdmin', 'undelete', 'update'];
    const apart = (refused: readonly string[] = []) => ({
      ...directory,
      watch: async (request: Parameters<FakeDirectory['watch']>[0]) => {
        if (request.event === undefined || refused.includes(request.event))
          throw permanent('directory-refused', 'Invalid event.', { details: { httpStatus: 400 } });
        return await directory.watch(request);
      },
    });
    const kinds = async () =>
      (await ledger.channels()).filter(({ resourceId }) => resourceId !== '').map(({ event }) => event);
    const refusals = () =>
      log.of('channel-refused').map(({ severity, fields }) => [severity, fields['kind']]);

    test('opens one for each kind, and replaces each before its end', async () => {
      expect(await keepChannels({ ...deps, directory: apart() })).toEqual({ open: 5, opened: 5, stopped: 0 });
      expect(await kinds()).toEqual(KINDS);
      expect(await keepChannels({ ...deps, directory: apart() })).toEqual({ open: 5, opened: 0, stopped: 0 });
      clock.advance(5.5 * HOUR_MS);
      expect(await keepChannels({ ...deps, directory: apart() })).toEqual({ open: 5, opened: 5, stopped: 5 });
      expect(open()).toHaveLength(5);
      expect(log.of('channel-refused').filter(({ severity }) => severity === 'error')).toEqual([]);
    });

    test('says once which kind it cannot have, and asks for that one again every hour', async () => {
      const refusing = { ...deps, directory: apart(['update']) };
      expect(await keepChannels(refusing)).toEqual({ open: 4, opened: 4, stopped: 0 });
      expect(refusals()).toEqual([
        ['info', 'all'],
        ['error', 'update'],
      ]);
      clock.advance(HOUR_MS - 1);
      await keepChannels(refusing);
      expect(refusals()).toHaveLength(2);
      clock.advance(1);
      await keepChannels(refusing);
      expect(refusals().slice(2)).toEqual([
        ['info', 'all'],
        ['info', 'update'],
      ]);
      clock.advance(HOUR_MS);
      expect(await keepChannels({ ...deps, directory: apart() })).toEqual({ open: 5, opened: 1, stopped: 0 });
      expect(await kinds()).toContain('update');
    });

    test('says so too where an opening of that kind had died half-way before', async () => {
      const dying = {
        ...directory,
        watch: async (request: Parameters<FakeDirectory['watch']>[0]) => {
          if (request.event === 'update') throw new Error('the process died');
          return await apart().watch(request);
        },
      };
      const keeping = { ...ledger, retireChannel: async () => expect.unreachable() };
      await expect(keepChannels({ ...deps, directory: dying, ledger: keeping })).rejects.toThrow();
      await keepChannels({ ...deps, directory: apart(['update']) });
      expect(refusals().at(-1)).toEqual(['error', 'update']);
    });

    test('warns only, where the kind that it cannot have need not be had', async () => {
      await keepChannels({ ...deps, directory: apart(['makeAdmin']) });
      expect(refusals()).toEqual([
        ['info', 'all'],
        ['warning', 'makeAdmin'],
      ]);
    });

    test('replaces and stops the channels of the other kinds while one is refused', async () => {
      const refusing = { ...deps, directory: apart(['makeAdmin']) };
      await keepChannels(refusing);
      const first = open();
      clock.advance(5.5 * HOUR_MS);
      expect(await keepChannels(refusing)).toEqual({ open: 4, opened: 4, stopped: 4 });
      expect(open().filter((channelId) => first.includes(channelId))).toEqual([]);
      expect(await kinds()).toEqual(['add', 'delete', 'undelete', 'update']);
    });

    test('keeps a channel for all kinds to its end while one that it brings is refused, and no longer', async () => {
      await keepChannels(deps);
      const refusing = { ...deps, directory: apart(['makeAdmin']) };
      clock.advance(5.5 * HOUR_MS);
      expect(await keepChannels(refusing)).toEqual({ open: 5, opened: 4, stopped: 0 });
      clock.advance(HOUR_MS / 2);
      expect(await keepChannels(refusing)).toEqual({ open: 4, opened: 0, stopped: 1 });
      expect(await kinds()).not.toContain('all');
    });

    test('keeps the row of the last channel of a kind that has none since, as long as the kind is needed', async () => {
      await keepChannels({ ...deps, directory: apart() });
      clock.advance(5.5 * HOUR_MS);
      const refusing = { ...deps, directory: apart(['makeAdmin', 'update']) };
      for (let hour = 0; hour < 24; hour += 1) {
        await keepChannels(refusing);
        clock.advance(HOUR_MS);
      }
      const over = (await ledger.channels()).filter(
        ({ resourceId, expiresAt }) =>
          resourceId !== '' && expiresAt.getTime() === START.getTime() + 6 * HOUR_MS,
      );
      expect(over.map(({ event }) => event)).toEqual(['update']);
      await keepChannels({ ...deps, directory: apart() });
      expect((await kinds()).toSorted()).toEqual(KINDS);
    });

    test('asks again in a minute where the refusal may pass, and where a right is missing', async () => {
      for (const error of [
        retryable('directory-unavailable', 'Away.', { details: { httpStatus: 503 } }),
        permanent('directory-refused', 'The role is missing.', { details: { httpStatus: 403 } }),
      ]) {
        const refusing = surround('directory', directory, async () => {
          throw error;
        });
        await keepChannels({ ...deps, directory: refusing });
        await keepChannels({ ...deps, directory: refusing });
      }
      expect(refusals()).toEqual(Array.from({ length: 4 }, () => ['error', 'all']));
      clock.advance(MINUTE_MS);
      expect(await keepChannels(deps)).toMatchObject({ opened: 1 });
    });
  });

  test('stops a channel that is heard of although it is over, also one whose opening was never answered', async () => {
    const answerLost = {
      ...directory,
      watch: async (request: Parameters<FakeDirectory['watch']>[0]) => {
        await directory.watch(request);
        throw retryable('directory-unavailable', 'The answer was lost.');
      },
    };
    await keepChannels({ ...deps, directory: answerLost });
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 1, stopped: 0 });
    expect(open()).toEqual(['channel-1', 'channel-2']);
    await ledger.recordStrayNotification('channel-1', 'resource-of-channel-1');
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 0, stopped: 1 });
    expect(open()).toEqual(['channel-2']);
    expect(await keepChannels(deps)).toEqual({ open: 1, opened: 0, stopped: 0 });
  });

  test('is one process’s work at a time', async () => {
    await keepChannels(deps);
    await ledger.acquireLease('job:watch-channels', 1_000);
    clock.advance(6 * HOUR_MS);
    expect(await keepChannels(deps)).toEqual({ open: 0, opened: 0, stopped: 0 });
    expect(open()).toEqual(['channel-1']);
  });

  test('gives its lease back, also after a bug', async () => {
    const buggy = surround('directory', directory, async () => {
      throw new TypeError('bug');
    });
    await expect(keepChannels({ ...deps, directory: buggy })).rejects.toThrow('bug');
    expect(ledger.held.size).toBe(0);
  });
});
