/** PostgreSQL 15 or later (Cloud SQL, AlloyDB, one's own) through `pg`. */
import pg from 'pg';
import { type Database, type Parameter, type Queries, translateVendorError } from './database.ts';

export interface PostgresOptions {
  /** `postgresql://user:password@host:port/database`; `?host=/cloudsql/…` for a Unix socket. Secret: never logged. */
  readonly connectionString: string;
  /** Called for each new connection instead of a password in the connection string, for IAM login tokens. */
  readonly password?: () => Promise<string>;
  /**
   * Connections at most; default 4. A function instance works on few users at once, and a small Cloud SQL allows 25
   * connections for all instances together.
   */
  readonly maxConnections?: number;
  /** Shown in `pg_stat_activity`; default `sealwright`. */
  readonly applicationName?: string;
}

const INT8 = 20;
const BYTEA = 17;

const bytesOf = (text: string): Uint8Array => {
  const bytes: unknown = pg.types.getTypeParser(BYTEA, 'text')(text);
  if (!(bytes instanceof Uint8Array)) throw new Error('bug: pg no longer parses bytea into bytes');
  // A copy: small Buffers share one slab, and callers may look at `.buffer`.
  return new Uint8Array(bytes);
};

const typeParsers = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, 'binary');
    if (oid === INT8) return BigInt;
    if (oid === BYTEA) return bytesOf;
    return pg.types.getTypeParser(oid, 'text');
  },
};

const queriesOf = (client: Pick<pg.ClientBase, 'query'>): Queries => ({
  query: async <Row extends object>(sql: string, parameters: readonly Parameter[] = []) => {
    try {
      return (await client.query<Row>(sql, [...parameters])).rows;
    } catch (error) {
      throw translateVendorError(error);
    }
  },
});

const commit = async (client: pg.PoolClient): Promise<void> => {
  let command: string;
  try {
    ({ command } = await client.query('COMMIT'));
  } catch (error) {
    throw translateVendorError(error);
  }
  // PostgreSQL answers ROLLBACK, without an error, when a statement had failed and the failure was swallowed.
  if (command !== 'COMMIT') throw new Error('bug: a failed statement was swallowed inside a transaction');
};

/** Opens a pool; no connection is made before the first query. Throws `ledger-unavailable` (retryable) from queries. */
export const openPostgres = (options: PostgresOptions): Database => {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    ...(options.password === undefined ? {} : { password: options.password }),
    max: options.maxConnections ?? 4,
    application_name: options.applicationName ?? 'sealwright',
    types: typeParsers,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    // No statement of ours needs a second; one that waits longer than this waits for a lock of a stuck process.
    statement_timeout: 15_000,
    // A process that was paused in mid-transaction holds row locks; the server ends it, and its lease may be taken over.
    idle_in_transaction_session_timeout: 30_000,
  });
  // A connection that dies between two statements is an event on nobody's promise, and would end the process. The
  // next statement on it fails by itself, and the pool replaces it.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  const connect = async (): Promise<pg.PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw translateVendorError(error);
    }
  };

  return {
    ...queriesOf(pool),

    transaction: async (work) => {
      const client = await connect();
      const queries = queriesOf(client);
      const script = async (sql: string) => {
        // Without parameters `pg` uses the simple protocol, which takes several statements.
        await queries.query(sql);
      };
      let failure: Error | undefined;
      try {
        await queries.query('BEGIN');
        const result = await work({ ...queries, script });
        await commit(client);
        return result;
      } catch (error) {
        try {
          await queries.query('ROLLBACK');
        } catch (rollbackError) {
          // The connection is in an unknown state: the pool must not hand it out again. The server rolls back by itself.
          failure = rollbackError instanceof Error ? rollbackError : new Error('ROLLBACK failed');
        }
        throw error;
      } finally {
        client.release(failure);
      }
    },

    close: async () => {
      if (!pool.ended) await pool.end();
    },
  };
};
