/** Ledgers on the PostgreSQL that `run.ts` provides. */
import { afterAll } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { makePlace, type Place } from './place.ts';

const openIn = async (place: Place): Promise<Database> => {
  const database = openPostgres({ connectionString: place.connectionString });
  return {
    ...database,
    close: async () => {
      await database.close();
      await place.remove();
    },
  };
};

/** An empty database; closing it removes everything. */
export const openBarePostgres = async (): Promise<Database> => openIn(await makePlace());

interface Idle {
  readonly database: Database;
  readonly place: Place;
}

/** Emptied and used again: making the schema takes a second, emptying it a hundredth of that. */
const idle: Idle[] = [];
const made: Idle[] = [];

afterAll(async () => {
  for (const { database, place } of made.splice(0)) {
    await database.close();
    await place.remove();
  }
});

/** The triggers that keep history refuse DELETE from everybody but a replica; false where the user may not play one. */
const empty = async ({ database, place }: Idle): Promise<boolean> => {
  const [user] = await database.query<{ rolsuper: boolean }>(
    'SELECT rolsuper FROM pg_roles WHERE rolname = current_user',
  );
  if (user?.rolsuper !== true) return false;
  await database.transaction(async (queries) => {
    const tables = await queries.query<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'migrations'`,
      [place.schema],
    );
    const deletions = tables.map(({ tablename }) => `DELETE FROM ${tablename};`).join('\n');
    await queries.script(`SET LOCAL session_replication_role = replica; ${deletions}`);
  });
  return true;
};

const makeLedger = async (): Promise<Idle> => {
  const place = await makePlace();
  const database = openPostgres({ connectionString: place.connectionString });
  await migrate(database);
  const one = { database, place };
  made.push(one);
  return one;
};

/** An empty database with the ledger's schema. Close it when the test ends: it is then used for the next one. */
export const openTestPostgres = async (): Promise<Database> => {
  const reused = idle.pop();
  const one = reused !== undefined && (await empty(reused)) ? reused : await makeLedger();
  let isOpen = true;
  return {
    ...one.database,
    close: async () => {
      if (isOpen) idle.push(one);
      isOpen = false;
    },
  };
};
