/**
 * PGlite: PostgreSQL inside this process, in memory or in a folder. For the trial, the demo and tests.
 *
 * It has one backend and one process, so queries take turns; nothing about concurrency can be learned from it. A
 * committed transaction survives the death of the process but, since PGlite does not call fsync, not the death of the
 * machine.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite, type PGliteInterface } from '@electric-sql/pglite';
import {
  type Database,
  type Parameter,
  type Queries,
  type TransactionQueries,
  translateVendorError,
} from './database.ts';
import { lockFolder } from './folder-lock.ts';
import { migrate } from './migrate.ts';
import { readSnapshot } from './snapshot.ts';
import { unpackTar } from './tar.ts';

const INT8 = 20;
const BYTEA = 17;

/**
 * Where PGlite's own conversions do not do: for `int8` it answers a number where one fits and a bigint where not, and it
 * converts `bytea` one byte at a time, which takes seconds for a large CRL.
 */
export const conversions = {
  parsers: {
    [INT8]: (text: string) => BigInt(text),
    [BYTEA]: (text: string) => new Uint8Array(Buffer.from(text.slice('\\x'.length), 'hex')),
  },
  serializers: {
    [BYTEA]: (bytes: Uint8Array) =>
      `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`,
  },
};

const queriesOf = (backend: Pick<PGliteInterface, 'query'>): Queries => ({
  query: async <Row extends object>(sql: string, parameters: readonly Parameter[] = []) => {
    try {
      return (await backend.query<Row>(sql, [...parameters])).rows;
    } catch (error) {
      throw translateVendorError(error);
    }
  },
});

/** The `Database` over an open PGlite; `closed` is called once it is closed. */
export const databaseOf = (backend: PGliteInterface, closed: () => void = () => undefined): Database => ({
  ...queriesOf(backend),

  bytes: async (sql) => {
    const rows = await queriesOf(backend).query<{ value: Uint8Array | null }>(
      `SELECT value FROM (${sql}) AS answer (value)`,
    );
    return rows.flatMap(({ value }) => (value === null ? [] : [value]));
  },

  transaction: async <T>(work: (queries: TransactionQueries) => Promise<T>) => {
    try {
      return await backend.transaction(async (transaction) => {
        const script = async (sql: string) => {
          try {
            await transaction.exec(sql);
          } catch (error) {
            throw translateVendorError(error);
          }
        };
        return await work({ ...queriesOf(transaction), script });
      });
    } catch (error) {
      throw translateVendorError(error);
    }
  },

  close: async () => {
    if (!backend.closed) {
      await backend.close();
      closed();
    }
  },
});

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
    return databaseOf(await PGlite.create({ dataDir, ...conversions }), unlock);
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
      ? databaseOf(await PGlite.create({ loadDataDir: new Blob([readSnapshot()]), ...conversions }))
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
