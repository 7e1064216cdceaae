/**
 * A storm of joins: many users created at once on the emulator, the functions in their process, the ledger on a private PostgreSQL;
 * users ready per second against making their keys and nothing else, before and after, on the same cores:
 * `node bench/join-storm.ts [--quick] [--json] [--users N] [--keys 2048|3072|4096]`. Once on the default profile, whose keys are RSA-3072,
 * and once with each of the other sizes that a policy may ask for, or with those that are named. Then everybody is hinted at again with
 * nothing to do: publish, push, observe, plan, against a bare handler of the functions framework, by processor time and by the clock.
 *
 * The emulator plays Google on the same cores, which in the cloud it would not; so the rate by the clock counts Google's work as ours.
 * Calls of the Directory API are not held back, as they are in production until the quota is raised.
 * Two more rows count processor time, which does not depend on what else the machine does: of the functions' process, and of that
 * and PostgreSQL together, which is all that is ours.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { COMPANY, TOPICS } from '../local/company.ts';
import { delegatedToken } from '../local/delegated-token.ts';
import type { Database } from '../shared/adapters/ledger/database.ts';
import { openPostgres } from '../shared/adapters/ledger/postgres.ts';
import { generateRsaKey } from '../shared/pki/key.ts';
import { push } from '../test/functions/support/pushes.ts';
import { findPrograms, startCluster } from '../test/postgres/cluster.ts';
import { beginStory, type Story } from '../test/stories/story.ts';
import { postmasterOf, processAt, serverCpuSeconds } from './process-time.ts';
import { type BenchRow, median, report } from './report.ts';

const QUICK = process.argv.includes('--quick');
const given = process.argv.indexOf('--users');
/** As of any company: its signatures are a part of each join. */
const CA_KEY_SIZE = 4096;
const USERS = given > 0 ? Number(process.argv[given + 1]) : QUICK ? 30 : 200;
/** All that a policy may ask for, its default first. */
const ALL_KEY_SIZES = [3072, 2048, 4096] as const;
type KeySize = (typeof ALL_KEY_SIZES)[number];
const KEY_SIZES = namedSizes();
/** How long it takes to find primes varies by a third from key to key. */
const KEYS = Math.min(200, Math.max(60, Math.round(USERS / 4)));
/** Join before the storm and are not counted: in one of 2,000 the code would be compiled after the first few. */
const EARLY_USERS = QUICK ? 0 : 40;
const AT_ONCE = 2 * availableParallelism();
/** No limit. Google's own, 2,400 calls a minute, lets some ten joins a second through, and would be all that is measured. */
const DIRECTORY_PER_MINUTE = 1_000_000;
const DIRECTORY_SCOPE = 'https://www.googleapis.com/auth/admin.directory.user';
/** Pub/Sub takes no more. */
const MESSAGES_A_REQUEST = 1_000;
/** The goal: users ready per second, of keys made per second. */
const TARGET = { atLeast: 0.85 } as const;
const PATIENCE_MS = Math.max(1_200_000, USERS * 2_000);

const programs = findPrograms();
if (programs === undefined) throw new Error('There is no PostgreSQL (initdb, pg_ctl) to keep the ledger in.');
const rows: BenchRow[] = [];
for (const keySize of KEY_SIZES) rows.push(...(await withSystem(programs, keySize)));
process.exitCode = report('Joins', rows) ? 0 : 1;

/** A system of its own for each size: where the storm is, nobody has been before. */
async function withSystem(pathOfPrograms: string, keySize: KeySize): Promise<readonly BenchRow[]> {
  const cluster = startCluster(pathOfPrograms);
  const database = openPostgres({ connectionString: cluster.connectionString });
  const story = await beginStory({
    databaseUrl: cluster.connectionString,
    keySize,
    caKeySize: CA_KEY_SIZE,
    directoryPerMinute: DIRECTORY_PER_MINUTE,
  });
  try {
    const stand = { story, database, keySize, postmaster: postmasterOf(cluster.connectionString) };
    return [...(await storm(stand)), ...(keySize === KEY_SIZES[0] ? await hints(stand) : [])];
  } finally {
    await story.end();
    await database.close();
    cluster.remove();
  }
}

interface Stand {
  readonly story: Story;
  readonly database: Database;
  readonly keySize: KeySize;
  /** Process id of the server, of which all other processes of it are children. */
  readonly postmaster: number;
}

