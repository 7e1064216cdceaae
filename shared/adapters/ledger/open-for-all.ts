/** The ledger for all functions in one process, each under its own role: `npm start`, the demo, and tests. */
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Database } from './database.ts';
import { createLedger } from './ledger.ts';
import { LEDGER_USERS, type LedgerUser, roleOf } from './ledger-users.ts';
import { migrate } from './migrate.ts';
import { shareSession } from './one-session.ts';
import { openPostgres } from './postgres.ts';

export interface LedgersForAll {
  /** May do everything; for whoever sets up the CA. Closing it closes all. */
  readonly owner: Ledger;
  as(user: LedgerUser): Ledger;
  /** False where the login may not act under the functions' roles: then all work as the owner. */
  readonly separated: boolean;
}

/** Embedded, as `openEmbeddedLedger` opens it; throws what that throws. */
export const openEmbeddedForAll = async (options: {
  readonly clock: Clock;
  readonly folder?: string;
}): Promise<LedgersForAll> => {
  const { openEmbedded } = await import('./embedded.ts');
  const { clock } = options;
  const session = shareSession(await openEmbedded(options.folder));
  return {
    owner: createLedger({ database: session.owner, clock }),
    as: (user) => createLedger({ database: session.as(user), clock }),
    separated: true,
  };
};

/** On a PostgreSQL, migrated first, which needs a login that may; throws what `openPostgresLedger` throws. */
export const openPostgresForAll = async (options: {
  readonly clock: Clock;
  readonly connectionString: string;
}): Promise<LedgersForAll> => {
  const { clock, connectionString } = options;
  const database = openPostgres({ connectionString, maxConnections: CONNECTIONS });
  try {
    await migrate(database);
    const separated = await mayActAsAll(database);
    const opened: Database[] = [];
    const ownerLedger = createLedger({ database, clock });
    return {
      separated,
      owner: {
        ...ownerLedger,
        close: async () => {
          await Promise.all(opened.splice(0).map((one) => one.close()));
          await database.close();
        },
      },
      as: (user) => {
        if (!separated) return { ...ownerLedger, close: async () => undefined };
        const own = openPostgres({
          connectionString: underRole(connectionString, roleOf(user)),
          maxConnections: CONNECTIONS,
          applicationName: `sealwright ${user}`,
        });
        opened.push(own);
        return createLedger({ database: own, clock });
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
};

/** Of each user. Idle ones are given back after half a minute. */
const CONNECTIONS = 3;

const mayActAsAll = async (database: Database): Promise<boolean> => {
  const [row] = await database.query<{ members: bigint }>(
    `SELECT count(*) AS members FROM pg_roles WHERE rolname = ANY($1) AND pg_has_role(current_user, oid, 'USAGE')`,
    [LEDGER_USERS.map(roleOf)],
  );
  return row?.members === BigInt(LEDGER_USERS.length);
};

/** The same address, every connection of which begins under a role that its login is a member of. */
export const underRole = (connectionString: string, role: string): string => {
  const url = new URL(connectionString);
  const options = url.searchParams.get('options');
  url.searchParams.set('options', `${options === null ? '' : `${options} `}-c role=${role}`);
  return url.href;
};
