/** What an admin's command does to a ledger that exists: brings it to this code's schema, as the owner of its tables. */
import { grantRights } from './grants.ts';
import { migrate, SCHEMA_NUMBER } from './migrate.ts';
import { openPostgres } from './postgres.ts';

export interface MigratedLedger {
  /** Numbers of the migrations that were missing, in order. */
  readonly applied: readonly number[];
  /** The migration it is at now. */
  readonly schema: number;
  /** Roles of functions that are not there, because the owner may not make roles. */
  readonly missingRoles: readonly string[];
}

/** Throws `ledger-unavailable` (retryable), and `settings-invalid` (permanent) for a ledger newer than this code. */
export const migrateAsOwner = async (connectionString: string): Promise<MigratedLedger> => {
  const database = openPostgres({ connectionString, maxConnections: 1 });
  try {
    const applied = await migrate(database);
    // Migrations grant as well; this is for roles that were made after them.
    const missingRoles = await database.transaction(grantRights);
    return { applied, schema: SCHEMA_NUMBER, missingRoles };
  } finally {
    await database.close();
  }
};
