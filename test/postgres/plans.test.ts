import { describe, it } from 'vitest';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { expectUserPlannedOnce } from '../contract/plans.ts';
import { makePlace } from './place.ts';

describe('what the ledger asks PostgreSQL for again and again', () => {
  it('is planned once: everything about a user, at each look', async () => {
    const place = await makePlace();
    const database = openPostgres({ connectionString: place.connectionString, maxConnections: 1 });
    try {
      await migrate(database);
      await expectUserPlannedOnce(database);
    } finally {
      await database.close();
      await place.remove();
    }
  });
});