interface Rate {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** Keys and nothing else, as many at once as there are users in work. */
async function keysAlone(keySize: KeySize): Promise<Rate> {
  const [startedMs, cpu] = [performance.now(), process.cpuUsage()];
  await inTurns(Array.from({ length: KEYS }), () => generateRsaKey(keySize));
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (KEYS * 1000) / (performance.now() - startedMs),
    perCpuSecond: (KEYS * 1e6) / (user + system),
  };
}

async function storm({ story, database, keySize, postmaster }: Stand): Promise<readonly BenchRow[]> {
  const early = Array.from({ length: EARLY_USERS }, (_, index) => `early${index + 1}`);
  const hire = await hiring(story);
  await inTurns(early, hire);
  await untilReady(database, EARLY_USERS);
  await story.company.drain();
  const before = await keysAlone(keySize);
  const [cpuBefore, databaseBefore] = [functionsCpuSeconds(story), serverCpuSeconds(postmaster)];
  const startedMs = Date.now();
  const names = Array.from({ length: USERS }, (_, index) => `user${index + 1}`);
  const insertedMs = new Map<string, number>();
  await inTurns(names, async (name) => {
    const askedMs = Date.now();
    insertedMs.set(await hire(name), askedMs);
  });
  await untilReady(database, EARLY_USERS + USERS);
  const ready = await database.query<{ userId: string; since: Date }>(
    `SELECT user_id AS "userId", since FROM users WHERE state = 'ready'`,
  );
  const rows = ready.filter(({ userId }) => insertedMs.has(userId));
  const cpuSeconds = functionsCpuSeconds(story) - cpuBefore;
  const databaseSeconds = serverCpuSeconds(postmaster) - databaseBefore;
  const waits = rows.map(({ userId, since }) => since.getTime() - (insertedMs.get(userId) ?? Number.NaN));
  const lastMs = Math.max(...rows.map(({ since }) => since.getTime()));
  const after = await keysAlone(keySize);
  const sorted = waits.toSorted((one, other) => one - other);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
  const mean = (of: (rate: Rate) => number) => (of(before) + of(after)) / 2;
  const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1);
  const peerName = `RSA-${keySize} keys alone, same cores`;
  return [
    {
      name: `${USERS} users with RSA-${keySize} created at once, ready`,
      ours: (USERS * 1000) / (lastMs - startedMs),
      peer: mean(({ perSecond }) => perSecond),
      peerName,
      unit: 'per second',
      target: TARGET,
      note: `from event to ready: median ${seconds(median(waits))} s, p99 ${seconds(p99)} s`,
    },
    {
      name: 'of that, the functions alone',
      ours: USERS / cpuSeconds,
      peer: mean(({ perCpuSecond }) => perCpuSecond),
      peerName,
      unit: 'per CPU second',
      target: TARGET,
    },
    {
      name: 'the functions and PostgreSQL',
      ours: USERS / (cpuSeconds + databaseSeconds),
      peer: mean(({ perCpuSecond }) => perCpuSecond),
      peerName,
      unit: 'per CPU second',
      note: `of a join: functions ${millisecondsEach(cpuSeconds)} ms, of which the key ${(1000 / mean(({ perCpuSecond }) => perCpuSecond)).toFixed(0)}; PostgreSQL ${millisecondsEach(databaseSeconds)} ms`,
    },
  ];
}

function millisecondsEach(seconds: number): string {
  return ((seconds * 1000) / USERS).toFixed(0);
}

/**
 * Creates users with one token for all, as an admin's tool does; answers the id. Whoever signs in for each costs what a look costs, and
 * Google's client half a millisecond more than this.
 */
async function hiring({ system: { ready } }: Story): Promise<(name: string) => Promise<string>> {
  const token = await delegatedToken(ready, COMPANY.superAdmin, [DIRECTORY_SCOPE]);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return async (name) => {
    const user = {
      primaryEmail: `${name}@${COMPANY.domain}`,
      name: { givenName: name, familyName: 'Example' },
      password: 'correct horse battery',
      orgUnitPath: '/Staff',
    };
    const address = new URL('admin/directory/v1/users', ready.google);
    const response = await fetch(address, { method: 'POST', headers, body: JSON.stringify(user) });
    const answer = await response.text();
    if (!response.ok) throw new Error(`Creating a user answered ${response.status}: ${answer}`);
    return (JSON.parse(answer) as { id: string }).id;
  };
}

