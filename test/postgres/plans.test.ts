import { describe, expect, it } from 'vitest';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { makePlace } from './place.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
/** So often PostgreSQL plans a statement with its parameters, before it asks itself whether that is worth its while. */
const PLANNED_ANEW = 5;

describe('what the ledger asks for again and again', () => {
  it('is planned once: everything about a user, at each look', async () => {
    const place = await makePlace();
    // One connection, because each keeps its own plans.
    const database = openPostgres({ connectionString: place.connectionString, maxConnections: 1 });
    try {
      await migrate(database);
      const ledger = createLedger({ database, clock });
      for (let look = 1; look <= PLANNED_ANEW + 3; look += 1) await ledger.readUser(String(look));
      expect(
        await database.query(
          `SELECT generic_plans::int AS once, custom_plans::int AS anew FROM pg_prepared_statements
            WHERE statement LIKE '%AS "openWishes"%'`,
        ),
      ).toEqual([{ once: 3, anew: PLANNED_ANEW }]);
    } finally {
      await database.close();
      await place.remove();
    }
  });
});
