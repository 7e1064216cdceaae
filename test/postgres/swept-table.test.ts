/** The table that a sweep keeps, while others write: what one connection alone cannot show. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { takenUp, told } from '../contract/swept-table.ts';
import { gathered } from '../support/gathered.ts';
import { readDuringRewrite } from './rewriting.ts';
import { openTestPostgres } from './support.ts';

let database: Database;
let ledger: Ledger;
let lease: Lease;
beforeEach(async () => {
  database = await openTestPostgres();
  ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
  lease = (await ledger.acquireLease(SWEEP_SUBJECT, 60_000)) ?? expect.unreachable();
  await database.query(
    `INSERT INTO users (user_id, primary_email, state, reason, since, failures)
     SELECT (100 + number)::text, number || '@acme.example', 'ready', '', now(), 0 FROM generate_series(1, 400) AS number`,
  );
});
afterEach(() => ledger.close());

const read = () =>
  ledger.atOneMoment(async (moment) => ({
    name: moment.name,
    bytes: await gathered(moment.packedUsers),
  }));
const keep = async ({ name, bytes }: Awaited<ReturnType<typeof read>>) =>
  ledger.keepTable(lease, name, { head: 'head', bytes });
const block = (userId: string) => `UPDATE users SET state = 'blocked' WHERE user_id = '${userId}'`;
const asItIs = async () => expect(await ledger.atOneMoment(takenUp)).toEqual(told((await read()).bytes));

describe('the table that a sweep keeps, on PostgreSQL,', () => {
  it('lacks no write that was under way when it was read, whether that ends before it is kept or after', async () => {
    let end: () => void = () => undefined;
    const underWay = (userId: string) => {
      const started = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<void>();
      const done = database.transaction(async (queries) => {
        await queries.query(block(userId));
        started.resolve();
        await ended.promise;
      });
      return { started: started.promise, end: ended.resolve, done };
    };
    const [before, after] = [underWay('101'), underWay('102')];
    await Promise.all([before.started, after.started]);
    const found = await read();
    end = after.end;
    before.end();
    await before.done;
    await keep(found);
    await asItIs();
    end();
    await after.done;
    await asItIs();
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(2);
  });

  it('is of one moment: who is written while it is read, or whose row moves, is in it as before, and once', async () => {
    const before = told((await read()).bytes);
    const found = await ledger.atOneMoment(async (moment) => {
      await database.query("UPDATE users SET reason = repeat('long ', 200)");
      await database.query(block('101'));
      await database.query(
        "INSERT INTO users (user_id, primary_email, state, reason, since, failures) VALUES ('1', 'new@acme.example', 'ready', '', now(), 0)",
      );
      return { name: moment.name, bytes: await gathered(moment.packedUsers) };
    });
    expect(told(found.bytes)).toEqual(before);
    await keep(found);
    await asItIs();
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(2);
  });

  it('waits for whoever rewrites the table of users, and has everybody as they are then', async () => {
    const { bytes } = await readDuringRewrite(database, read);
    expect(told(bytes).size).toBe(400);
  });

  it('counts somebody whose row is gone, or has another id, among the changed and does not have them', async () => {
    await keep(await read());
    const changed = () =>
      ledger.atOneMoment(async (moment) => {
        const { users, packed } = await moment.changedUsers();
        return [users, told(Buffer.concat(packed)).size];
      });
    await database.query("DELETE FROM users WHERE user_id = '101'");
    expect(await changed()).toEqual([1, 0]);
    await database.query("UPDATE users SET user_id = '9' WHERE user_id = '102'");
    expect(await changed()).toEqual([3, 1]);
    await expect(database.query('TRUNCATE users CASCADE')).rejects.toThrow('a revocation is never changed');
  });

  it('forgets the changes of a database that was restored from one of more transactions', async () => {
    await database.query("INSERT INTO swept_changes (user_id, changed_by) VALUES ('101', '9000000000')");
    await keep(await read());
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(0);
  });

  it('is not used once the table of users was rewritten, as migrations do without a trigger, even if it was kept after that', async () => {
    const kept = () => ledger.atOneMoment((moment) => moment.keptTable());
    const rewrite = async () => {
      await database.query('ALTER TABLE users ADD COLUMN more bigint GENERATED ALWAYS AS (failures) STORED');
      await database.query('ALTER TABLE users DROP COLUMN more');
    };
    await keep(await read());
    expect(await kept()).toMatchObject({ head: 'head' });
    await rewrite();
    expect(await kept()).toBeUndefined();
    const found = await read();
    await rewrite();
    await keep(found);
    expect(await kept()).toBeUndefined();
    await keep(await read());
    expect(await kept()).toMatchObject({ head: 'head' });
  });

  it('is not used where its moment was of a server that was started at another time, whose transactions may have other numbers', async () => {
    const { name, bytes } = await read();
    const [started] = await database.query<{ at: string }>(
      'SELECT extract(epoch FROM pg_postmaster_start_time())::text AS at',
    );
    const elsewhere = name.replace(started?.at ?? '', '1');
    expect(elsewhere).not.toBe(name);
    await keep({ name: elsewhere, bytes });
    expect(await ledger.atOneMoment((moment) => moment.keptTable())).toBeUndefined();
  });

  it('is used from the next sweep on, and every write is noted whoever makes it', async () => {
    await keep(await read());
    for (const statement of [
      "UPDATE users SET rule_name = 'others' WHERE user_id = '101'",
      "UPDATE users SET suspended_at = now() WHERE user_id = '102'",
      "UPDATE users SET left_scope_at = now() WHERE user_id = '103'",
      "UPDATE users SET address_digest = 1 WHERE user_id = '104'",
      block('105'),
      "UPDATE users SET archived = true WHERE user_id = '107'",
      "UPDATE users SET deleted_at = now() WHERE user_id = '108'",
      "UPDATE users SET next_action = 'observe-again', next_action_at = now() WHERE user_id = '109'",
    ])
      await database.query(statement);
    await asItIs();
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(8);
    await database.query("UPDATE users SET reason = 'another' WHERE user_id = '106'");
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(8);
  });

  it('is kept however long it takes to forget a list that grew while no sweep ran', async () => {
    await database.query(block('101'));
    const impatient: Database = {
      ...database,
      transaction: (work) =>
        database.transaction(async (queries) => {
          await queries.query('SET LOCAL statement_timeout = 100');
          return await work(queries);
        }),
    };
    await database.transaction((queries) =>
      queries.script(`
        CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
        CREATE TRIGGER takes_long BEFORE DELETE ON swept_changes FOR EACH STATEMENT EXECUTE FUNCTION take_long();`),
    );
    const found = await read();
    try {
      const other = createLedger({
        database: impatient,
        clock: { now: () => new Date('2027-03-01T09:00:00Z') },
      });
      await other.keepTable(lease, found.name, { head: 'head', bytes: found.bytes });
    } finally {
      await database.query('DROP FUNCTION take_long CASCADE');
    }
    await asItIs();
    expect((await ledger.atOneMoment((moment) => moment.changedUsers())).users).toBe(0);
  });

  it('ends with what whoever is given a part throws, and the connection serves on', async () => {
    const { name } = await read();
    await ledger.keepTable(lease, name, { head: 'head', bytes: Buffer.alloc(4_000_000) });
    let parts = 0;
    const reading = ledger.atOneMoment((moment) =>
      moment.keptBytes(() => {
        parts += 1;
        if (parts === 2) throw new Error('enough');
      }),
    );
    await expect(reading).rejects.toThrow('enough');
    expect(parts).toBe(2);
    expect(await ledger.atOneMoment((moment) => moment.keptTable())).toMatchObject({ head: 'head' });
  });
});
