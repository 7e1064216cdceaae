/**
 * Everything the ledger has on users, read in one statement: one snapshot without a transaction, and one way to the database and
 * back instead of one for each table. Each kind of record brings a SELECT; its rows come as JSON and become rows again here.
 */
import type { Queries } from './database.ts';

/** How JSON has a column that it has no type for: PostgreSQL writes instants in ISO 8601 and `bytea` in hex. */
type Encodings<Row> = {
  readonly [Column in keyof Row as NonNullable<Row[Column]> extends Date | Uint8Array
    ? Column
    : never]: NonNullable<Row[Column]> extends Date ? 'instant' : 'bytes';
};

type JsonRow = Readonly<Record<string, unknown>>;

/** One kind of record. */
export interface UserRecords<Item> {
  /** SELECT with a column `user_id`, of those for whom it equals `these`, in order. */
  readonly sql: (these: string) => string;
  /** The records of each user, in the order of the rows. */
  readonly byUser: (rows: readonly JsonRow[]) => ReadonlyMap<string, readonly Item[]>;
}

/** `encodings` names every column of `Row` that holds an instant or bytes; the compiler misses those left out. */
export const userRecords = <Row extends { readonly user_id: string }, Item>(
  sql: (these: string) => string,
  itemOf: (row: Row) => Item,
  encodings: Encodings<Row>,
): UserRecords<Item> => ({
  sql,
  byUser: (rows) => {
    const groups = new Map<string, Item[]>();
    for (const json of rows) {
      const row = decoded(json, encodings) as unknown as Row;
      const group = groups.get(row.user_id);
      if (group === undefined) groups.set(row.user_id, [itemOf(row)]);
      else group.push(itemOf(row));
    }
    return groups;
  },
});

const decoded = (row: JsonRow, encodings: Readonly<Record<string, 'instant' | 'bytes'>>): JsonRow => {
  const values: Record<string, unknown> = { ...row };
  for (const [column, encoding] of Object.entries(encodings)) {
    const value = row[column];
    if (value === null) continue;
    if (typeof value !== 'string') throw new Error(`bug: the column ${column} is not selected`);
    values[column] =
      encoding === 'instant' ? new Date(value) : new Uint8Array(Buffer.from(value.slice(2), 'hex'));
  }
  return values;
};

type Read<Kinds> = {
  readonly [Kind in keyof Kinds]: Kinds[Kind] extends UserRecords<infer Item>
    ? ReadonlyMap<string, readonly Item[]>
    : never;
};

/**
 * One statement over all kinds; answers a function that runs it. One user is asked for by `=`: over an array, of whose length nothing
 * is known, PostgreSQL plans the statement anew each time, which takes it longer than to run it.
 */
export const readingTogether = <Kinds extends Readonly<Record<string, UserRecords<unknown>>>>(
  kinds: Kinds,
) => {
  const statementOf = (these: string): string => {
    const columns = Object.entries(kinds).map(
      ([kind, { sql }]) => `(SELECT json_agg(found) FROM (${sql(these)}) AS found) AS "${kind}"`,
    );
    return `SELECT ${columns.join(',\n')}`;
  };
  const [ofOne, ofMany] = [statementOf('$1'), statementOf('ANY($1)')];
  return async (queries: Queries, userIds: readonly string[]): Promise<Read<Kinds>> => {
    const [only, another] = userIds;
    const isOne = only !== undefined && another === undefined;
    const [row] = await queries.query<Readonly<Record<string, readonly JsonRow[] | null>>>(
      isOne ? ofOne : ofMany,
      [isOne ? only : userIds],
    );
    return Object.fromEntries(
      Object.entries(kinds).map(([kind, { byUser }]) => [kind, byUser(row?.[kind] ?? [])]),
    ) as Read<Kinds>;
  };
};
