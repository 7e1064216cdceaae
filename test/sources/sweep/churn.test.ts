/**
 * A sweep reads a directory that does not stand still: between any two pages users come, go, change their address and with it their
 * place in the list. The directory's page tokens are positions here, so that a page also repeats or skips whoever was pushed across
 * its edge. Each seed is a history of its own and is in the title of its test.
 */
import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chance } from '../../stories/chance.ts';
import { DAY_MS } from '../../support/fakes/world.ts';
import { type Company, openCompany } from './company.ts';

const PEOPLE = 250;
const SEEDS = Array.from({ length: 20 }, () => randomInt(2 ** 31));

/** Of all seeds: how the sweeps ended, and how many users they passed by who were there or among the deleted all the time. */
const counts = { whole: 0, notWhole: 0, unlisted: 0 };

/** Four letters that put a user anywhere in the list, whose order is that of the addresses. */
const anywhere = (draw: () => number) =>
  Array.from({ length: 4 }, () => String.fromCharCode(97 + Math.floor(draw() * 26))).join('');

async function history(seed: number) {
  const draw = chance(seed);
  const company = await openCompany('memory');
  const { directory, ledger } = company;
  const living = new Set<string>();
  const deleted = new Set<string>();
  let last = 0;
  const hire = () => {
    last += 1;
    const userId = String(last);
    directory.put({ userId, primaryEmail: `${anywhere(draw)}${userId}@acme.example` });
    living.add(userId);
    return userId;
  };
  const somebody = (of: ReadonlySet<string>) => [...of][Math.floor(draw() * of.size)] ?? '';
  /** One thing that an admin does; all of it at most eight times a page. */
  const change = () => {
    const what = draw();
    if (what < 0.3) hire();
    else if (what < 0.5) {
      const userId = somebody(living);
      directory.remove(userId);
      living.delete(userId);
      deleted.add(userId);
    } else if (what < 0.6 && deleted.size > 0) {
      const userId = somebody(deleted);
      directory.put({ userId });
      deleted.delete(userId);
      living.add(userId);
    } else {
      const userId = somebody(living);
      directory.put({ userId, primaryEmail: `${anywhere(draw)}${userId}@acme.example` });
    }
  };
  const churn = () => {
    company.clock.advance(1_000);
    if (draw() < 0.4) change();
  };
  const unquiet: Company['directory'] = {
    ...directory,
    livingPage: async (request) => {
      const page = await directory.livingPage(request);
      churn();
      return page;
    },
    deletedPage: async (request) => {
      const page = await directory.deletedPage(request);
      churn();
      return page;
    },
  };
  /** What a look does with each user it is told of, as far as the sweep's side of the ledger is concerned. */
  const look = async (hints: readonly string[]) => {
    for (const hint of hints) {
      const [userId = ''] = hint.split(' ');
      const { kind } = await directory.presence(userId);
      if (kind === 'present') await company.sight(userId);
      else if (kind === 'absent') throw new Error(`${userId} was never in the directory.`);
      // Who is gone before anybody looked has no row.
      else if ((await ledger.readUser(userId)).user !== undefined) await depart(userId);
    }
  };
  const depart = async (userId: string) => {
    const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
    if (lease === undefined) throw new Error(`${userId} is being worked on.`);
    await ledger.recordState(lease, { userId, state: 'out', reason: 'Deleted.', failures: 0, deleted: true });
    await ledger.releaseLease(lease);
  };
  for (let count = 0; count < PEOPLE; count += 1) await company.sight(hire());
  company.clock.advance(1_000);
  return { company, unquiet, living, deleted, look };
}

describe('a sweep while users are created, deleted, restored and renamed', () => {
  it.each(SEEDS)(
    'concludes of nobody who is there that they are absent, and the next one has what it missed (seed %i)',
    async (seed) => {
      const { company, unquiet, living, look } = await history(seed);
      const { ledger } = company;
      try {
        // Three sweeps over two days: the proof of an absence takes two whole ones, a day apart.
        for (let round = 0; round < 3; round += 1) {
          const hints = await company.sweep({ directory: unquiet });
          const { running, lastEnded } = await ledger.sweepOverview();
          expect(running).toBeUndefined();
          if (lastEnded?.state !== 'whole')
            expect(lastEnded?.why).toMatch(/are unaccounted for|are in no list of the directory/);
          counts.unlisted += hints.filter((hint) => hint.endsWith(' missing')).length;
          counts[lastEnded?.state === 'whole' ? 'whole' : 'notWhole'] += 1;
          await look(hints);
          for (const userId of living) {
            const { absence } = await ledger.readUser(userId);
            expect(absence, `${userId} is there`).toBeUndefined();
          }
          company.clock.advance(DAY_MS);
        }
        // And now everybody stands still.
        await look(await company.sweep());
        company.clock.advance(DAY_MS);
        expect(await company.sweep()).toEqual([]);
        expect((await ledger.sweepOverview()).lastEnded).toMatchObject({
          ...{ state: 'whole', living: living.size, differing: 0, missing: 0 },
        });
        for (const { user } of await ledger.users({ limit: 10_000 })) {
          if (user === undefined) continue;
          const there = company.directory.living(user.userId);
          expect([user.userId, user.state]).toEqual([user.userId, there === undefined ? 'out' : 'ready']);
          if (there !== undefined) expect(user.primaryEmail).toBe(there.primaryEmail);
        }
      } finally {
        await company.close();
      }
    },
  );

  it('has passed users by, or the above would prove nothing', () => {
    console.info(`seeds ${SEEDS.join(' ')}: ${JSON.stringify(counts)}`);
    expect(counts.unlisted).toBeGreaterThan(SEEDS.length);
    expect(counts.whole).toBeGreaterThan(SEEDS.length);
  });
});
