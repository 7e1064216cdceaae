import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDirectoryWatch } from '../../functions/directory-watch.ts';
import { asHttpFunction, type HttpHandler } from '../../functions/wire/http.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import { type KeptBus, keptBus } from '../support/fakes/bus.ts';
import { surround } from '../support/fakes/calls.ts';
import { type ChannelRows, channelRows } from '../support/fakes/channel-rows.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type KeptLog, keptLog } from '../support/fakes/log.ts';
import { refusal, type Served, serve } from './support/served.ts';

const START = new Date('2026-11-22T12:00:00Z');
const TOKEN = 'the-token-of-channel-1';

let served: Served;
let handler: HttpHandler;
let log: KeptLog;
let bus: KeptBus;
let clock: ManualClock;
let ledger: ChannelRows;

beforeAll(async () => {
  log = keptLog();
  served = await serve(
    asHttpFunction((call) => handler(call), { name: 'directory-watch', log, maxBodyBytes: 64 * 1024 }),
  );
});
afterAll(() => served.close());
beforeEach(async () => {
  bus = keptBus();
  clock = manualClock(START);
  ledger = channelRows();
  log.lines.length = 0;
  handler = createDirectoryWatch({ clock, ledger, bus, log });
  await ledger.recordChannel({
    channelId: 'channel-1',
    resourceId: 'resource-1',
    event: 'all',
    tokenSha256Hex: createHash('sha256').update(TOKEN).digest('hex'),
    expiresAt: new Date(START.getTime() + 3_600_000),
  });
});

const notify = (headers: Record<string, string> = {}, body: string = JSON.stringify({ id: '111222333' })) =>
  served.request('/', {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json; utf-8',
      'x-goog-channel-id': 'channel-1',
      'x-goog-channel-token': TOKEN,
      'x-goog-resource-id': 'resource-1',
      'x-goog-resource-state': 'update',
      'x-goog-message-number': '42',
      ...headers,
    },
  });

const counted = () => {
  const counts: Record<string, number> = {};
  for (const { kind, count } of ledger.news.flatMap(({ oddities }) => oddities))
    counts[kind] = (counts[kind] ?? 0) + count;
  return counts;
};

