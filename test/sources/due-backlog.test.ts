/** What becomes of a backlog: hints wait in Pub/Sub, and each is a look of its own, however many are for one user. */
import { beforeEach, describe, expect, it } from 'vitest';
import { requestRekey } from '../../functions/admin/rekey.ts';
import type { Hint } from '../../shared/domain/hint.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { hintDueUsers } from '../../shared/sources/hint-due-users.ts';
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

/** A look that finds everything in place; a hint more for the same user is a look more. */
async function look(hint: Hint): Promise<string> {
  const userId = 'userId' in hint ? hint.userId : '';
  const lease = await ledger.acquireLease(`user:${userId}`, MINUTE_MS);
  if (lease === undefined) throw new Error('The lease is not free.');
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
