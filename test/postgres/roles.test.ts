/** What a function's role may do on a real PostgreSQL, tried statement by statement; and that it is enough to work with. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { LEDGER_USERS, type LedgerUser, roleOf } from '../../shared/adapters/ledger/ledger-users.ts';
import { migrate, readMigrations, SCHEMA_NUMBER } from '../../shared/adapters/ledger/migrate.ts';
import { migrateAsOwner } from '../../shared/adapters/ledger/migrate-as-owner.ts';
import { openPostgresLedger } from '../../shared/adapters/ledger/open.ts';
import { openPostgresForAll, underRole } from '../../shared/adapters/ledger/open-for-all.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { RIGHTS, type Rights } from '../../shared/adapters/ledger/rights.ts';
import { ONE_USER } from '../support/one-user.ts';
import { grantedRights } from '../support/rights.ts';
import { makePlace, type Place } from './place.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
const REFUSED = '42501';

let place: Place;
let owner: Database;
const opened = new Map<LedgerUser, Database>();

beforeAll(async () => {
  place = await makePlace();
  owner = openPostgres({ connectionString: place.connectionString });
  await migrate(owner);
  await owner.transaction((queries) => queries.script(TRY_EVERYTHING + ONE_USER));
});
afterAll(async () => {
  for (const database of opened.values()) await database.close();
  await owner.close();
  await place.remove();
});

const urlOf = (user: LedgerUser): string => underRole(place.connectionString, roleOf(user));

const as = (user: LedgerUser): Database => {
  const database = opened.get(user) ?? openPostgres({ connectionString: urlOf(user), maxConnections: 1 });
  opened.set(user, database);
  return database;
};

/** The SQLSTATE with which PostgreSQL refuses, or undefined. */
const refusal = async (database: Database, sql: string): Promise<string | undefined> => {
  try {
    await database.query(sql);
    return undefined;
  } catch (error) {
    return (error as { readonly sqlState?: string }).sqlState ?? String(error);
  }
};

/** Tries, under a role, each kind of statement on each table and column, undoes it, and answers what was not refused. */
const TRY_EVERYTHING = `
  CREATE FUNCTION allowed(as_role text) RETURNS SETOF text LANGUAGE plpgsql AS $$
  DECLARE
    attempt record;
  BEGIN
    FOR attempt IN
      WITH tables AS (SELECT oid, relname, relkind FROM pg_class
                       WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')),
           fields AS (SELECT relname, relkind, attname FROM tables JOIN pg_attribute ON attrelid = tables.oid
                       WHERE attnum > 0 AND NOT attisdropped)
      SELECT 'read ' || relname AS what, format('SELECT count(*) FROM (SELECT * FROM %I LIMIT 1) AS row', relname) AS statement FROM tables
      UNION ALL SELECT 'remove ' || relname, format('DELETE FROM %I', relname) FROM tables WHERE relkind = 'r'
      UNION ALL SELECT 'truncate ' || relname, format('TRUNCATE %I CASCADE', relname) FROM tables WHERE relkind = 'r'
      UNION ALL SELECT 'lock ' || relname, format('LOCK TABLE %I IN SHARE MODE', relname) FROM tables WHERE relkind = 'r'
      UNION ALL SELECT 'trigger ' || relname, format('ALTER TABLE %I DISABLE TRIGGER ALL', relname) FROM tables WHERE relkind = 'r'
      UNION ALL SELECT 'read ' || relname || ' ' || attname, format('SELECT %I FROM %I LIMIT 1', attname, relname) FROM fields
      UNION ALL SELECT 'add ' || relname || ' ' || attname, format('INSERT INTO %I (%I) VALUES (DEFAULT)', relname, attname) FROM fields WHERE relkind = 'r'
      UNION ALL SELECT 'change ' || relname || ' ' || attname, format('UPDATE %I SET %I = DEFAULT', relname, attname) FROM fields WHERE relkind = 'r'
      UNION ALL SELECT 'draw ' || relname, format('SELECT nextval(%L)', relname) FROM pg_class
                 WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S'
    LOOP
      BEGIN
        EXECUTE format('SET LOCAL ROLE %I', as_role);
        EXECUTE attempt.statement;
        RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ999';
      EXCEPTION
        WHEN insufficient_privilege THEN NULL;
        WHEN OTHERS THEN RETURN NEXT attempt.what;
      END;
    END LOOP;
  END
  $$;`;

