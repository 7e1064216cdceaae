/**
 * PGlite: PostgreSQL inside this process, in memory or in a folder. For the trial, the demo and tests.
 *
 * It has one backend and one process, so queries take turns; nothing about concurrency can be learned from it. A
 * committed transaction survives the death of the process but, since PGlite does not call fsync, not the death of the
 * machine.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import pg from 'pg';
import type { Database } from './database.ts';
import { lockFolder } from './folder-lock.ts';
import { migrate } from './migrate.ts';
import { databaseOver, queriesOf, type Server, typeParsers } from './pool.ts';
import { readSnapshot } from './snapshot.ts';
import { unpackTar } from './tar.ts';

const queried: Server['eachBytes'] = async (client, sql, take, parameters) => {
  const rows = await queriesOf(client).query<{ value: Uint8Array | null }>(
    `SELECT value FROM (${sql}) AS answer (value)`,
    parameters,
  );
  for (const { value } of rows) if (value !== null) take(value);
};

/**
 * The `Database` over an open PGlite, through `pg` as PostgreSQL's is: a statement is planned once, where PGlite's own `query` plans
 * it at each call, ten milliseconds for everything about a user. One for each PGlite, which knows the statements by their
 * names; `closed` is called once it is closed.
 */
export const databaseOf = (backend: PGlite, closed: () => void = () => undefined): Database => {
  const pool = new pg.Pool({ ...createPgConfig(backend), max: 1, idleTimeoutMillis: 0, types: typeParsers });
  return {
    // There is no other connection than the one, whatever became of a statement on it.
    ...databaseOver(pool, { isBroken: () => false, eachBytes: queried }),

    close: async () => {
      if (backend.closed) return;
      await pool.end();
      await backend.close();
      closed();
    },
  };
};

/**
 * An embedded ledger has exactly one process, so whoever held a lease when it is opened is dead. The leases end now
 * instead of at their expiry; they stay visible as abandoned, so that their users are looked at again.
 */
const endLeasesOfTheDead = (database: Database) =>
  database.query('UPDATE leases SET expires_at = now() WHERE holder IS NOT NULL AND expires_at > now()');

const openFolder = async (folder: string): Promise<Database> => {
  const unlock = lockFolder(folder);
  try {
    const dataDir = join(folder, 'data');
    if (!existsSync(dataDir)) {
      // Unpacked beside its place and then renamed: a process killed in between leaves nothing that looks complete.
      const unpacked = join(folder, 'data.new');
      rmSync(unpacked, { recursive: true, force: true });
      mkdirSync(unpacked);
      unpackTar(readSnapshot(), unpacked);
      renameSync(unpacked, dataDir);
    }
    return databaseOf(await PGlite.create({ dataDir }), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
};

/**
 * Opens the embedded database with every migration applied: in `folder`, which is made ready when it is new and
 * continued when it is not, or in memory. Throws `settings-invalid` (permanent) when the folder is in use by another
 * process or was written by newer code.
 */
export const openEmbedded = async (folder?: string): Promise<Database> => {
  const database =
    folder === undefined
      ? databaseOf(await PGlite.create({ loadDataDir: new Blob([readSnapshot()]) }))
      : await openFolder(folder);
  try {
    await migrate(database);
    await endLeasesOfTheDead(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
};
