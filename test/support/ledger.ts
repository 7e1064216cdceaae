/**
 * Ledgers for tests, quickly: one PGlite per test file starts from the prepared snapshot (half a second) and is emptied
 * between uses (milliseconds). A test that has several ledgers open at once gets several databases.
 */
import { randomUUID } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { databaseOf } from '../../shared/adapters/ledger/embedded.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { readSnapshot } from '../../shared/adapters/ledger/snapshot.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

interface Idle {
  readonly backend: PGlite;
  readonly database: Database;
}

const idle: Idle[] = [];

const start = async (): Promise<Idle> => {
  const backend = await PGlite.create({ loadDataDir: new Blob([readSnapshot()]) });
  const database = databaseOf(backend);
  await migrate(database);
  await makeEmptying(backend);
  return { backend, database };
};

/**
 * Makes the function that empties every table; its statements are planned once. The triggers that keep history refuse DELETE from
 * everybody but a replica.
 */
const makeEmptying = async (backend: PGlite): Promise<void> => {
  const { rows } = await backend.query<{ tablename: string }>(
    `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'`,
  );
  const deletions = rows.map(({ tablename }) => `DELETE FROM public.${tablename};`).join('\n');
  await backend.exec(
    `CREATE SCHEMA for_tests;
     CREATE FUNCTION for_tests.empty() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica
     AS $body$ BEGIN ${deletions} END $body$`,
  );
};

/** A fresh, empty ledger database in memory, for tests that also look at its rows. */
export const openTestDatabase = async (): Promise<Database> => {
  const reused = idle.pop();
  const one = reused ?? (await start());
  if (reused !== undefined) await reused.backend.exec('SELECT for_tests.empty()');
  let open = true;
  return {
    ...one.database,
    close: async () => {
      if (open) idle.push(one);
      open = false;
    },
  };
};

/**
 * A fresh, empty ledger in memory. Close it when the test ends: its database is then used for the next one. What is
 * still open when the process ends needs no closing.
 */
export const openTestLedger = async (clock: Clock): Promise<Ledger> =>
  createLedger({ database: await openTestDatabase(), clock });

/** An empty database in memory without the ledger's tables, for tests of migrating. */
export const openBareDatabase = async (): Promise<Database> => {
  const database = await openTestDatabase();
  const schema = `bare_${randomUUID().replaceAll('-', '')}`;
  await database.query(`CREATE SCHEMA ${schema}`);
  await database.query(`SET search_path = ${schema}`);
  return {
    ...database,
    close: async () => {
      await database.query('RESET search_path');
      await database.query(`DROP SCHEMA ${schema} CASCADE`);
      await database.close();
    },
  };
};
