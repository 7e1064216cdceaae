import type { Database } from '../../../shared/adapters/ledger/database.ts';

/**
 * Copies every row of a ledger; the function it answers puts exactly those rows back. Only for tests: the ledger itself
 * never takes anything back, which is why its triggers are silenced as a replica's.
 */
export async function copyRows(database: Database): Promise<() => Promise<void>> {
  const copies: { table: string; columns: string; rows: string }[] = [];
  for (const table of await tables(database)) {
    // A generated column is made again from the others.
    const columns = await database.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
      [table],
    );
    const [row] = await database.query<{ rows: string }>(
      `SELECT coalesce(json_agg(entry), '[]')::text AS rows FROM ${table} AS entry`,
    );
    copies.push({
      table,
      columns: columns.map(({ name }) => name).join(', '),
      rows: row?.rows ?? '[]',
    });
  }
  // One text, because each statement that is sent by itself takes as long as what it does.
  const restoration = [
    'SET LOCAL session_replication_role = replica',
    ...copies.map(({ table }) => `DELETE FROM ${table}`),
    ...copies.flatMap(({ table, columns, rows }) =>
      rows === '[]'
        ? []
        : `INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE
           SELECT ${columns} FROM json_populate_recordset(null::${table}, '${rows.replaceAll("'", "''")}')`,
    ),
  ].join(';');
  return () => database.transaction((queries) => queries.script(restoration));
}

/** Everything the ledger holds as text, to look for what must not be in it. */
export async function allText(database: Database): Promise<string> {
  const texts: string[] = [];
  for (const table of await tables(database)) {
    const [row] = await database.query<{ rows: string }>(
      `SELECT coalesce(json_agg(entry), '[]')::text AS rows FROM ${table} AS entry`,
    );
    texts.push(row?.rows ?? '');
  }
  return texts.join('\n');
}

/** Ends every lease now, as its expiry would. */
export const expireLeases = async (database: Database): Promise<void> => {
  await database.query(
    'UPDATE leases SET expires_at = now() WHERE holder IS NOT NULL AND expires_at > now()',
  );
};

const tables = async (database: Database): Promise<readonly string[]> =>
  (
    await database.query<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations' ORDER BY tablename`,
    )
  ).map(({ tablename }) => tablename);

/** What somebody with all rights on the database can do, triggers or not. */
export const asReplica = (database: Database, sql: string): Promise<void> =>
  database.transaction(async (queries) => {
    await queries.script(`SET LOCAL session_replication_role = replica; ${sql}`);
  });
