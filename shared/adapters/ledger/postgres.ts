/** PostgreSQL 15 or later (Cloud SQL, AlloyDB, one's own) through `pg`. */
import pg from 'pg';
import { isSealwrightError, permanent } from '../../errors.ts';
import { copyOut, withLiterals } from './copy-out.ts';
import { type Database, translateVendorError } from './database.ts';
import { databaseOver, type Server, typeParsers } from './pool.ts';

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

/** True when the connection itself may be broken, so that the pool must not hand it out again. */
const isBroken = (error: unknown): boolean => isSealwrightError(error) && error.code === 'ledger-unavailable';

const copied: Server['eachBytes'] = async (client, sql, take, parameters = []) => {
  try {
    await copyOut(client, withLiterals(sql, parameters), take);
  } catch (error) {
    throw translateVendorError(error);
  }
};

/**
 * Opens a pool; no connection is made before the first query. Throws `settings-invalid` (permanent) for a connection
 * string that cannot be read, and `ledger-unavailable` (retryable) from queries.
 */
export const openPostgres = (options: PostgresOptions): Database => {
  const pool = poolOf(options);
  return {
    ...databaseOver(pool, { isBroken, eachBytes: copied }),
    close: async () => {
      if (!pool.ended) await pool.end();
    },
  };
};
