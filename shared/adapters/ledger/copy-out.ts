/**
 * Reads `bytea` values through COPY in its binary format. `pg` takes every column of a query as text, in which bytes are hex:
 * twice as long, and a string besides. What it hands to an object with a `submit` method are the messages of the protocol
 * as they come, which is how its own cursor and stream packages work (https://node-postgres.com/apis/client, "query";
 * https://www.postgresql.org/docs/15/sql-copy.html, "Binary Format").
 */
import pg from 'pg';

/** Eleven bytes of signature, flags, and the length of an extension that nobody has defined. */
const HEADER_BYTES = 19;
const FIELD_COUNT_BYTES = 2;
const LENGTH_BYTES = 4;

/** The values that are not NULL. `sql` is a SELECT of one `bytea` a row. */
export const copyOut = (
  client: pg.ClientBase,
  sql: string,
  parameters: readonly (string | number | null)[] = [],
): Promise<readonly Uint8Array[]> =>
  new Promise((resolve, reject) => {
    client.query(new CopyOut(withLiterals(sql, parameters), resolve, reject));
  });

/** COPY takes no parameters, so that they are written into the text. */
const withLiterals = (sql: string, parameters: readonly (string | number | null)[]): string =>
  sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    if (value === undefined)
      throw new Error(`bug: a statement asks for parameter ${number} and was not given it`);
    return value === null ? 'NULL' : pg.escapeLiteral(String(value));
  });

class CopyOut implements pg.Submittable {
  readonly #sql: string;
  readonly #resolve: (values: readonly Uint8Array[]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #chunks: Buffer[] = [];

  constructor(
    sql: string,
    resolve: (values: readonly Uint8Array[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#sql = sql;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    connection.query(`COPY (${this.#sql}) TO STDOUT (FORMAT binary)`);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    // A copy: the parser writes what comes next over it.
    this.#chunks.push(Buffer.from(chunk));
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#resolve(valuesByChunk(this.#chunks) ?? valuesIn(Buffer.concat(this.#chunks)));
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }
}

/**
 * PostgreSQL sends each row in a message of its own, the header with the first one; the protocol does not promise it, and so
 * undefined is answered for chunks that are not so.
 */
function valuesByChunk(chunks: readonly Buffer[]): readonly Uint8Array[] | undefined {
  const values: Uint8Array[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const at = index === 0 ? HEADER_BYTES : 0;
    const start = at + FIELD_COUNT_BYTES + LENGTH_BYTES;
    const isEnd = chunk.length === at + FIELD_COUNT_BYTES;
    if (isEnd || chunk.length < start) {
      if (!isEnd || index < chunks.length - 1) return undefined;
      continue;
    }
    const length = chunk.readInt32BE(at + FIELD_COUNT_BYTES);
    if (start + Math.max(0, length) !== chunk.length) return undefined;
    if (length >= 0) values.push(chunk.subarray(start));
  }
  return values;
}

function valuesIn(copied: Buffer): readonly Uint8Array[] {
  const values: Uint8Array[] = [];
  // A row begins with the number of its columns; what follows the last one is -1.
  for (let at = HEADER_BYTES; copied.readInt16BE(at) === 1; ) {
    const length = copied.readInt32BE(at + FIELD_COUNT_BYTES);
    const start = at + FIELD_COUNT_BYTES + LENGTH_BYTES;
    at = start + Math.max(0, length);
    if (length >= 0) values.push(copied.subarray(start, at));
  }
  return values;
}
