import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScheduler, type JobDefinition, type Scheduler } from '../../../emulator/scheduler/index.ts';
import { EmulatorWorld, until } from '../core/world.ts';
import { claimsOf, readableIdTokens } from '../pubsub/world.ts';

const HOUR = 3_600_000;
const CALLER = 'scheduler@acme-sealwright.iam.gserviceaccount.com';

interface Hit {
  readonly verb: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let target: Server;
let address: string;
let hits: Hit[];
let react: () => number | Promise<number>;
let world: EmulatorWorld;
let scheduler: Scheduler;

beforeEach(async () => {
  hits = [];
  react = () => 200;
  target = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    hits.push({ verb: request.method, headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(await react()).end();
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(target.address() as AddressInfo).port}/sweep`;
});
afterEach(async () => {
  await scheduler.stop();
  await world.close();
  target.closeAllConnections();
  await new Promise((resolve) => target.close(resolve));
});

/** A job that real time does not reach while a test runs, but for the turn of the year. */
const YEARLY = '0 0 1 1 *';

async function start(more: Partial<JobDefinition> = {}, stateFile?: string): Promise<void> {
  world = new EmulatorWorld(stateFile);
  // Just after the full hour, so that no due time is nearer than what the tests below leave to it.
  world.clock.advance(toNextHour() + 1_000);
  scheduler = createScheduler(world.context, {
    idTokens: readableIdTokens,
    jobs: [{ name: 'sweep', schedule: '0 * * * *', target: { url: address }, ...more }],
  });
  await world.serve(scheduler.routes);
  scheduler.start();
}

const post = (path: string, body?: unknown) =>
  fetch(new URL(path, world.root), {
    method: 'POST',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const quiet = () => until(() => scheduler.pending().length === 0);
const toNextHour = () => HOUR - (world.clock.nowMs() % HOUR);

describe('a scheduled job', () => {
  it('fires when the clock passes its due time, and not before', async () => {
    await start();
    world.clock.advance(toNextHour() - 30_000);
    expect(scheduler.pending()).toEqual([]);
    world.clock.advance(30_000);
    await until(() => hits.length === 1);
    await quiet();
    world.clock.advance(HOUR);
    await until(() => hits.length === 2);
  });

  it('fires once for a jump over many due times', async () => {
    await start();
    world.clock.advance(35 * 24 * HOUR);
    await until(() => hits.length === 1);
    await quiet();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(hits).toHaveLength(1);
  });

  it('fires by itself as real time passes', async () => {
    await start({ schedule: '* * * * *' });
    world.clock.advance(60_000 - (world.clock.nowMs() % 60_000) - 40);
    await until(() => hits.length > 0);
  });

  it('never has two executions at once: due times that pass meanwhile are answered by one more', async () => {
    await start();
    const gate = Promise.withResolvers<number>();
    react = () => (hits.length === 1 ? gate.promise : 200);
    world.clock.advance(HOUR);
    await until(() => hits.length === 1);
    world.clock.advance(HOUR);
    world.clock.advance(HOUR);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(hits).toHaveLength(1);
    gate.resolve(200);
    await until(() => hits.length === 2);
    await quiet();
    expect(hits).toHaveLength(2);
  });

  it('calls as Cloud Scheduler does, with an ID token of its service account', async () => {
    await start({
      target: {
        url: address,
        body: '{"whole":true}',
        headers: { 'content-type': 'application/json' },
        oidc: { serviceAccountEmail: CALLER, audience: 'https://sweep.example' },
      },
    });
    world.clock.advance(HOUR);
    await until(() => hits.length === 1);
    expect(hits[0]).toMatchObject({
      verb: 'POST',
      body: '{"whole":true}',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Google-Cloud-Scheduler',
        'x-cloudscheduler': 'true',
        'x-cloudscheduler-jobname': 'sweep',
        'x-cloudscheduler-scheduletime': expect.stringMatching(/:00:00\.000Z$/),
      },
    });
    expect(claimsOf(hits[0]?.headers.authorization)).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: 'https://sweep.example',
      email: CALLER,
      email_verified: true,
    });
  });

  it('is not tried again without a retry count', async () => {
    await start();
    react = () => 500;
    world.clock.advance(HOUR);
    await until(() => hits.length === 1);
    await quiet();
    expect(hits).toHaveLength(1);
  });

  it('is tried again after growing waits, which a jump of the clock ends', async () => {
    await start({ schedule: YEARLY, retry: { count: 3, minBackoff: '100s', maxBackoff: '300s' } });
    react = () => 503;
    const answer = post('/_emulator/scheduler/sweep/run');
    for (const wait of [100, 200, 300]) {
      await until(() => scheduler.pending()[0]?.includes(`follows after ${wait} s`));
      world.clock.advance(wait * 1000);
    }
    expect(await (await answer).json()).toMatchObject({ attempts: 4, succeeded: false, status: 503 });
    expect(hits).toHaveLength(4);
  });

  it('stops being tried with the first success', async () => {
    await start({ schedule: YEARLY, retry: { count: 5, minBackoff: '10ms' } });
    react = () => (hits.length < 3 ? 500 : 204);
    expect(await scheduler.run('sweep')).toMatchObject({ attempts: 3, succeeded: true, status: 204 });
  });

  it('keeps the outcome and what it has answered for over a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'scheduler-'));
    const file = join(folder, 'state.json');
    await start({}, file);
    world.clock.advance(HOUR);
    await until(() => hits.length === 1);
    await quiet();
    const offset = world.clock.offsetMs;
    await scheduler.stop();
    await world.close();
    world.state.flush();

    await start({}, file);
    world.clock.advance(offset);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(hits).toHaveLength(1);
    const list = await (await fetch(new URL('/_emulator/scheduler', world.root))).json();
    expect(list).toMatchObject({
      jobs: [
        { name: 'sweep', schedule: '0 * * * *', running: false, last: { attempts: 1, succeeded: true } },
      ],
    });
    rmSync(folder, { recursive: true });
  });

  it('that calls an address where nobody listens says why', async () => {
    await start({ schedule: YEARLY, target: { url: 'http://127.0.0.1:1/' } });
    expect(await scheduler.run('sweep')).toMatchObject({
      succeeded: false,
      why: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('a job run on demand', () => {
  it('answers how it went', async () => {
    await start({ schedule: YEARLY });
    const answer = await post('/_emulator/scheduler/sweep/run');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ attempts: 1, succeeded: true, status: 200 });
    expect(hits).toHaveLength(1);
  });

  it('waits for the execution under way', async () => {
    await start({ schedule: YEARLY });
    const gate = Promise.withResolvers<number>();
    react = () => (hits.length === 1 ? gate.promise : 200);
    const runs = [scheduler.run('sweep'), scheduler.run('sweep'), scheduler.run('sweep')];
    await until(() => hits.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(hits).toHaveLength(1);
    gate.resolve(200);
    await Promise.all(runs);
    expect(hits).toHaveLength(3);
  });

  it('is refused for a job that is not there, naming those that are', async () => {
    await start();
    const answer = await post('/_emulator/scheduler/swoop/run');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({
      error: { message: 'There is no scheduled job "swoop"; there are sweep.' },
    });
  });

  it('is refused with a body', async () => {
    await start({ schedule: YEARLY });
    expect((await post('/_emulator/scheduler/sweep/run', { now: true })).status).toBe(400);
    expect(hits).toEqual([]);
  });
});

describe('a job that cannot be', () => {
  it.each([
    ['a bad schedule', { schedule: 'hourly' }, 'Scheduled job sweep: The schedule "hourly" has 1 fields'],
    ['a bad address', { target: { url: 'nowhere' } }, '"nowhere" is no address'],
    ['six retries', { retry: { count: 6 } }, '6 retries; between 0 and 5'],
    ['a deadline of 5 s', { attemptDeadline: '5s' }, 'takes 15s to 30m'],
    ['crossed back-offs', { retry: { minBackoff: '10s', maxBackoff: '5s' } }, 'shorter than the shortest'],
    ['a name with a blank', { name: 'the sweep' }, 'other characters'],
  ])('for %s is refused at once', async (_what, more, sentence) => {
    await start();
    const jobs = [{ name: 'sweep', schedule: YEARLY, target: { url: address }, ...more }];
    expect(() => createScheduler(world.context, { idTokens: readableIdTokens, jobs })).toThrow(sentence);
  });

  it('for having the name of another is refused at once', async () => {
    await start();
    const job = { name: 'sweep', schedule: YEARLY, target: { url: address } };
    expect(() => createScheduler(world.context, { idTokens: readableIdTokens, jobs: [job, job] })).toThrow(
      'two scheduled jobs named sweep',
    );
  });
});
