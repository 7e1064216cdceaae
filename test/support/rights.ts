/** What a role may do, asked of the database itself, in the words of the table of rights. */
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { LEDGER_USERS } from '../../shared/adapters/ledger/ledger-users.ts';
import { RIGHTS, type Rights } from '../../shared/adapters/ledger/rights.ts';

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly columns: readonly string[];
  readonly removes: boolean;
  readonly uses: boolean;
  readonly reads: readonly string[];
  readonly adds: readonly string[];
  readonly changes: readonly string[];
  readonly reads_all: boolean;
  readonly adds_all: boolean;
}

/** By table, view and sequence of the current schema; those it may do nothing with are left out. */
export const grantedRights = async (
  database: Database,
  role: string,
): Promise<Readonly<Record<string, Rights>>> => {
  const rows = await database.query<Row>(
    `SELECT c.relname AS name, c.relkind::text AS kind,
            c.relkind <> 'S' AND has_table_privilege($1, c.oid, 'SELECT') AS reads_all,
            c.relkind <> 'S' AND has_table_privilege($1, c.oid, 'INSERT') AS adds_all,
            c.relkind <> 'S' AND has_table_privilege($1, c.oid, 'DELETE') AS removes,
            c.relkind = 'S' AND has_sequence_privilege($1, c.oid, 'USAGE') AS uses,
            coalesce(array_agg(a.attname::text ORDER BY attnum)
              FILTER (WHERE has_column_privilege($1, c.oid, attnum, 'SELECT')), '{}') AS reads,
            coalesce(array_agg(a.attname::text ORDER BY attnum)
              FILTER (WHERE has_column_privilege($1, c.oid, attnum, 'INSERT')), '{}') AS adds,
            coalesce(array_agg(a.attname::text ORDER BY attnum)
              FILTER (WHERE has_column_privilege($1, c.oid, attnum, 'UPDATE')), '{}') AS changes
       FROM pg_class c LEFT JOIN pg_attribute a
         ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND c.relkind <> 'S'
      WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v', 'S')
      GROUP BY c.oid, c.relname, c.relkind ORDER BY c.relname`,
    [role],
  );
  return Object.fromEntries(
    rows
      .map((row) => [row.name, rightsOf(row)] as const)
      .filter(([, rights]) => Object.keys(rights).length > 0),
  );
};

const rightsOf = (row: Row): Rights => ({
  ...(row.reads_all ? { read: true } : row.reads.length > 0 ? { read: row.reads.join(' ') } : {}),
  ...(row.adds_all ? { add: true } : row.adds.length > 0 ? { add: row.adds.join(' ') } : {}),
  ...(row.changes.length > 0 ? { change: row.changes.join(' ') } : {}),
  ...(row.removes ? { remove: true } : {}),
  ...(row.uses ? { use: true } : {}),
});

/** The table of rights as docs/security.md shows it: a row for each table, a column for each function. */
export const rightsMatrix = (): readonly string[] => {
  const tables = [...new Set(Object.values(RIGHTS).flatMap((rights) => Object.keys(rights)))].toSorted();
  const cell = ({ read, add, change, remove, use }: Rights = {}): string =>
    [
      read === undefined ? '' : read === true ? 'R' : 'r',
      add === undefined ? '' : 'A',
      change === undefined ? '' : 'C',
      remove === true ? 'D' : '',
      use === true ? 'U' : '',
    ].join('');
  return [
    `| | ${LEDGER_USERS.map((user) => `\`${user}\``).join(' | ')} |`,
    `|---|${LEDGER_USERS.map(() => '---|').join('')}`,
    ...tables.map(
      (table) => `| ${table} | ${LEDGER_USERS.map((user) => cell(RIGHTS[user][table])).join(' | ')} |`,
    ),
  ];
};
