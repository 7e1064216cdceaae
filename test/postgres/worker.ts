/**
 * A process that shares a ledger with others; `processes.test.ts` starts several. Speaks JSON lines: prints what
 * happened, reads nothing. `node worker.ts ROLE CONNECTION-STRING …`
 *
 * - `contend PROCESS START-MS USER…`: from that instant on asks for one user after the other and, when it gets the lease, adds one to a
 *   number in the user's row by reading it and, a little later, writing it back; nothing but the lease makes that safe.
 * - `hold USER DURATION-MS`: takes the lease, writes once under it, says so, and hangs.
 * - `hold-in-transaction USER DURATION-MS`: the same, hanging in the middle of a write.
 * - `pause USER DURATION-MS`: takes the lease, says so, and on SIGUSR2 tries to write under it and says what came of it.
 * - `migrate`: connects, says so, and on SIGUSR2 migrates and says which migrations it applied.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { googlePace } from '../../shared/adapters/google/pace.ts';
import { underLease } from '../../shared/adapters/ledger/leases.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';

const [role = '', connectionString = '', ...rest] = process.argv.slice(2);
const database = openPostgres({ connectionString });
const clock = { now: () => new Date() };

const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** Resolves on SIGUSR2; keeps the process alive until then. */
const woken = (): Promise<void> =>
  new Promise((resolve) => {
    const alive = setInterval(() => undefined, 60_000);
    process.once('SIGUSR2', () => {
      clearInterval(alive);
      resolve();
    });
  });

const takeOrFail = async (ledger: Ledger, userId: string, durationMs: number): Promise<Lease> => {
  const lease = await ledger.acquireLease(`user:${userId}`, durationMs);
  if (lease === undefined) throw new Error(`user:${userId} is held`);
  return lease;
};

/** Read, wait, write: loses a count if anybody else does the same meanwhile. */
const countUp = async (ledger: Ledger, lease: Lease, userId: string): Promise<void> => {
  const { user } = await ledger.readUser(userId);
  const before = user?.failures ?? 0;
  await sleep(Math.random() * 4);
  await ledger.recordState(lease, { userId, state: 'pending', reason: 'Counted.', failures: before + 1 });
};

const contend = async (process: string, startMs: number, userIds: readonly string[]): Promise<void> => {
  const ledger = createLedger({ database, clock });
  const work = async () => {
    for (const [index, userId] of userIds.entries()) {
      // All ask for the same user within a few milliseconds, which is about as long as one look takes.
      await sleep(Math.max(0, startMs + 50 * index + 15 * Math.random() - Date.now()));
      // What the hint is about is committed before the hint is: here, one more line of the audit trail.
      await ledger.audit({
        userId,
        cause: { source: 'due', eventId: `${process}`, event: 'ask' },
        step: 'asked',
        reason: 'For the test.',
        outcome: 'done',
      });
      const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
      if (lease === undefined) continue;
      let looks = 0;
      do {
        const [last] = await database.query<{ asked: bigint }>(
          `SELECT coalesce(max(id), 0) AS asked FROM audit WHERE user_id = $1 AND step = 'asked'`,
          [userId],
        );
        await countUp(ledger, lease, userId);
        looks += 1;
        say({ userId, fence: String(lease.fence), saw: String(last?.asked) });
      } while ((await ledger.releaseLease(lease)) !== 'released' && looks < 1000);
    }
  };
  // Several pieces of work in one process must exclude each other as well.
  await Promise.all([work(), work(), work()]);
};

const roles: Record<string, () => Promise<void>> = {
  contend: async () => {
    const [name = '', startMs = '0', ...userIds] = rest;
    await contend(name, Number(startMs), userIds);
  },

  hold: async () => {
    const [userId = '', durationMs = '0'] = rest;
    const ledger = createLedger({ database, clock });
    const lease = await takeOrFail(ledger, userId, Number(durationMs));
    await ledger.recordSighting(lease, { userId, primaryEmail: 'held@acme.example', aliases: [] });
    say({ fence: String(lease.fence) });
    await sleep(600_000);
  },

  'hold-in-transaction': async () => {
    const [userId = '', durationMs = '0'] = rest;
    const ledger = createLedger({ database, clock });
    const lease = await takeOrFail(ledger, userId, Number(durationMs));
    await underLease(database, lease, lease.subject, async (queries) => {
      await queries.query(`UPDATE users SET reason = 'half-way' WHERE user_id = $1`, [userId]);
      say({ fence: String(lease.fence) });
      await sleep(600_000);
    });
  },

  pause: async () => {
    const [userId = '', durationMs = '0'] = rest;
    const ledger = createLedger({ database, clock });
    const lease = await takeOrFail(ledger, userId, Number(durationMs));
    const go = woken();
    say({ fence: String(lease.fence) });
    await go;
    try {
      await ledger.recordSighting(lease, { userId, primaryEmail: 'too-late@acme.example', aliases: [] });
      say({ wrote: true });
    } catch (error) {
      say({ wrote: false, code: isSealwrightError(error) ? error.code : String(error) });
    }
  },

  spend: async () => {
    const [unitsPerMinute = '0', startMs = '0', durationMs = '0'] = rest;
    const pace = googlePace({
      ledger: createLedger({ database, clock }),
      pace: 'shared',
      unitsPerMinute: Number(unitsPerMinute),
      unitsPerBooking: 4,
      code: 'directory-unavailable',
      sleep: async (ms) => void (await sleep(ms)),
      elapsedMs: () => performance.now(),
    });
    await sleep(Math.max(0, Number(startMs) - Date.now()));
    const calls: number[] = [];
    const spender = async () => {
      while (Date.now() < Number(startMs) + Number(durationMs)) {
        await pace.take(1);
        calls.push(Date.now());
      }
    };
    await Promise.all(Array.from({ length: 10 }, spender));
    say({ calls });
  },

  migrate: async () => {
    await database.query('SELECT 1');
    const go = woken();
    say({ ready: true });
    await go;
    say({ applied: await migrate(database) });
  },
};

const run = roles[role];
if (run === undefined) throw new Error(`no role ${role}`);
await run();
await database.close();
