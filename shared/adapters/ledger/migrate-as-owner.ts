/** What an admin's command does to a ledger that exists: brings it to this code's schema, as the owner of its tables. */
import type { Database } from './database.ts';
import { LEDGER_USERS, roleOf } from './ledger-users.ts';
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
    return { applied, schema: SCHEMA_NUMBER, missingRoles: await missingRoles(database) };
  } finally {
    await database.close();
  }
};

const missingRoles = async (database: Database): Promise<readonly string[]> => {
  const wanted = LEDGER_USERS.map(roleOf);
  const rows = await database.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1)',
    [wanted],
  );
  const found = new Set(rows.map(({ name }) => name));
  return wanted.filter((name) => !found.has(name));
};
