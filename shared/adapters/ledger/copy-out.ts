/**
 * Reads `bytea` values through COPY in its binary format. `pg` takes every column of a query as text, in which bytes are hex:
 * twice as long, and a string besides. What it hands to an object with a `submit` method are the messages of the protocol
 * as they come, which is how its own cursor and stream packages work (https://node-postgres.com/apis/client, "query";
 * https://www.postgresql.org/docs/15/sql-copy.html, "Binary Format").
 */
import pg from 'pg';
import type { TakeBytes } from './database.ts';

/** Eleven bytes of signature, flags, and the length of an extension that nobody has defined. */
const HEADER_BYTES = 19;
const FIELD_COUNT_BYTES = 2;
const LENGTH_BYTES = 4;

/**
 * Hands the values that are not NULL to `take`, one after the other as they come; a value is good until it returns. `sql` is a SELECT of one
 * `bytea` a row. Rejects with what the server says, or with what `take` threw first.
 */
export const copyOut = (client: pg.ClientBase, sql: string, take: TakeBytes): Promise<void> =>
  new Promise((resolve, reject) => {
    client.query(new CopyOut(sql, take, resolve, reject));
  });

/** COPY takes no parameters, so that they are written into the text. */
export const withLiterals = (sql: string, parameters: readonly (string | number | null)[]): string =>
  sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    if (value === undefined)
      throw new Error(`bug: a statement asks for parameter ${number} and was not given it`);
    return value === null ? 'NULL' : pg.escapeLiteral(String(value));
  });

class CopyOut implements pg.Submittable {
  readonly #sql: string;
  readonly #take: TakeBytes;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  /** The beginning of a row whose end has not come. */
  #rest: Buffer | undefined;
  #isBegun = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(sql: string, take: TakeBytes, resolve: () => void, reject: (error: unknown) => void) {
    this.#sql = sql;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    connection.query(`COPY (${this.#sql}) TO STDOUT (FORMAT binary)`);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (this.#failure !== undefined) return;
    try {
      this.#read(this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]));
    } catch (error) {
      // Thrown here it would end the connection's reading, and with it the process.
      this.#failure = { error };
    }
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    if (this.#failure === undefined) this.#resolve();
    else this.#reject(this.#failure.error);
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }

  /** PostgreSQL sends each row in a message of its own, the header with the first one; the protocol does not promise it. */
  #read(bytes: Buffer): void {
    let at = 0;
    if (!this.#isBegun && bytes.length >= HEADER_BYTES) {
      this.#isBegun = true;
      at = HEADER_BYTES;
    }
    while (this.#isBegun && at + FIELD_COUNT_BYTES <= bytes.length) {
      // A row begins with the number of its columns; what follows the last one is -1.
      if (bytes.readInt16BE(at) !== 1) {
        at = bytes.length;
        break;
      }
      const start = at + FIELD_COUNT_BYTES + LENGTH_BYTES;
      if (start > bytes.length) break;
      const length = bytes.readInt32BE(at + FIELD_COUNT_BYTES);
      const end = start + Math.max(0, length);
      if (end > bytes.length) break;
      if (length >= 0) this.#take(bytes.subarray(start, end));
      at = end;
    }
    // A copy: the parser writes what comes next over it.
    this.#rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
  }
}