async function untilReady(database: Database, users: number): Promise<void> {
  const endsMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const [row] = await database.query<{ ready: bigint }>(
      `SELECT count(*) AS ready FROM users WHERE state = 'ready'`,
    );
    if (Number(row?.ready) === users) return;
    if (performance.now() > endsMs) throw new Error(`${row?.ready} of ${users} users became ready.`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Everybody is looked at once more and nobody needs anything. */
async function hints({ story, database }: Stand): Promise<readonly BenchRow[]> {
  await story.company.drain();
  const users = await database.query<{ userId: string }>('SELECT user_id AS "userId" FROM users');
  const messages = users.map(({ userId }, index) => ({
    attributes: { kind: 'hint' },
    data: Buffer.from(
      JSON.stringify({
        version: 1,
        userId,
        cause: { source: 'due', eventId: `bench-${index}`, event: 'bench' },
      }),
    ).toString('base64'),
  }));
  const token = await toolsToken(story);
  const cpuBefore = functionsCpuSeconds(story);
  const startedMs = performance.now();
  for (let start = 0; start < messages.length; start += MESSAGES_A_REQUEST) {
    const response = await fetch(new URL(`v1/${TOPICS.directoryEvents}:publish`, story.system.ready.google), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: messages.slice(start, start + MESSAGES_A_REQUEST) }),
    });
    if (!response.ok) throw new Error(`Publishing answered ${response.status}: ${await response.text()}`);
  }
  await story.company.drain();
  const perSecond = (messages.length * 1000) / (performance.now() - startedMs);
  const perCpuSecond = messages.length / (functionsCpuSeconds(story) - cpuBefore);
  const bare = await bareRate();
  const name = `${messages.length} hints with nothing to do: push, observe, plan`;
  const peerName = 'a bare handler of the functions framework';
  return [
    { name, ours: perCpuSecond, peer: bare.perCpuSecond, peerName, unit: 'per CPU second' },
    {
      name: 'the same by the clock',
      ours: perSecond,
      peer: bare.perSecond,
      peerName,
      unit: 'per second',
      note: 'ours with emulator and PostgreSQL on the same cores, the peer with whoever asks it',
    },
  ];
}

/** An access token of the tools' own account, as the metadata server gives it. */
async function toolsToken(story: Story): Promise<string> {
  const response = await fetch(
    new URL('computeMetadata/v1/instance/service-accounts/default/token', story.system.ready.google),
    { headers: { 'metadata-flavor': 'Google' } },
  );
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`The metadata server answered ${response.status}.`);
  return token;
}

/** Pushes of the same form that a bare handler takes. */
async function bareRate(): Promise<Rate> {
  const child = fork(join(import.meta.dirname, 'bare-child.ts'));
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const cpuSeconds = async () => {
    child.send('cpu');
    const [{ cpuMicroseconds }] = (await once(child, 'message')) as [{ cpuMicroseconds: number }];
    return cpuMicroseconds / 1e6;
  };
  const body = push({ version: 1, userId: '1', cause: { source: 'due', eventId: 'bench', event: 'bench' } });
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    if (response.status !== 204) throw new Error(`The bare handler answered ${response.status}.`);
  };
  const count = QUICK ? 1_000 : 5_000;
  await inTurns(Array.from({ length: 500 }), ask);
  const [startedMs, before] = [performance.now(), await cpuSeconds()];
  await inTurns(Array.from({ length: count }), ask);
  const perSecond = (count * 1000) / (performance.now() - startedMs);
  const perCpuSecond = count / ((await cpuSeconds()) - before);
  child.disconnect();
  return { perSecond, perCpuSecond };
}

function functionsCpuSeconds({ system }: Story): number {
  return processAt(system.functionsPids()[0])?.cpuSeconds ?? Number.NaN;
}

function namedSizes(): readonly KeySize[] {
  const at = process.argv.indexOf('--keys');
  if (at < 0) return ALL_KEY_SIZES;
  const size = ALL_KEY_SIZES.find((each) => String(each) === process.argv[at + 1]);
  if (size === undefined) throw new Error(`--keys takes one of ${ALL_KEY_SIZES.join(', ')}.`);
  return [size];
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of waiting) await work(item);
    }),
  );
}
