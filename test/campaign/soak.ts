/**
 * A steady stream of changes with faults, for as long as one likes: `node test/campaign/soak.ts --minutes 10`. Afterwards
 * nobody may be stuck, and the functions' process may not have grown: what its heap holds after a forced collection, every
 * quarter of a minute, may be no more in the last third than in the middle one but for 5 %. The ledger is on a private
 * PostgreSQL where this machine has one, as in production; an embedded one would grow with its rows inside that process.
 *
 * One event in ten is lost, on either way, so that at the end somebody's last change may be known to the Reports API alone: the
 * emulator's clock then passes the time that reading it may take.
 *
 * Prints a line a quarter of a minute and a summary, which says at which rate the machine was able to make changes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { findPrograms, startCluster } from '../postgres/cluster.ts';
import { chance } from '../stories/chance.ts';
import { addressOf, beginStory, eventually, type Story } from '../stories/story.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    rate: { type: 'string', default: '20' },
    users: { type: 'string', default: '25' },
    seed: { type: 'string', default: '1' },
  },
});
const minutes = Number(values.minutes);
const rate = Number(values.rate);
const random = chance(Number(values.seed));
const names = Array.from({ length: Number(values.users) }, (_, index) => `soak${index + 1}`);

/** One in ten calls of each kind fails, in the ways that Google's do; one in ten events is lost, doubled or late. */
const FAULTS = {
  seed: Number(values.seed),
  events: { drop: 0.1, duplicate: 0.1, reorder: 0.1 },
  calls: [
    { method: 'directory.users.get', probability: 0.05, status: 503 },
    {
      method: 'directory.users.get',
      probability: 0.05,
      status: 403,
      reason: 'userRateLimitExceeded',
      retryAfterSeconds: 1,
    },
    { method: 'gmail.users.settings.cse.*', probability: 0.1, status: 503 },
    { method: 'kacls.wrapprivatekey', probability: 0.1, status: 503 },
    { method: 'functions.sign', probability: 0.1, cut: 'after' },
  ],
};

/** Where the functions' process writes what is left after a collection (heap-reporter.ts). */
const folder = mkdtempSync(join(tmpdir(), 'sealwright-soak-'));
const heapFile = join(folder, 'heap.jsonl');
process.env.SEALWRIGHT_HEAP_REPORT = heapFile;
const reporter = pathToFileURL(join(import.meta.dirname, 'heap-reporter.ts')).href;
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import ${reporter}`;

interface Memory {
  /** After a collection. */
  readonly heapMb: number;
  readonly outsideMb: number;
  readonly residentMb: number;
}

const reports = (): readonly string[] => {
  try {
    return readFileSync(heapFile, 'utf8').trim().split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};

async function memoryOf(pid: number): Promise<Memory> {
  const before = reports().length;
  process.kill(pid, 'SIGUSR2');
  return await eventually('a report of the heap', async () => {
    const lines = reports();
    const last = lines.at(-1);
    if (lines.length === before || last === undefined) return undefined;
    const { heapUsed, external, rss } = JSON.parse(last) as Record<string, number>;
    const mb = (bytes: number | undefined) => Number(((bytes ?? Number.NaN) / 2 ** 20).toFixed(1));
    return { heapMb: mb(heapUsed), outsideMb: mb(external), residentMb: mb(rss) };
  });
}

async function soak(story: Story): Promise<boolean> {
  const { company, system } = story;
  for (const name of names) await company.hire(name);
  await eventually(
    'everybody ready before the soak',
    async () => ((await notReady(story)).length === 0 ? true : undefined),
    300_000,
  );
  const [pid] = system.functionsPids();
  await company.faults(FAULTS);
  const startMs = performance.now();
  const endMs = startMs + minutes * 60_000;
  const memory: Memory[] = [];
  let measuring: Promise<void> = Promise.resolve();
  let events = 0;
  let failed = 0;
  let reportMs = startMs;
  const underWay = new Set<Promise<void>>();
  while (performance.now() < endMs) {
    const name = names[Math.floor(random() * names.length)] ?? '';
    const change: Promise<void> = company
      .update(addressOf(name), { archived: false, suspended: random() < 0.02 })
      .catch(() => {
        failed += 1;
      })
      .finally(() => underWay.delete(change));
    underWay.add(change);
    events += 1;
    if (performance.now() >= reportMs) {
      const [atSeconds, changes] = [Math.round((performance.now() - startMs) / 1000), events];
      // Beside the changes, which go on meanwhile.
      measuring = measuring.then(async () => {
        const found = await memoryOf(pid);
        memory.push(found);
        process.stdout.write(`${atSeconds} s: ${changes} changes, ${JSON.stringify(found)}\n`);
      });
      reportMs += 15_000;
    }
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, startMs + (events * 1000) / rate - performance.now())),
    );
  }
  await Promise.all([...underWay, measuring]);
  const seconds = (performance.now() - startMs) / 1000;
  await again(() => company.faults({}));
  for (const name of names) await again(() => company.update(addressOf(name), { suspended: false }));
  const settleMs = performance.now();
  // One change in a hundred was lost on both ways. It is found where the Reports API is read, ten minutes later at the latest, which
  // has its entries after ten minutes.
  await again(() => company.jump('25m'));
  await eventually(
    'everybody ready after the soak',
    async () => ((await notReady(story)).length === 0 ? true : undefined),
    300_000,
  ).catch(() => undefined);
  const stuck = await notReady(story);
  const third = Math.ceil(memory.length / 3);
  const [early = Number.NaN, late = Number.NaN] = [memory.slice(third, 2 * third), memory.slice(-third)].map(
    (part) => Math.max(...part.map(({ heapMb, outsideMb }) => heapMb + outsideMb)),
  );
  const restarted = system.functionsPids()[0] !== pid;
  process.stdout.write(
    `${JSON.stringify({
      seconds: Math.round(seconds),
      changes: events,
      askedPerSecond: rate,
      changesPerSecond: Number((events / seconds).toFixed(1)),
      refusedByTheDirectory: failed,
      settledInSeconds: Math.round((performance.now() - settleMs) / 1000),
      stuck,
      restarted,
      heldAfterCollectionMb: { middleThird: early, lastThird: late },
      residentMb: memory.at(-1)?.residentMb,
    })}\n`,
  );
  return stuck.length === 0 && !restarted && late <= early * 1.05;
}

/** On a busy machine a kept connection may be given up by one end while the other sends; both ends are in this process. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!/fetch failed|ECONNRESET|socket hang up/.test(String(error))) throw error;
    return await work();
  }
}

async function notReady({ company }: Story): Promise<readonly string[]> {
  const standings = await Promise.all(
    names.map(async (name) => `${name} ${await again(() => company.standing(addressOf(name)))}`),
  );
  return standings.filter((standing) => !standing.includes(' ready:'));
}

const programs = findPrograms();
const cluster = programs === undefined ? undefined : startCluster(programs);
const story = await beginStory(cluster === undefined ? {} : { databaseUrl: cluster.connectionString });
try {
  process.exitCode = (await soak(story)) ? 0 : 1;
} finally {
  await story.end();
  cluster?.remove();
  rmSync(folder, { recursive: true });
}