const fieldsOf = async (table: string): Promise<readonly string[]> =>
  (
    await owner.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
      [table],
    )
  ).map(({ name }) => name);

/** The same in the words of the attempts. */
const attemptsOf = async (table: string, rights: Rights): Promise<readonly string[]> => {
  if (rights.use === true) return [`draw ${table}`];
  const all = await fieldsOf(table);
  const columns = (kind: string, which: true | string | undefined) =>
    which === undefined
      ? []
      : (which === true ? all : which.split(' ')).map((name) => `${kind} ${table} ${name}`);
  return [
    ...(rights.read === true ? [`read ${table}`] : []),
    ...columns('read', rights.read),
    ...columns('add', rights.add),
    ...columns('change', rights.change),
    ...(rights.remove === true ? [`remove ${table}`] : []),
  ];
};

describe('under its role', () => {
  it.each(LEDGER_USERS)(
    '%s is refused every statement on every table and column that it has no right to',
    async (user) => {
      const rows = await owner.query<{ what: string }>('SELECT allowed($1) AS what', [roleOf(user)]);
      const expected = await Promise.all(
        Object.entries(RIGHTS[user]).map(([table, rights]) => attemptsOf(table, rights)),
      );
      // Whoever changes or removes some rows may keep others from doing so meanwhile.
      const locks = Object.entries(RIGHTS[user]).flatMap(([table, { remove }]) =>
        remove ? [`lock ${table}`] : [],
      );
      const done = rows.map(({ what }) => what);
      expect(done.toSorted()).toEqual([...expected.flat(), ...locks].toSorted());
    },
  );

  it.each(LEDGER_USERS)('%s opens the ledger, and makes no table, function or role', async (user) => {
    const ledger = await openPostgresLedger({ connectionString: urlOf(user), clock });
    await ledger.close();
    for (const sql of [
      'CREATE TABLE mine ()',
      "CREATE FUNCTION mine() RETURNS void LANGUAGE sql AS ''",
      'CREATE ROLE mine',
    ]) {
      expect(await refusal(as(user), sql), sql).toBe(REFUSED);
    }
  });

  it.each<[LedgerUser, string, string]>([
    ['directory-watch', 'read wrapped keys', 'SELECT wrapped_key FROM user_keys'],
    ['directory-watch', 'read who uses the service', 'SELECT primary_email FROM users'],
    ['directory-watch', 'write an audit entry', `INSERT INTO audit (step) VALUES ('x')`],
    ['key-service', 'intend a certificate', `INSERT INTO leaves (serial_hex) VALUES ('0b')`],
    ['key-service', 'give an address to somebody else', `UPDATE addresses SET user_id = '2'`],
    ['key-service', 'approve what the guard holds', `UPDATE held_sets SET state = 'approved'`],
    ['ocsp', 'read a certificate', 'SELECT leaf_der FROM leaves'],
    ['ocsp', 'replace an answer', `UPDATE ocsp_answers SET status = 'good'`],
    ['directory-event', 'say that a certificate is signed', `UPDATE leaves SET state = 'signed'`],
    ['directory-event', 'add one as signed', `INSERT INTO leaves (serial_hex, leaf_der) VALUES ('0b', 'x')`],
    ['directory-event', 'approve what the guard holds', `UPDATE held_sets SET state = 'approved'`],
    ['directory-event', 'sign a checkpoint', `UPDATE audit_checkpoints SET signed_der = 'x'`],
    ['directory-event', 'take an issuer out of use', `UPDATE issuers SET state = 'retired'`],
    ['sign', 'intend a certificate', `INSERT INTO leaves (serial_hex) VALUES ('0b')`],
    ['sign', 'revoke', `INSERT INTO revocations (serial_hex) VALUES ('0a01')`],
    ['sign', 'read wrapped keys', 'SELECT wrapped_key FROM user_keys'],
    ['publish-crl', 'add a user', `INSERT INTO users (user_id) VALUES ('2')`],
    ['publish-crl', 'intend a certificate', `INSERT INTO leaves (serial_hex) VALUES ('0b')`],
    ['publish-crl', 'write a CRL’s signature', `UPDATE crls SET end_der = 'x'`],
    ['publish-crl', 'read what the audit trail says', 'SELECT reason FROM audit'],
    ['sweep', 'revoke', `INSERT INTO revocations (serial_hex) VALUES ('0a01')`],
    ['due', 'change what is known of a user', `UPDATE users SET state = 'out'`],
    ['admin', 'revoke', `INSERT INTO revocations (serial_hex) VALUES ('0a01')`],
    ['admin', 'intend a certificate', `INSERT INTO leaves (serial_hex) VALUES ('0b')`],
    ['admin', 'change the audit trail', `UPDATE audit SET reason = 'x'`],
    ['admin', 'remove from the audit trail', 'DELETE FROM audit'],
    ['admin', 'mend its chain', `UPDATE audit_chains SET sha256_hex = 'x'`],
  ])('%s cannot %s', async (user, _what, sql) => {
    expect(await refusal(as(user), sql)).toBe(REFUSED);
  });
});

