/** What a database does with the statements that the ledger gives it again and again. */
import { expect } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
/** So often PostgreSQL plans a statement with its parameters, before it asks itself whether that is worth its while. */
const PLANNED_ANEW = 5;

/** `database` has a single connection, because each keeps its own plans, and nobody read a user on it before. */
export const expectUserPlannedOnce = async (database: Database): Promise<void> => {
  const ledger = createLedger({ database, clock });
  for (let look = 1; look <= PLANNED_ANEW + 3; look += 1) await ledger.readUser(String(look));
  expect(
    await database.query(
      `SELECT generic_plans::int AS once, custom_plans::int AS anew FROM pg_prepared_statements
        WHERE statement LIKE '%AS "openWishes"%'`,
    ),
  ).toEqual([{ once: 3, anew: PLANNED_ANEW }]);
};
