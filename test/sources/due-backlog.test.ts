/** What becomes of a backlog: hints wait in Pub/Sub, and each is a look of its own, however many are for one user. */
import { beforeEach, describe, expect, it } from 'vitest';
import { requestRekey } from '../../functions/admin/rekey.ts';
import { resumeEverything } from '../../functions/admin/stop.ts';
import type { Hint } from '../../shared/domain/hint.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { hintDueUsers } from '../../shared/sources/hint-due-users.ts';
import { minutesLeft, releaseWave } from '../../shared/sources/sweep/waves.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { fakeDirectory } from '../support/fakes/directory.ts';
import { memoryDatabase } from '../support/fakes/ledger/ledger.ts';
import { keptLog } from '../support/fakes/log.ts';
import { MINUTE_MS, POLICY, START } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

const HINTS_PER_MINUTE = 400;
const CAUSE = { requestedBy: 'admin@acme.example', reason: 'superseded' } as const;

let clock: ReturnType<typeof manualClock>;
let ledger: Ledger;
let queue: Hint[];
let published: number[];
beforeEach(() => {
  clock = manualClock(START);
  ledger = memoryDatabase(() => clock.now().getTime()).open({ clock });
  queue = [];
  published = [];
});

const bus = {
  publishHints: async (hints: readonly Hint[]) => {
    queue.push(...hints);
    published.push(hints.length);
  },
};
const named = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    userId: String(100_000 + index),
    primaryEmail: `user-${index}@acme.example`,
  }));

const sight = (lease: Lease, userId: string) =>
  ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });

/** A look that finds everything in place; a hint more for the same user is a look more. */
async function look(hint: Hint): Promise<string> {
  const userId = 'userId' in hint ? hint.userId : '';
  const lease = await ledger.acquireLease(`user:${userId}`, MINUTE_MS);
  if (lease === undefined) throw new Error('The lease is not free.');
  if ((await ledger.readUser(userId)).user === undefined) await sight(lease, userId);
  await ledger.recordState(lease, { userId, state: 'ready', reason: 'Well.', failures: 0 });
  await ledger.releaseLease(lease);
  return userId;
}

/** Minute after minute `due` runs and so many looks are made, until nobody is due, or for so many minutes. */
async function live(looksPerMinute: number, minutes: number) {
  const lookedAt = new Set<string>();
  let looks = 0;
  let minute = 0;
  for (; minute < minutes; minute += 1) {
    await hintDueUsers({ ledger, bus, hintsPerMinute: HINTS_PER_MINUTE }, `due-${minute}`);
    for (const hint of queue.splice(0, looksPerMinute)) {
      lookedAt.add(await look(hint));
      looks += 1;
    }
    clock.advance(MINUTE_MS);
    const isOver = queue.length === 0 && (await ledger.backlog()).due === 0;
    if (isOver && (await ledger.users()).every(({ user }) => user?.nextActionAt === undefined)) break;
  }
  return { lookedAt: lookedAt.size, looks, minutes: minute + 1 };
}

describe('of three thousand who are due at once', () => {
  const USERS = 3_000;
  beforeEach(() => ledger.recordRekeyJob({ ...CAUSE, users: named(USERS) }));

  it.each([
    [100, 30],
    [200, 15],
    [400, 8],
    [800, 8],
  ])(
    'each is looked at, hardly anybody twice, where %d looks a minute are made: in %d minutes',
    async (looksPerMinute, minutes) => {
      const run = await live(looksPerMinute, 600);
      expect(run.lookedAt).toBe(USERS);
      expect(run.looks).toBeLessThanOrEqual(1.2 * USERS);
      expect(run.minutes).toBeLessThanOrEqual(minutes + 2);
      expect(Math.max(...published)).toBeLessThanOrEqual(HINTS_PER_MINUTE);
    },
  );

  it('no more than a minute’s worth of hints goes out in ten minutes while no look is made', async () => {
    await live(0, 60);
    expect(queue).toHaveLength(6 * HINTS_PER_MINUTE);
  });
});

describe('of a thousand whose looks a bad deployment breaks for an hour', () => {
  it('no more than a minute’s worth of messages fails in ten minutes, and all are looked at when it is mended', async () => {
    await ledger.recordRekeyJob({ ...CAUSE, users: named(1_000) });
    let failed = 0;
    for (let minute = 0; minute < 60; minute += 1) {
      await hintDueUsers({ ledger, bus, hintsPerMinute: HINTS_PER_MINUTE }, `due-${minute}`);
      failed += queue.splice(0).length;
      clock.advance(MINUTE_MS);
    }
    expect(failed).toBe(6 * HINTS_PER_MINUTE);
    expect(await live(800, 60)).toMatchObject({ lookedAt: 1_000, looks: 1_000 });
  });
});