describe('opening the ledger', () => {
  const told = async (connectionString: string): Promise<readonly string[]> => {
    const logins: string[] = [];
    const ledger = await openPostgresLedger({
      connectionString,
      clock,
      ownsTables: (login) => logins.push(login),
    });
    await ledger.close();
    return logins;
  };

  it('tells who opens it when the login may do everything, and not when it has a role of its own', async () => {
    const [owning] = await owner.query<{ login: string }>('SELECT session_user::text AS login');
    expect(await told(place.connectionString)).toEqual([owning?.login]);
    for (const user of LEDGER_USERS) expect(await told(urlOf(user)), user).toEqual([]);
  });
});

describe('what triggers do as the ledger’s owner', () => {
  it('chains an audit entry of somebody who may not write the chain', async () => {
    const ledger = await openPostgresLedger({ connectionString: urlOf('due'), clock });
    await ledger.audit({
      userId: '1',
      cause: { source: 'due', eventId: 'e', event: 'look' },
      step: 'looked',
      reason: 'For the test.',
      outcome: 'done',
    });
    await ledger.close();
    const [chain] = await owner.query<{ place: bigint }>(`SELECT place FROM audit_chains WHERE chain = '1'`);
    expect(chain?.place).toBe(1n);
  });

  it('blocks a compromised key and lists the revocation, for somebody who may do neither', async () => {
    const event = as('directory-event');
    await event.query(
      `INSERT INTO revocations (serial_hex, reason, revoked_at) VALUES ('0a01', 'keyCompromise', now())`,
    );
    const found = await owner.query(
      `SELECT serial_hex FROM blocked_keys UNION ALL SELECT serial_hex FROM crl_listings`,
    );
    expect(found).toEqual([{ serial_hex: '0a01' }, { serial_hex: '0a01' }]);
    expect(await refusal(event, `DELETE FROM blocked_keys`)).toBe(REFUSED);
  });

  it('is not led astray by a table of the caller’s own', async () => {
    const event = as('directory-event');
    await event.transaction(async (queries) => {
      await queries.query('CREATE TEMPORARY TABLE audit_chains (chain text, place bigint, sha256_hex text)');
      await queries.query(
        `INSERT INTO audit (at, user_id, cause_source, cause_id, cause_event, step, reason, outcome)
         VALUES (now(), '1', 'due', 'e', 'look', 'looked', 'r', 'done')`,
      );
      expect(await queries.query('SELECT * FROM pg_temp.audit_chains')).toEqual([]);
    });
    const [chain] = await owner.query<{ place: bigint }>(`SELECT place FROM audit_chains WHERE chain = '1'`);
    expect(chain?.place).toBe(2n);
  });

  it('notes for the next sweep whom somebody wrote who may not touch the list, nor give it a table of their own', async () => {
    const noted = () =>
      owner.query("SELECT user_id FROM swept_changes WHERE user_id LIKE 'swept-%' ORDER BY user_id");
    const add = (userId: string) =>
      `INSERT INTO users (user_id, primary_email, state, reason, since) VALUES ('${userId}', 'x', 'pending', 'r', now())`;
    await as('admin').query(add('swept-1'));
    await as('directory-event').transaction(async (queries) => {
      await queries.query('CREATE TEMPORARY TABLE swept_changes (user_id text)');
      await queries.query(add('swept-2'));
      await queries.query("UPDATE users SET state = 'blocked' WHERE user_id = 'swept-1'");
      expect(await queries.query('SELECT * FROM pg_temp.swept_changes')).toEqual([]);
    });
    expect(await noted()).toEqual(['swept-1', 'swept-1', 'swept-2'].map((user_id) => ({ user_id })));
    for (const user of LEDGER_USERS)
      expect(await refusal(as(user), 'SELECT note_swept_change()'), user).not.toBeUndefined();
    await owner.query("DELETE FROM users WHERE user_id LIKE 'swept-%'");
  });

  it('reads at one moment and keeps the table of a sweep under the role of the sweep', async () => {
    const ledger = await openPostgresLedger({ connectionString: urlOf('sweep'), clock });
    const lease = (await ledger.acquireLease('job:sweep', 60_000)) ?? expect.unreachable();
    const { name } = await ledger.atOneMoment(async (moment) => moment);
    await ledger.keepTable(lease, name, { head: 'head', bytes: Buffer.alloc(100) });
    expect(await ledger.atOneMoment((moment) => moment.keptTable())).toEqual({ head: 'head', writes: 0 });
    await ledger.releaseLease(lease);
    await ledger.close();
  });

  it('erases a wrapped key for directory-event with the obliteration that two admins had, and with none it made up', async () => {
    const ledger = await openPostgresLedger({ connectionString: urlOf('directory-event'), clock });
    const lease = await ledger.acquireLease('user:1', 60_000);
    if (lease === undefined) throw new Error('User 1 is held.');
    await ledger.recordKeypairIntent(lease, '0a01');
    await ledger.recordKeypair(lease, { serialHex: '0a01', keypairId: 'pair-1' });
    const admins = await openPostgresLedger({ connectionString: urlOf('admin'), clock });
    const { requestId } = await admins.recordKeypairRequest({
      ...{ kind: 'obliterate', userId: '1', primaryEmail: 'ada@acme.example', serialHex: '0a01' },
      ...{
        keypairId: 'pair-1',
        reason: 'Nobody is on hold.',
        requestedBy: 'ana@acme.example',
        statement: {},
      },
    });
    const event = as('directory-event');
    const confirmed = `UPDATE keypair_requests SET confirmed_by = 'eve', confirmed_at = now()`;
    expect(await refusal(event, confirmed)).toBe(REFUSED);
    expect(await refusal(event, `UPDATE keypair_requests SET state = 'done', closed_at = now()`)).toBe(
      '23514',
    );
    const by = { kind: 'confirmed', by: 'bob@acme.example' } as const;
    await admins.decideKeypairRequest(requestId, by, () => undefined);
    const cause = { source: 'admin', eventId: requestId, event: 'keypair-request' } as const;
    await ledger.closeKeypairRequest(lease, {
      ...{ requestId, state: 'done', detail: 'It is obliterated.' },
      erase: {
        spkiSha256Hex: 'a'.repeat(64),
        audit: { userId: '1', cause, step: 'erase-wrapped-keys', reason: 'r', outcome: 'done' },
      },
    });
    expect(await owner.query('SELECT key_id, wrapped_key, obliteration_id FROM user_keys')).toEqual([
      { key_id: 'key-1', wrapped_key: null, obliteration_id: requestId },
    ]);
    expect(await admins.erasedKeys('1')).toMatchObject([{ keyId: 'key-1', confirmedBy: 'bob@acme.example' }]);
    await ledger.close();
    await admins.close();
  });

  it('answers the last settled audit entry to publish-crl and to nobody else', async () => {
    const settled = 'SELECT settled_audit_entry() AS last';
    const [newest] = await owner.query<{ last: bigint }>('SELECT max(id) AS last FROM audit');
    expect(await as('publish-crl').query(settled)).toEqual([newest]);
    for (const user of LEDGER_USERS.filter((one) => one !== 'publish-crl'))
      expect(await refusal(as(user), settled), user).toBe(REFUSED);
  });
});

