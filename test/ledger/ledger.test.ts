import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { LEDGER_USERS, type LedgerUser, roleOf } from '../../shared/adapters/ledger/ledger-users.ts';
import { deviceKeyContract } from '../contract/device-keys.ts';
import { erasureContract } from '../contract/erasures.ts';
import { guardContract } from '../contract/guard.ts';
import { importedKeyContract } from '../contract/imported-keys.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { ocspContract } from '../contract/ocsp.ts';
import { paceContract } from '../contract/paces.ts';
import { peopleContract } from '../contract/people.ts';
import { inSql } from '../contract/subject.ts';
import { sweptTableContract } from '../contract/swept-table.ts';
import { trailContract } from '../contract/trail.ts';
import { changesSomething } from '../crash/effects.ts';
import { openTestDatabase } from '../support/ledger.ts';
import { methodsCalled } from '../support/methods-called.ts';
import { ONE_USER } from '../support/one-user.ts';
import { useOtherMethods } from '../support/other-methods.ts';
import { STATEMENTS } from '../support/statements.ts';

vi.mock('../../shared/adapters/ledger/ledger.ts', async (original) => {
  const real = await original<typeof import('../../shared/adapters/ledger/ledger.ts')>();
  const { notingLedger } = await import('../support/statements.ts');
  return { ...real, createLedger: notingLedger(real.createLedger) };
});

describe('the ledger, on PGlite:', () => {
  ledgerContract(inSql(openTestDatabase));
  sweptTableContract(inSql(openTestDatabase));
  deviceKeyContract(openTestDatabase);
  importedKeyContract(openTestDatabase);
  erasureContract(openTestDatabase);
  ocspContract(openTestDatabase);
  peopleContract(openTestDatabase);
  trailContract(openTestDatabase);
});

describe('the memory of the guard, on PGlite,', () => {
  guardContract(inSql(openTestDatabase));
});

describe('a quota that instances share, on PGlite,', () => {
  paceContract(openTestDatabase);
});

/** After all that: every statement is known by the method that sends it. */
let database: Database;
let methods: ReadonlySet<string>;
beforeAll(async () => {
  database = await openTestDatabase();
  await database.transaction((queries) => queries.script(ONE_USER));
  const ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
  methods = new Set(Object.keys(ledger));
});
afterAll(() => database.close());

describe('the role of', () => {
  let calls: Awaited<ReturnType<typeof methodsCalled>>;
  beforeAll(async () => {
    await useOtherMethods(createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } }));
    calls = await methodsCalled(methods);
  });

  /** PostgreSQL checks rights when it explains, and explains a statement whose values it does not know. */
  const refusals = (user: LedgerUser, sqls: ReadonlySet<string>): Promise<readonly string[]> =>
    database.transaction(async (queries) => {
      await queries.query(`SET LOCAL ROLE ${roleOf(user)}`);
      const refused: string[] = [];
      for (const sql of sqls) {
        if (!/^\s*\(?(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/.test(sql)) continue;
        await queries.query('SAVEPOINT before');
        try {
          await queries.script(`EXPLAIN (GENERIC_PLAN) ${sql}`);
        } catch (error) {
          refused.push(`${error instanceof Error ? error.message : String(error)}: ${sql}`);
        }
        await queries.query('ROLLBACK TO SAVEPOINT before');
      }
      return refused;
    });

  it.each(LEDGER_USERS)('%s lacks no right that a method it calls needs', async (user) => {
    const called = calls.get(user) ?? new Set();
    expect(called.size).toBeGreaterThan(0);
    for (const method of called)
      expect(await refusals(user, STATEMENTS.get(method) ?? new Set()), method).toEqual([]);
  });

  it('is tried on every method that a function calls', () => {
    const all = new Set([...calls.values()].flatMap((called) => [...called]));
    expect([...all].filter((method) => !STATEMENTS.has(method)).toSorted()).toEqual([]);
  });
});

/** Of those the crash campaign takes for reads, whose answers nobody loses anything by. */
describe('a method that the crash campaign takes for a read', () => {
  /** Leases run out by themselves; closing is the process's own. */
  const READ_ONLY = 'SQLSTATE 25006';
  const OTHERWISE = ['acquireLease', 'renewLease', 'renewHeedingStop', 'releaseLease', 'close'];
  const isRead = (method: string) =>
    !changesSomething({ port: 'ledger', method }) && !OTHERWISE.includes(method);

  /**
   * PostgreSQL begins each statement, with values it does not know, in a transaction that may only read; answers what it says against it.
   * A lock such as reading takes cannot be prepared.
   */
  const objections = (sqls: ReadonlySet<string>): Promise<readonly string[]> =>
    database.transaction(async (queries) => {
      await queries.query('SET TRANSACTION READ ONLY');
      const said: string[] = [];
      for (const sql of sqls) {
        if (sql.startsWith('SET ')) continue;
        const values = Math.max(0, ...[...sql.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
        const nothing = values === 0 ? '' : `(${Array(values).fill('NULL').join(', ')})`;
        await queries.query('SAVEPOINT before');
        try {
          await queries.script(
            sql.endsWith('IN ACCESS SHARE MODE') ? sql : `PREPARE tried AS ${sql}; EXECUTE tried${nothing}`,
          );
        } catch (error) {
          said.push(`${error instanceof Error ? error.message : String(error)}: ${sql}`);
        }
        await queries.query('ROLLBACK TO SAVEPOINT before');
        await queries.query('DEALLOCATE ALL');
      }
      return said;
    });

  it('sends nothing that PostgreSQL refuses where nothing may be written', async () => {
    const reads = [...methods].filter(isRead);
    expect(reads.length).toBeGreaterThan(60);
    const said: string[] = [];
    for (const method of reads)
      for (const objection of await objections(STATEMENTS.get(method) ?? new Set()))
        said.push(`${method}: ${objection}`);
    expect(said).toEqual([]);
  });

  it('was tried, every one of them', () => {
    expect([...methods].filter((method) => isRead(method) && !STATEMENTS.has(method)).toSorted()).toEqual([]);
  });

  it('would be found if it wrote a row, drew a number or kept one for itself', async () => {
    for (const method of ['recordState', 'recordPolicyActivation', 'recordSighting'])
      expect((await objections(STATEMENTS.get(method) ?? new Set())).join(), method).toContain(READ_ONLY);
    for (const sql of [
      "SELECT nextval('sightings')",
      'SELECT user_id FROM users WHERE user_id = $1 FOR UPDATE',
    ])
      expect(await objections(new Set([sql])), sql).toEqual([expect.stringContaining(READ_ONLY)]);
  });
});
