/** Opens a ledger. PGlite is loaded only when it is asked for: deployed functions never pay for it. */
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { createLedger } from './ledger.ts';
import { migrate, requireSchema } from './migrate.ts';
import { openPostgres, type PostgresOptions } from './postgres.ts';

/**
 * A ledger on PostgreSQL. With `migrate` it brings the schema up to date first, which needs the right to create
 * tables and the SQL files beside this code; without, it only checks it, as deployed functions do.
 *
 * Throws `ledger-unavailable` (retryable), and `settings-invalid` (permanent) for a schema that is newer than this code,
 * or older without `migrate`.
 */
export const openPostgresLedger = async (
  options: PostgresOptions & {
    readonly clock: Clock;
    readonly migrate?: boolean;
    /** Told the login's name when it has the rights of the tables' owner, which no function needs. */
    readonly ownsTables?: (login: string) => void;
  },
): Promise<Ledger> => {
  const database = openPostgres(options);
  try {
    if (options.migrate === true) await migrate(database);
    else await requireSchema(database);
    if (options.ownsTables !== undefined) {
      const [owner] = await database.query<{ login: string }>(
        `SELECT session_user::text AS login FROM pg_class
          WHERE oid = 'migrations'::regclass AND pg_has_role(current_user, relowner, 'USAGE')`,
      );
      if (owner !== undefined) options.ownsTables(owner.login);
    }
  } catch (error) {
    await database.close();
    throw error;
  }
  return createLedger({ database, clock: options.clock });
};

/**
 * A ledger inside this process, in `folder` or in memory. One process per folder. All leases found in it belong to a
 * process that is gone, and end. Throws `settings-invalid` (permanent) when the folder is in use or newer than this code.
 */
export const openEmbeddedLedger = async (options: {
  readonly clock: Clock;
  readonly folder?: string;
}): Promise<Ledger> => {
  const { openEmbedded } = await import('./embedded.ts');
  return createLedger({ database: await openEmbedded(options.folder), clock: options.clock });
};
