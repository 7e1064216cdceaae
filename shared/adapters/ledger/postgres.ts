/** PostgreSQL 15 or later (Cloud SQL, AlloyDB, one's own) through `pg`. */
import pg from 'pg';
import { isSealwrightError, permanent } from '../../errors.ts';
import { copyOut } from './copy-out.ts';
import {
  type Database,
  ledgerUnavailable,
  type Parameter,
  type Queries,
  translateVendorError,
} from './database.ts';

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

/**
 * Names under which each connection keeps statements prepared, so that the server reads and plans a text once and not at each
 * call. Every text in the code gets one; the number only guards against a text that is made up anew each time.
 */
const statementNames = new Map<string, string>();
const MOST_STATEMENTS = 1_000;

const statementName = (sql: string): string | undefined => {
  const known = statementNames.get(sql);
  if (known !== undefined || statementNames.size >= MOST_STATEMENTS) return known;
  const name = `sealwright-${statementNames.size + 1}`;
  statementNames.set(sql, name);
  return name;
};

const queriesOf = (client: Pick<pg.ClientBase, 'query'>): Queries => ({
  query: async <Row extends object>(sql: string, parameters: readonly Parameter[] = []) => {
    const name = parameters.length === 0 ? undefined : statementName(sql);
    try {
      return (
        await client.query<Row>({
          text: sql,
          values: [...parameters],
          ...(name === undefined ? {} : { name }),
        })
      ).rows;
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

/**
 * A class of clients with the given source of passwords. `pg` has this as an option too, but a connection string without
 * a password overrides it with none.
 */
const clientWith = (password: () => Promise<string>) =>
  class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      const orHangUp = async (): Promise<string> => {
        try {
          return await password();
        } catch (error) {
          // Otherwise the half-open connection would stay until the server's patience ends.
          this.end().catch(() => undefined);
          throw error;
        }
      };
      Reflect.set(this, 'password', orHangUp);
    }
  };

const poolOf = (options: PostgresOptions): pg.Pool => {
  try {
    // Parses the connection string now rather than at the first query; connects to nothing.
    new pg.Client({ connectionString: options.connectionString });
  } catch {
    throw permanent(
      'settings-invalid',
      "The ledger's connection string cannot be read: write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded.",
    );
  }
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    ...(options.password === undefined ? {} : { Client: clientWith(options.password) }),
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
  return pool;
};

/** A connection for one piece of work. Whatever hinders making one may pass: a server, a network, a login. */
const connect = async (pool: pg.Pool): Promise<pg.PoolClient> => {
  try {
    return await pool.connect();
  } catch (error) {
    const translated = translateVendorError(error);
    if (isSealwrightError(translated)) throw translated;
    throw ledgerUnavailable('no connection to it could be made');
  }
};

/** True when the connection itself may be broken, so that the pool must not hand it out again. */
const isBroken = (error: unknown): boolean => isSealwrightError(error) && error.code === 'ledger-unavailable';

/**
 * Opens a pool; no connection is made before the first query. Throws `settings-invalid` (permanent) for a connection
 * string that cannot be read, and `ledger-unavailable` (retryable) from queries.
 */
export const openPostgres = (options: PostgresOptions): Database => {
  const pool = poolOf(options);
  const onConnection = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const client = await connect(pool);
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = isBroken(error);
      throw error;
    } finally {
      client.release(broken);
    }
  };
  return {
    query: <Row extends object>(sql: string, parameters: readonly Parameter[] = []) =>
      onConnection((client) => queriesOf(client).query<Row>(sql, parameters)),

    bytes: (sql) =>
      onConnection(async (client) => {
        try {
          return await copyOut(client, sql);
        } catch (error) {
          throw translateVendorError(error);
        }
      }),

    transaction: async (work) => {
      const client = await connect(pool);
      const queries = queriesOf(client);
      const script = async (sql: string) => {
        // Without parameters `pg` uses the simple protocol, which takes several statements.
        await queries.query(sql);
      };
      let broken = false;
      try {
        await queries.query('BEGIN');
        const result = await work({ ...queries, script });
        await commit(client);
        return result;
      } catch (error) {
        broken = isBroken(error);
        try {
          await queries.query('ROLLBACK');
        } catch {
          // The connection is lost, and the server rolls back by itself.
          broken = true;
        }
        throw error;
      } finally {
        client.release(broken);
      }
    },

    close: async () => {
      if (!pool.ended) await pool.end();
    },
  };
};
