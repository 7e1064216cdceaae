/**
 * Brings a database to the schema this code needs.
 *
 * A *migration* is one numbered SQL file under `migrations/`, applied once, in order, and never edited once released.
 * All that are missing are applied in one transaction, which holds a lock on the table `migrations`: a second process
 * that migrates at the same time waits and then finds nothing to do. No advisory locks, which not every
 * PostgreSQL-compatible engine has. It never migrates backwards.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { permanent } from '../../errors.ts';
import { type Database, type Queries, StatementRefused } from './database.ts';

export interface Migration {
  readonly number: number;
  /** File name without the extension, such as `0001-ledger`. */
  readonly name: string;
  readonly sql: string;
  /** Of the text with LF line ends, so that a checkout with CRLF is not an edit. */
  readonly sha256Hex: string;
}

/** The migration this code needs; a constant, because deployed bundles do not carry the SQL files. */
export const SCHEMA_NUMBER = 44;

const FILE_NAME = /^(\d{4})-[a-z0-9-]+\.sql$/;

export const migrationOf = (fileName: string, text: string): Migration => {
  const number = FILE_NAME.exec(fileName)?.[1];
  if (number === undefined) {
    throw new Error(`migrations/${fileName} is not named like 0001-what-it-does.sql`);
  }
  const sql = text.replaceAll('\r\n', '\n');
  return {
    number: Number(number),
    name: fileName.slice(0, -'.sql'.length),
    sql,
    sha256Hex: createHash('sha256').update(sql).digest('hex'),
  };
};

/** The migrations shipped with this code, in order. Throws when a number is missing or used twice. */
export const readMigrations = (): readonly Migration[] => {
  const folder = new URL('./migrations/', import.meta.url);
  return readdirSync(folder)
    .sort()
    .map((fileName) => migrationOf(fileName, readFileSync(new URL(fileName, folder), 'utf8')))
    .map((migration, index) => {
      if (migration.number !== index + 1) {
        throw new Error(`migrations/${migration.name}.sql should have number ${index + 1}`);
      }
      return migration;
    });
};

/** Two processes that create one table at once: one of them is refused, although both said IF NOT EXISTS. */
const LOST_CREATION_RACE = new Set(['23505', '42P07', '42710']);

const createMigrationsTable = async (database: Database): Promise<void> => {
  const create = `
    CREATE TABLE IF NOT EXISTS migrations (
      number     integer PRIMARY KEY CHECK (number > 0),
      name       text NOT NULL,
      sha256_hex text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`;
  try {
    await database.query(create);
  } catch (error) {
    if (!(error instanceof StatementRefused && LOST_CREATION_RACE.has(error.sqlState))) throw error;
  }
};

interface AppliedRow {
  readonly number: number;
  readonly name: string;
  readonly sha256_hex: string;
}

const readApplied = (queries: Queries) =>
  queries.query<AppliedRow>('SELECT number, name, sha256_hex FROM migrations ORDER BY number');

const newerThanCode = (found: number, known: number) =>
  permanent(
    'settings-invalid',
    `The ledger's schema is at migration ${found} and this code knows only ${known}: deploy the newer code, or point this one at another database.`,
    { details: { found, known } },
  );

/**
 * Applies what is missing; done already is success. Answers the numbers it applied.
 *
 * Throws `settings-invalid` (permanent) when the database is newer than the code or a migration was edited after it was
 * applied, and `ledger-unavailable` (retryable).
 */
export const migrate = async (
  database: Database,
  migrations: readonly Migration[] = readMigrations(),
): Promise<readonly number[]> => {
  await createMigrationsTable(database);
  return await database.transaction(async (queries) => {
    // Waiting for the other migrator may take longer than a statement otherwise may.
    await queries.query('SET LOCAL statement_timeout = 0');
    // Keeps other migrators out but lets readers in.
    await queries.query('LOCK TABLE migrations IN SHARE ROW EXCLUSIVE MODE');
    const applied = await readApplied(queries);
    const newest = applied.at(-1)?.number ?? 0;
    if (newest > migrations.length) throw newerThanCode(newest, migrations.length);
    for (const row of applied) {
      const migration = migrations[row.number - 1];
      if (migration?.sha256Hex !== row.sha256_hex) {
        throw permanent(
          'settings-invalid',
          `Migration ${row.name} was applied to this ledger with another text than migrations/${migration?.name ?? row.name}.sql has now: restore the file and put the change into a new migration. (An embedded ledger starts from ledger.snapshot: where the migration was never released, run build-snapshot.ts.)`,
        );
      }
    }
    const missing = migrations.slice(newest);
    for (const migration of missing) {
      await queries.script(migration.sql);
      await queries.query('INSERT INTO migrations (number, name, sha256_hex) VALUES ($1, $2, $3)', [
        migration.number,
        migration.name,
        migration.sha256Hex,
      ]);
    }
    return missing.map((migration) => migration.number);
  });
};

/**
 * Checks, without changing anything, that the database has the schema this code needs. For functions, which may not
 * alter tables. Throws `settings-invalid` (permanent) naming both numbers.
 */
export const requireSchema = async (database: Database, needed: number = SCHEMA_NUMBER): Promise<void> => {
  let found = 0;
  try {
    found = (await readApplied(database)).at(-1)?.number ?? 0;
  } catch (error) {
    // 42P01: no table `migrations`, so none was ever applied.
    if (!(error instanceof StatementRefused && error.sqlState === '42P01')) throw error;
  }
  if (found > needed) throw newerThanCode(found, needed);
  if (found < needed) {
    throw permanent(
      'settings-invalid',
      `The ledger's schema is at migration ${found} and this code needs ${needed}: run the migrations before deploying it.`,
      { details: { found, needed } },
    );
  }
};