describe('a directory notification', () => {
  test('becomes a hint that says where it came from', async () => {
    expect(await notify()).toMatchObject({ status: 204, text: '' });
    expect(bus.hints).toEqual([
      {
        userId: '111222333',
        cause: { source: 'watch', eventId: 'channel-1:42', event: 'update', at: START },
      },
    ]);
  });

  test.each(['add', 'delete', 'makeAdmin', 'undelete', 'update'])('of %s names the event', async (state) => {
    await notify({ 'x-goog-resource-state': state });
    expect(bus.hints[0]?.cause.event).toBe(state);
  });

  test.each([
    'application/json',
    'application/json; utf-8',
    'application/json;charset=UTF-8',
    'text/plain',
    'nonsense;;',
  ])('is read whatever its content type says (%s)', async (contentType) => {
    expect((await notify({ 'content-type': contentType })).status).toBe(204);
    expect(bus.hints).toHaveLength(1);
  });

  test('may carry blanks around its header values', async () => {
    const answer = await notify({
      'x-goog-channel-id': '  channel-1 ',
      'x-goog-channel-token': ` ${TOKEN}`,
      'x-goog-resource-state': ' update',
    });
    expect(answer.status).toBe(204);
    expect(bus.hints[0]?.cause).toEqual({
      source: 'watch',
      eventId: 'channel-1:42',
      event: 'update',
      at: START,
    });
  });

  test('that only says the channel is open is acknowledged, body or not', async () => {
    expect((await notify({ 'x-goog-resource-state': 'sync' }, '')).status).toBe(204);
    expect(bus.hints).toEqual([]);
  });

  test('of an unknown channel is answered 404, whatever the token', async () => {
    expect((await notify({ 'x-goog-channel-id': 'channel-2' })).status).toBe(404);
    expect((await notify({ 'x-goog-channel-id': '' })).status).toBe(404);
    expect(bus.hints).toEqual([]);
  });

  test('of a channel that is over is answered 404, from the very instant', async () => {
    clock.set(new Date(START.getTime() + 3_600_000 - 1));
    expect((await notify()).status).toBe(204);
    clock.advance(1);
    expect((await notify()).status).toBe(404);
  });

  test('of a channel of ours that is over is written down, so that it is stopped, and counted', async () => {
    await ledger.retireChannel('channel-1');
    expect((await notify({ 'x-goog-channel-token': 'another' })).status).toBe(404);
    expect(await ledger.strayChannels(), 'anybody may have sent that').toEqual([]);
    expect((await notify()).status).toBe(404);
    expect(await ledger.strayChannels()).toMatchObject([
      { channelId: 'channel-1', resourceId: 'resource-1' },
    ]);
    clock.advance(10_000);
    await notify({ 'x-goog-channel-id': 'channel-2' });
    expect(counted()).toEqual({ 'unknown-channel': 2, 'expired-channel': 1 });
    expect(bus.hints).toEqual([]);
  });

  test('is counted, with its instant and with what the audit log must tell of too', async () => {
    await notify({ 'x-goog-resource-state': 'add' });
    expect(ledger.news).toEqual([
      { source: 'watch', entries: 1, happenedAt: START, alsoFrom: 'audit', oddities: [] },
    ]);
    for (let more = 0; more < 5; more += 1) await notify();
    expect(ledger.news, 'not at each one').toHaveLength(1);
    clock.advance(10_000);
    await notify();
    expect(ledger.news[1]).toMatchObject({ entries: 6 });
  });

  test('is published all the same while its count cannot be written, and counted later', async () => {
    const away = {
      ...ledger,
      recordNews: async () => {
        throw retryable('ledger-unavailable', 'Away.');
      },
    };
    let counts: Pick<ChannelRows, 'recordNews'> = away;
    handler = createDirectoryWatch({
      ...{ clock, bus, log },
      ledger: { ...ledger, recordNews: (news) => counts.recordNews(news) },
    });
    expect((await notify()).status).toBe(204);
    counts = ledger;
    clock.advance(10_000);
    await notify();
    expect(ledger.news).toMatchObject([{ entries: 2 }]);
  });

  test.each([
    ['wrong', 'another'],
    ['missing', ''],
    ['only the beginning', TOKEN.slice(0, -1)],
    ['its own hash', createHash('sha256').update(TOKEN).digest('hex')],
  ])('whose token is %s is answered 403 and not believed, not even a sync', async (_what, token) => {
    const answer = await notify({ 'x-goog-channel-token': token });
    expect(answer).toMatchObject(refusal(403, 'forbidden'));
    expect((await notify({ 'x-goog-channel-token': token, 'x-goog-resource-state': 'sync' })).status).toBe(
      403,
    );
    expect(bus.hints).toEqual([]);
  });

  test('never puts its token into a log line or an answer', async () => {
    const answer = await notify({}, '{');
    expect(JSON.stringify([log.lines, answer.text])).not.toContain(TOKEN);
  });

  test.each([
    ['no JSON', '{"id":'],
    ['empty', ''],
    ['an array', '[]'],
    ['no id', '{}'],
    ['an id that is a number', '{"id":111}'],
    ['an id that is no number', '{"id":"ana@acme.example"}'],
    ['an id far too long', `{"id":"${'1'.repeat(33)}"}`],
    ['an id with more behind it', '{"id":"111\\n"}'],
  ])('whose body is %s is answered 400', async (_what, body) => {
    expect(await notify({}, body)).toMatchObject({
      status: 400,
      json: { error: { status: 'INVALID_ARGUMENT', message: expect.stringMatching(/\.$/) } },
    });
    expect(bus.hints).toEqual([]);
  });

  test('is answered 503 while Pub/Sub is away, so that Google sends it again', async () => {
    const away = surround('bus', bus, async () => {
      throw retryable('bus-unavailable', 'Pub/Sub is away.', { retryAfterMs: 2_500 });
    });
    handler = createDirectoryWatch({ clock, ledger, bus: away, log });
    const answer = await notify();
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('3');
  });

  test('is answered 503 where the right to publish is missing, because Google drops what is answered 403', async () => {
    const words = "Give this function's service account roles/pubsub.publisher on the topic.";
    const forbidden = surround('bus', bus, async () => {
      throw permanent('bus-unavailable', words);
    });
    handler = createDirectoryWatch({ clock, ledger, bus: forbidden, log });
    expect((await notify()).status).toBe(503);
    expect(JSON.stringify(log.lines), 'and the log says what to do').toContain(words);
    handler = createDirectoryWatch({ clock, ledger, bus, log });
    expect((await notify()).status).toBe(204);
    expect(bus.hints).toHaveLength(1);
  });

  test('is answered 503 while the ledger cannot say whose channel it is: it is neither dropped with a 404 nor believed', async () => {
    const away = {
      ...ledger,
      readChannel: async () => {
        throw retryable('ledger-unavailable', 'The ledger is away.');
      },
    };
    handler = createDirectoryWatch({ clock, ledger: away, bus, log });
    for (const token of [TOKEN, 'another']) {
      const answer = await notify({ 'x-goog-channel-token': token });
      expect(answer, 'the same whatever the token').toMatchObject(refusal(503, 'ledger-unavailable'));
    }
    expect(bus.hints).toEqual([]);
    expect(counted(), 'nor is the channel counted as a strange one').toEqual({});
  });

  test.each(['GET', 'PUT', 'DELETE'])('sent with %s is answered 405', async (method) => {
    expect((await served.request('/', { method })).status).toBe(405);
  });

  test('larger than 64 KiB is answered 413', async () => {
    expect((await notify({}, JSON.stringify({ id: '1', padding: 'x'.repeat(64 * 1024) }))).status).toBe(413);
  });
});
