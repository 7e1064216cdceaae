/** The table of rights against what a migrated database says. It also runs before every landing: a new table needs a row. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FUNCTION_NAMES } from '../../functions/catalog.ts';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { LEDGER_USERS, roleOf } from '../../shared/adapters/ledger/ledger-users.ts';
import { RIGHTS, ROUTINES } from '../../shared/adapters/ledger/rights.ts';
import { openTestDatabase } from '../support/ledger.ts';
import { grantedRights, rightsMatrix } from '../support/rights.ts';

/** Tables that only triggers, which act as the owner, write or read. */
const NOBODYS: readonly string[] = [];

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

describe('the table of rights', () => {
  it('has every deployed function', () => {
    expect(LEDGER_USERS).toEqual(FUNCTION_NAMES);
    expect(Object.keys(RIGHTS)).toEqual(FUNCTION_NAMES);
  });

  it.each(LEDGER_USERS)('says what the database lets %s do, and the database nothing more', async (user) => {
    expect(await grantedRights(database, roleOf(user))).toEqual(RIGHTS[user]);
  });

  it('has every table: one without a row is out of reach of every function', async () => {
    const tables = await database.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v') ORDER BY relname`,
    );
    const named = new Set(Object.values(RIGHTS).flatMap((rights) => Object.keys(rights)));
    expect(
      tables.map(({ name }) => name).filter((name) => !named.has(name) && !NOBODYS.includes(name)),
      'add these to shared/adapters/ledger/rights.ts and grant them in the migration that makes them',
    ).toEqual([]);
  });

  it('is what docs/security.md shows', () => {
    const rows = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8').split('\n');
    const from = rows.findIndex((row) => row.startsWith('| | `directory-watch`'));
    const matrix = rightsMatrix();
    expect(rows.slice(from, from + matrix.length)).toEqual(matrix);
    expect(rows[from + matrix.length]).toBe('');
  });

  it('says who may call a routine that not everybody may', async () => {
    const rows = await database.query<{ name: string; role: string }>(
      `SELECT proname AS name, rolname AS role FROM pg_proc, pg_roles
        WHERE pronamespace = current_schema()::regnamespace AND rolname = ANY($1)
          AND proacl IS NOT NULL AND has_function_privilege(pg_roles.oid, pg_proc.oid, 'EXECUTE') ORDER BY 1, 2`,
      [LEDGER_USERS.map(roleOf)],
    );
    const listed = Object.entries(ROUTINES).flatMap(([name, users]) =>
      users.map((user) => ({ name, role: roleOf(user) })),
    );
    expect(rows).toEqual(listed);
  });
});

describe('no role of a function', () => {
  it.each([
    ['audit', []],
    ['audit_chains', []],
    ['revocations', []],
    ['policy_activations', []],
    ['crls', ['sealwright_publish_crl', 'sealwright_sign']],
    ['leaves', ['sealwright_sign']],
    ['issuers', ['sealwright_publish_crl']],
  ])('changes or removes a row of %s, but for %j, a column or two', async (table, changers) => {
    const rows = await database.query<{ role: string; removes: boolean; changes: boolean }>(
      `SELECT rolname AS role,
              has_table_privilege(oid, $1, 'DELETE, TRUNCATE') AS removes,
              has_any_column_privilege(oid, $1, 'UPDATE') AS changes
         FROM pg_roles WHERE rolname = ANY($2) ORDER BY rolname`,
      [table, LEDGER_USERS.map(roleOf)],
    );
    expect(rows.filter(({ removes }) => removes)).toEqual([]);
    expect(rows.filter(({ changes }) => changes).map(({ role }) => role)).toEqual(changers);
  });
});
