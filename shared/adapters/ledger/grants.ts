/** The table of rights as statements, for a ledger that was migrated before its roles could be made. */
import type { Queries } from './database.ts';
import { LEDGER_USERS, type LedgerUser, roleOf } from './ledger-users.ts';
import { RIGHTS, type Rights, ROUTINES } from './rights.ts';

const columns = (which: true | string): string => (which === true ? '' : ` (${which.replaceAll(' ', ', ')})`);

const privileges = ({ read, add, change, remove }: Rights): string =>
  [
    ...(read === undefined ? [] : [`SELECT${columns(read)}`]),
    ...(add === undefined ? [] : [`INSERT${columns(add)}`]),
    ...(change === undefined ? [] : [`UPDATE${columns(change)}`]),
    ...(remove === undefined ? [] : ['DELETE']),
  ].join(', ');

const grantsTo = (user: LedgerUser, schema: string, mayUseSchema: boolean): readonly string[] => {
  const role = roleOf(user);
  return [
    // The schema public is open to everybody's look-ups, and not everybody may grant on it.
    ...(mayUseSchema ? [] : [`GRANT USAGE ON SCHEMA ${schema} TO ${role}`]),
    ...Object.entries(RIGHTS[user]).map(([table, rights]) =>
      rights.use === true
        ? `GRANT USAGE ON SEQUENCE ${table} TO ${role}`
        : `GRANT ${privileges(rights)} ON ${table} TO ${role}`,
    ),
    ...Object.entries(ROUTINES)
      .filter(([, users]) => users.includes(user))
      .map(([routine]) => `GRANT EXECUTE ON FUNCTION ${routine} TO ${role}`),
  ];
};

/** Gives every role that is there what its function needs; done already is success. Answers the roles that are not there. */
export const grantRights = async (queries: Queries): Promise<readonly string[]> => {
  const rows = await queries.query<{ name: string; schema: string; usable: boolean }>(
    `SELECT rolname AS name, quote_ident(current_schema()) AS schema,
            has_schema_privilege(oid, current_schema(), 'USAGE') AS usable
       FROM pg_roles WHERE rolname = ANY($1)`,
    [LEDGER_USERS.map(roleOf)],
  );
  const missing: string[] = [];
  for (const user of LEDGER_USERS) {
    const role = rows.find(({ name }) => name === roleOf(user));
    if (role === undefined) missing.push(roleOf(user));
    else for (const grant of grantsTo(user, role.schema, role.usable)) await queries.query(grant);
  }
  return missing;
};