describe('all functions in one process', () => {
  it('work each under its role where the login may act under all of them', async () => {
    const ledgers = await openPostgresForAll({ clock, connectionString: place.connectionString });
    expect(ledgers.separated).toBe(true);
    await expect(ledgers.as('key-service').users()).rejects.toThrow('permission denied for table users');
    expect(await ledgers.as('admin').users()).toHaveLength(1);
    await ledgers.owner.close();
  });

  it('share a login that may not, and say so', async () => {
    const own = await makePlace();
    const plain = `plain_${own.schema}`;
    await owner.transaction((queries) =>
      queries.script(`CREATE ROLE ${plain}; ALTER SCHEMA ${own.schema} OWNER TO ${plain}`),
    );
    const ledgers = await openPostgresForAll({
      clock,
      connectionString: underRole(own.connectionString, plain),
    });
    expect(ledgers.separated).toBe(false);
    expect(await ledgers.as('key-service').users()).toEqual([]);
    await ledgers.owner.close();
    await own.remove();
    await owner.query(`DROP ROLE ${plain}`);
  });
});

describe('an admin’s migration', () => {
  it('brings an empty database to the schema, once, and finds every role there', async () => {
    const empty = await makePlace();
    try {
      const first = await migrateAsOwner(empty.connectionString);
      expect(first).toEqual({
        applied: readMigrations().map(({ number }) => number),
        schema: SCHEMA_NUMBER,
        missingRoles: [],
      });
      expect(await migrateAsOwner(empty.connectionString)).toEqual({ ...first, applied: [] });
    } finally {
      await empty.remove();
    }
  });

  it('gives roles that were made after the migrations what they need', async () => {
    const roles = LEDGER_USERS.map(roleOf).join(', ');
    await owner.transaction((queries) =>
      queries.script(`REVOKE ALL ON ALL TABLES IN SCHEMA ${place.schema} FROM ${roles};
        REVOKE ALL ON ALL SEQUENCES IN SCHEMA ${place.schema} FROM ${roles};
        REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${place.schema} FROM ${roles};
        REVOKE ALL ON SCHEMA ${place.schema} FROM ${roles}`),
    );
    expect(await refusal(as('ocsp'), 'SELECT number FROM migrations')).not.toBeUndefined();
    expect(await migrateAsOwner(place.connectionString)).toMatchObject({ applied: [], missingRoles: [] });
    for (const user of LEDGER_USERS)
      expect(await grantedRights(owner, roleOf(user)), user).toEqual(RIGHTS[user]);
    expect(await refusal(as('publish-crl'), 'SELECT settled_audit_entry()')).toBeUndefined();
    expect(await refusal(as('ocsp'), 'SELECT settled_audit_entry()')).toBe(REFUSED);
  });
});
