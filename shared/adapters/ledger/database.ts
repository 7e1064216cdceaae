/**
 * The ledger's view of a database: SQL text in, plain rows out, alike for PostgreSQL and PGlite.
 *
 * Values: `int8` is a `bigint`, `timestamptz` a `Date`, `bytea` a `Uint8Array` with a buffer of its own, `jsonb` a
 * parsed value, `text[]` an array. Parameters take the same types, and `null` (never `undefined`); `jsonb` parameters
 * are passed as JSON text.
 */
import { permanent, retryable, type SealwrightError } from '../../errors.ts';

export type Parameter = string | number | bigint | boolean | Date | Uint8Array | readonly string[] | null;

export interface Queries {
  /** Runs one statement. `Row` describes the columns the statement names; nobody checks it at run time. */
  query<Row extends object = Record<string, unknown>>(
    sql: string,
    parameters?: readonly Parameter[],
  ): Promise<readonly Row[]>;
}

interface Reads extends Queries {
  /**
   * What a SELECT of one `bytea` a row answers, without the rows in which it is NULL. For megabytes, which on PostgreSQL come
   * without a detour through text.
   */
  bytes(sql: string, parameters?: readonly (string | number | null)[]): Promise<readonly Uint8Array[]>;
}

export interface Database extends Reads {
  /**
   * Runs `work` in one READ COMMITTED transaction: committed when it resolves, rolled back when it throws.
   * Use only the `Queries` handed to `work` inside it: PGlite has one connection, and another query would wait for
   * the transaction to end.
   */
  transaction<T>(work: (queries: TransactionQueries) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface TransactionReads extends Reads {
  /** The same, one after the other as they come. `take` may use a value until it returns; what it throws rejects in the end. */
  eachBytes(sql: string, take: TakeBytes): Promise<void>;
}

export type TakeBytes = (value: Uint8Array) => void;

export interface TransactionQueries extends TransactionReads {
  /** Runs a text of several statements, as migrations are. */
  script(sql: string): Promise<void>;
}

/** Reads that must agree with each other: one snapshot for all of them, and no write. */
export const consistently = <T>(
  database: Database,
  read: (queries: TransactionReads) => Promise<T>,
): Promise<T> =>
  database.transaction(async (queries) => {
    await queries.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return await read(queries);
  });

/**
 * A statement the database refused for what it said. Carries the SQLSTATE and the name of the constraint and nothing
 * else: the vendors' errors quote whole rows and parameters, which may hold a wrapped key.
 */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused';
  readonly sqlState: string;
  readonly constraint: string | undefined;

  constructor(sqlState: string, constraint: string | undefined, message: string) {
    super(message);
    this.sqlState = sqlState;
    this.constraint = constraint;
  }
}

/** SQLSTATEs after which the same call may succeed; PostgreSQL, appendix A. Two digits stand for a whole class. */
const PASSING_STATES: Readonly<Record<string, string>> = {
  '08': 'the connection failed',
  '25006': 'it is read-only, as a standby is',
  '28': 'it refused the login; check the ledger user and its password or IAM binding',
  '3D000': 'the database named in the connection string does not exist',
  '40': 'two transactions were in conflict',
  '53': 'it has run out of connections, memory or disk',
  '55P03': 'a lock could not be had in time',
  '57': 'it is shutting down, restarting or cancelled the statement',
  '58': 'it met an error of its own operating system',
};

const passingState = (sqlState: string): string | undefined =>
  PASSING_STATES[sqlState] ?? PASSING_STATES[sqlState.slice(0, 2)];

/** Errors of Node and of `pg` itself that mean "no connection"; `pg` gives its own no code. */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
const CONNECTION_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout|not queryable|Cannot use a pool after calling end|PGlite is clos/i;

/** The classes PostgreSQL has; Node's codes may have five letters too, such as EPERM. */
const SQL_STATE = /^(?:\d[0-9A-Z]|F0|HV|P0|XX)[0-9A-Z]{3}$/;

const field = (error: unknown, name: string): string | undefined => {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
};

export const ledgerUnavailable = (why: string): SealwrightError =>
  retryable(
    'ledger-unavailable',
    `The ledger's database cannot be used now: ${why}. The same call may succeed later.`,
  );

/**
 * What a vendor's error becomes: `ledger-unavailable` (retryable) for what may pass, `conflict` (permanent) where a
 * trigger of ours refused a change, `StatementRefused` for every other SQLSTATE, and the error itself when it does not
 * come from the database at all. The vendor's error is never kept as `cause`.
 */
export const translateVendorError = (error: unknown): unknown => {
  const code = field(error, 'code');
  const message = field(error, 'message') ?? '';
  if (
    error instanceof AggregateError &&
    error.errors.some((inner) => CONNECTION_CODES.has(field(inner, 'code') ?? ''))
  ) {
    return ledgerUnavailable('nothing answers at its address');
  }
  if (code !== undefined && CONNECTION_CODES.has(code)) {
    return ledgerUnavailable(`the connection failed (${code})`);
  }
  if (code !== undefined && SQL_STATE.test(code)) {
    const passing = passingState(code);
    if (passing !== undefined) return ledgerUnavailable(`${passing} (SQLSTATE ${code})`);
    // A migration changed a table under a statement that the connection keeps prepared; a new connection prepares it anew.
    if (code === '0A000' && message.startsWith('cached plan')) {
      return ledgerUnavailable('its tables changed under a prepared statement');
    }
    if (code === '23001') return permanent('conflict', `The ledger refuses a change: ${message}.`);
    const constraint = field(error, 'constraint');
    // Class 22 quotes the value it could not read, so its text is left out.
    const text = code.startsWith('22') ? 'a value has the wrong form' : message;
    const where = constraint === undefined ? '' : `, constraint ${constraint}`;
    return new StatementRefused(
      code,
      constraint,
      `The ledger's database refused a statement: ${text} (SQLSTATE ${code}${where})`,
    );
  }
  if (CONNECTION_MESSAGE.test(message)) return ledgerUnavailable('the connection was lost or is closed');
  return error;
};
