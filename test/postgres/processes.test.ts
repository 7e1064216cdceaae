import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate, readMigrations } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { makePlace, type Place } from './place.ts';

const program = fileURLToPath(new URL('./worker.ts', import.meta.url));
const clock = { now: () => new Date('2027-03-01T09:00:00Z') };

type Line = Readonly<Record<string, unknown>>;

describe('several processes on one PostgreSQL', () => {
  let place: Place;
  let database: Database;
  let ledger: Ledger;
  let children: ChildProcessByStdio<null, Readable, null>[];

  beforeEach(async () => {
    place = await makePlace();
    database = openPostgres({ connectionString: place.connectionString });
    ledger = createLedger({ database, clock });
    children = [];
  });
  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await database.close();
    await place.remove();
  });

  const start = (role: string, ...parameters: readonly string[]) => {
    const child = spawn(process.execPath, [program, role, place.connectionString, ...parameters], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      child,
      next: async (): Promise<Line> => {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`the process ${role} ended before it said anything more`);
        return JSON.parse(value);
      },
      rest: async (): Promise<readonly Line[]> => {
        const said: Line[] = [];
        for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
          said.push(JSON.parse(line.value));
        }
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        expect(child.exitCode).toBe(0);
        return said;
      },
    };
  };

  const takeOnceFree = async (subject: string): Promise<Lease> => {
    for (;;) {
      const lease = await ledger.acquireLease(subject, 60_000);
      if (lease !== undefined) return lease;
      await sleep(50);
    }
  };

  const seen = async (userId: string) => {
    const lease = await takeOnceFree(`user:${userId}`);
    await ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });
    // A first look that came to its end; before that the user is due by themselves.
    await ledger.recordState(lease, { userId, state: 'ready', reason: 'All in place.', failures: 0 });
    await ledger.releaseLease(lease);
    return lease.fence;
  };

  it('spend one quota together: both get on, and the limit holds for the two of them', async () => {
    await migrate(database);
    const unitsPerMinute = 6_000;
    const durationMs = 6_000;
    const startMs = Date.now() + 1_500;
    const processes = [1, 2].map(() =>
      start('spend', String(unitsPerMinute), String(startMs), String(durationMs)),
    );
    const [one = [], other = []] = (await Promise.all(processes.map((process) => process.rest()))).map(
      ([line]) => (line?.['calls'] ?? []) as number[],
    );
    const all = [...one, ...other].toSorted((left, right) => left - right);
    // A twentieth at once, the rest spread over a minute and two seconds; what is booked is good for two seconds.
    const burst = unitsPerMinute / 20;
    const perSecond = (unitsPerMinute - burst) / 62;
    for (const from of all) {
      const second = all.filter((at) => at >= from && at < from + 1_000).length;
      expect(second).toBeLessThanOrEqual(burst + 3 * perSecond);
    }
    const seconds = ((all.at(-1) ?? 0) - (all[0] ?? 0)) / 1_000;
    expect(all.length).toBeLessThanOrEqual(burst + perSecond * (seconds + 2));
    expect(all.length, 'and the quota is used').toBeGreaterThan(0.7 * perSecond * seconds);
    for (const own of [one, other]) expect(own.length).toBeGreaterThan(all.length / 5);
  });

  it('work on each user one at a time, lose no fence, and look again after the last one who asked', async () => {
    await migrate(database);
    const userIds = Array.from({ length: 40 }, (_, index) => String(index + 1));
    for (const userId of userIds) await seen(userId);

    const startMs = String(Date.now() + 1500);
    const processes = ['a', 'b'].map((name) => start('contend', name, startMs, ...userIds));
    const looks = (await Promise.all(processes.map((process) => process.rest()))).flat();

    for (const userId of userIds) {
      const own = looks.filter((look) => look.userId === userId);
      const { user } = await ledger.readUser(userId);
      expect(own.length, 'every look was made').toBeGreaterThan(0);
      expect(user?.failures, 'no count was lost, so no two looked at once').toBe(own.length);

      const fences = [...new Set(own.map((look) => Number(look.fence)))].sort((one, other) => one - other);
      expect(fences, 'each lease had the next fence').toEqual(fences.map((_, index) => index + 2));
      const lease = await takeOnceFree(`user:${userId}`);
      expect(lease.fence).toBe(BigInt(fences.length + 2));

      const asked = (await ledger.auditTrail({ userId, limit: 10_000 })).at(-1)?.id;
      const sawLast = own
        .map((look) => BigInt(String(look.saw)))
        .reduce((one, other) => (other > one ? other : one));
      expect(sawLast, 'the last request was seen by a look that began after it').toBe(asked);
    }
    expect(await ledger.dueUsers(10)).toEqual([]);
  });

  it('take over from one that was killed, once its lease has expired, and are told whose user that was', async () => {
    await migrate(database);
    const before = await seen('1');
    const holder = start('hold', '1', '3000');
    expect(await holder.next()).toEqual({ fence: String(before + 1n) });
    holder.child.kill('SIGKILL');
    await once(holder.child, 'exit');

    expect(await ledger.acquireLease('user:1', 60_000), 'dead, but not expired').toBeUndefined();
    for (;;) {
      const due = await ledger.dueUsers(10);
      if (due.length > 0) {
        expect(due).toMatchObject([{ userId: '1', nextAction: 'look-again' }]);
        break;
      }
      await sleep(50);
    }
    const lease = await takeOnceFree('user:1');
    expect(lease.fence).toBe(before + 2n);
    expect((await ledger.readUser('1')).user?.primaryEmail).toBe('held@acme.example');
    expect(await ledger.dueUsers(10)).toEqual([]);
  });

  it('find nothing half-written of one that was killed in the middle of a write', async () => {
    await migrate(database);
    const before = await seen('1');
    const reason = (await ledger.readUser('1')).user?.reason;
    const holder = start('hold-in-transaction', '1', '1000');
    await holder.next();
    holder.child.kill('SIGKILL');
    await once(holder.child, 'exit');

    const lease = await takeOnceFree('user:1');
    expect(lease.fence).toBe(before + 2n);
    expect((await ledger.readUser('1')).user?.reason).toBe(reason);
  });

  it('refuse the write of one that was stopped, overtaken and continued', async () => {
    await migrate(database);
    await seen('1');
    const holder = start('pause', '1', '1000');
    await holder.next();
    holder.child.kill('SIGSTOP');
    const lease = await takeOnceFree('user:1');
    await ledger.recordState(lease, {
      userId: '1',
      state: 'ready',
      reason: 'Done by the other.',
      failures: 0,
    });
    holder.child.kill('SIGUSR2');
    holder.child.kill('SIGCONT');
    expect(await holder.next()).toEqual({ wrote: false, code: 'lease-lost' });
    expect((await ledger.readUser('1')).user).toMatchObject({
      primaryEmail: '1@acme.example',
      reason: 'Done by the other.',
    });
  });

  it('that migrate at once apply each migration once', async () => {
    const processes = [1, 2, 3].map(() => start('migrate'));
    for (const process of processes) expect(await process.next()).toEqual({ ready: true });
    for (const { child } of processes) child.kill('SIGUSR2');
    const said = (await Promise.all(processes.map((process) => process.rest()))).flat();
    const applied = said.flatMap((line) => (Array.isArray(line.applied) ? line.applied : []));
    expect(applied).toEqual(readMigrations().map((migration) => migration.number));
    expect(await database.query('SELECT number FROM migrations ORDER BY number')).toHaveLength(
      applied.length,
    );
  });
});
