/** The ledger's view of a database over a pool of `pg`'s clients, whatever answers at their other end. */
import pg from 'pg';
import { isSealwrightError } from '../../errors.ts';
import {
  type Database,
  ledgerUnavailable,
  type Parameter,
  type Queries,
  type TakeBytes,
  type TransactionQueries,
  translateVendorError,
} from './database.ts';

const INT8 = 20;
const BYTEA = 17;

const bytesOf = (text: string): Uint8Array => {
  const bytes: unknown = pg.types.getTypeParser(BYTEA, 'text')(text);
  if (!(bytes instanceof Uint8Array)) throw new Error('bug: pg no longer parses bytea into bytes');
  // A copy: small Buffers share one slab, and callers may look at `.buffer`.
  return new Uint8Array(bytes);
};

export const typeParsers = {
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

export const queriesOf = (client: Pick<pg.ClientBase, 'query'>): Queries => ({
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

/** What differs from server to server. */
export interface Server {
  /** After which errors the pool must not hand the connection out again. */
  readonly isBroken: (error: unknown) => boolean;
  /** `TransactionReads.eachBytes`, on a connection. */
  readonly eachBytes: (
    client: pg.PoolClient,
    sql: string,
    take: TakeBytes,
    parameters?: Parameters<Database['bytes']>[1],
  ) => Promise<void>;
}

export const databaseOver = (pool: pg.Pool, { isBroken, eachBytes }: Server): Omit<Database, 'close'> => {
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
  const bytes = async (client: pg.PoolClient, ...[sql, parameters]: Parameters<Database['bytes']>) => {
    const values: Uint8Array[] = [];
    await eachBytes(client, sql, (value) => values.push(Buffer.from(value)), parameters);
    return values;
  };
  return {
    query: <Row extends object>(sql: string, parameters: readonly Parameter[] = []) =>
      onConnection((client) => queriesOf(client).query<Row>(sql, parameters)),

    bytes: (sql, parameters) => onConnection((client) => bytes(client, sql, parameters)),

    transaction: async <T>(work: (queries: TransactionQueries) => Promise<T>) => {
      const client = await connect(pool);
      const queries = queriesOf(client);
      const script = async (sql: string) => {
        // Without parameters `pg` uses the simple protocol, which takes several statements.
        await queries.query(sql);
      };
      let broken = false;
      try {
        await queries.query('BEGIN');
        const result = await work({
          ...queries,
          bytes: (sql, parameters) => bytes(client, sql, parameters),
          eachBytes: (sql, take) => eachBytes(client, sql, take),
          script,
        });
        await commit(client);
        return result;
      } catch (error) {
        broken = isBroken(error);
        try {
          await queries.query('ROLLBACK');
        } catch (lost) {
          // The connection is lost, and the server rolls back by itself.
          broken ||= isBroken(lost);
        }
        throw error;
      } finally {
        client.release(broken);
      }
    },
  };
};
