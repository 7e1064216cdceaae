import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { LEDGER_USERS, type LedgerUser, roleOf } from '../../shared/adapters/ledger/ledger-users.ts';
import { deviceKeyContract } from '../contract/device-keys.ts';
import { guardContract } from '../contract/guard.ts';
import { importedKeyContract } from '../contract/imported-keys.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { ocspContract } from '../contract/ocsp.ts';
import { paceContract } from '../contract/paces.ts';
import { peopleContract } from '../contract/people.ts';
import { inSql } from '../contract/subject.ts';
import { trailContract } from '../contract/trail.ts';
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
  deviceKeyContract(openTestDatabase);
  importedKeyContract(openTestDatabase);
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
describe('the role of', () => {
  let database: Database;
  let calls: Awaited<ReturnType<typeof methodsCalled>>;
  beforeAll(async () => {
    database = await openTestDatabase();
    await database.transaction((queries) => queries.script(ONE_USER));
    const ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
    await useOtherMethods(ledger);
    calls = await methodsCalled(new Set(Object.keys(ledger)));
  });
  afterAll(() => database.close());

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
