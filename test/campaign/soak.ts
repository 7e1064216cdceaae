/**
 * A steady stream of changes with faults, for as long as one likes: `node test/campaign/soak.ts --minutes 10`. Afterwards
 * nobody may be stuck, and the functions' process may not have grown. Prints one line a quarter of a minute and a summary.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
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

const residentMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);

async function soak(story: Story): Promise<boolean> {
  const { company, system } = story;
  for (const name of names) await company.hire(name);
  await eventually(
    'everybody ready before the soak',
    async () => ((await notReady(story)).length === 0 ? true : undefined),
    300_000,
  );
  const pid = system.functionsPid();
  await company.faults(FAULTS);
  const startMs = performance.now();
  const endMs = startMs + minutes * 60_000;
  const memory: number[] = [];
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
      memory.push(residentMb(pid));
      process.stdout.write(
        `${Math.round((performance.now() - startMs) / 1000)} s: ${events} changes, ${memory.at(-1)} MB\n`,
      );
      reportMs += 15_000;
    }
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, startMs + (events * 1000) / rate - performance.now())),
    );
  }
  await Promise.all(underWay);
  const seconds = (performance.now() - startMs) / 1000;
  await company.faults({});
  for (const name of names) await company.update(addressOf(name), { suspended: false });
  const settleMs = performance.now();
  await eventually(
    'everybody ready after the soak',
    async () => ((await notReady(story)).length === 0 ? true : undefined),
    300_000,
  ).catch(() => undefined);
  const stuck = await notReady(story);
  const third = Math.ceil(memory.length / 3);
  const [early, late] = [memory.slice(third, 2 * third), memory.slice(-third)].map((part) =>
    Math.max(...part),
  );
  const restarted = system.functionsPid() !== pid;
  process.stdout.write(
    `${JSON.stringify({
      seconds: Math.round(seconds),
      changes: events,
      changesPerSecond: Number((events / seconds).toFixed(1)),
      refusedByTheDirectory: failed,
      settledInSeconds: Math.round((performance.now() - settleMs) / 1000),
      stuck,
      restarted,
      memoryMb: { middleThird: early, lastThird: late },
    })}\n`,
  );
  return stuck.length === 0 && !restarted && (late ?? 0) <= (early ?? 0) * 1.15;
}

async function notReady({ company }: Story): Promise<readonly string[]> {
  const standings = await Promise.all(
    names.map(async (name) => `${name} ${await company.standing(addressOf(name))}`),
  );
  return standings.filter((standing) => !standing.includes(' ready:'));
}

const story = await beginStory();
try {
  process.exitCode = (await soak(story)) ? 0 : 1;
} finally {
  await story.end();
}