describe('of a re-key of three thousand', () => {
  const USERS = 3_000;
  const directory = fakeDirectory(manualClock(START));
  const ask = (users: number) => {
    for (const user of named(users)) directory.put(user);
    return requestRekey(
      {
        ...{ clock, directory, ledger, bus, log: keptLog() },
        ...{ policies: inForce(POLICY), hintsPerMinute: HINTS_PER_MINUTE },
      },
      CAUSE.requestedBy,
      { all: true, reason: 'superseded', confirmUsers: users },
    );
  };

  it('one of a few is hinted at once, whole', async () => {
    expect(await ask(20)).toMatchObject({ status: 202 });
    expect(queue).toHaveLength(20);
  });

  it.each([100, 200, 400, 800])(
    'hardly anybody is looked at twice where %d looks a minute are made',
    async (looksPerMinute) => {
      expect(await ask(USERS)).toMatchObject({ status: 202 });
      expect(published).toEqual([HINTS_PER_MINUTE]);
      const run = await live(looksPerMinute, 600);
      expect(run.lookedAt).toBe(USERS);
      expect(run.looks).toBeLessThanOrEqual(1.2 * USERS);
    },
  );
});

describe('of a thousand who waited for the end of a stop', () => {
  it('each is hinted at once, no faster than anybody else', async () => {
    await ledger.recordStop({ by: CAUSE.requestedBy, reason: 'A drill.' });
    for (const { userId } of named(1_000)) {
      const lease = await ledger.acquireLease(`user:${userId}`, MINUTE_MS);
      if (lease === undefined) throw new Error('The lease is not free.');
      await sight(lease, userId);
      await ledger.recordState(lease, {
        ...{ userId, state: 'pending', reason: 'Everything is stopped.', failures: 0 },
        ...{
          nextAction: 'wait-for-resume',
          nextActionAt: new Date(clock.now().getTime() + 6 * 60 * MINUTE_MS),
        },
      });
      await ledger.releaseLease(lease);
    }
    const deps = { ledger, log: keptLog(), hintsPerMinute: HINTS_PER_MINUTE };
    expect(await resumeEverything(deps, CAUSE.requestedBy)).toMatchObject({ body: { woken: 1_000 } });
    clock.advance(MINUTE_MS);
    expect(await ledger.dueBy(clock.now())).toBeLessThanOrEqual(HINTS_PER_MINUTE + 1);
    expect(await live(800, 60)).toMatchObject({ lookedAt: 1_000, looks: 1_000 });
    expect(Math.max(...published)).toBeLessThanOrEqual(HINTS_PER_MINUTE);
  });
});

describe('how long a rollout will take, as it is said at its beginning,', () => {
  /** Minute after minute until the last of the rollout was let out. */
  async function untilAllAreOut(): Promise<number> {
    const lease = await ledger.acquireLease(SWEEP_SUBJECT, 24 * 60 * MINUTE_MS);
    if (lease === undefined) throw new Error('The lease is not free.');
    const deps = { clock, ledger, bus, hintsPerMinute: HINTS_PER_MINUTE };
    for (let minutes = 0; ; minutes += 1) {
      if ((await ledger.rolloutOverview()).waiting === 0) return minutes;
      await hintDueUsers(deps, `due-${minutes}`);
      await releaseWave(deps, lease);
      for (const hint of queue.splice(0)) await look(hint);
      clock.advance(MINUTE_MS);
    }
  }
  const rollOut = async (users: number) => {
    const lease = await ledger.acquireLease(SWEEP_SUBJECT, MINUTE_MS);
    if (lease === undefined) throw new Error('The lease is not free.');
    const ids = Array.from({ length: users }, (_, index) => `new-${index}`);
    await ledger.queueHints(
      lease,
      ids.map((userId) => ({ userId, kind: 'came-into-scope', sweepId: 1n })),
    );
    await ledger.releaseLease(lease);
  };

  it.each([
    ['where nobody is due', 0, 0],
    ['where three thousand are due already', 3_000, 0],
    ['where three thousand become due, half as many a minute as may go out', 3_000, 300],
    ['where three thousand become due at the whole pace', 3_000, 150],
  ])('is right to two minutes %s', async (_, due, paceMs) => {
    await rollOut(4_000);
    if (due > 0) await ledger.recordRekeyJob({ ...CAUSE, users: named(due), paceMs });
    const told = await minutesLeft(
      { clock, ledger, hintsPerMinute: HINTS_PER_MINUTE },
      await ledger.rolloutOverview(),
    );
    const took = await untilAllAreOut();
    expect(Math.abs((told ?? 0) - took), `told ${told}, took ${took}`).toBeLessThanOrEqual(2);
    expect(took).toBeGreaterThanOrEqual(4_000 / HINTS_PER_MINUTE);
  });
});
