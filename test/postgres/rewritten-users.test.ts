/** Reads of users while a migration rewrites their table, to snapshots from before which it is empty afterwards. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { openTestPostgres } from './support.ts';

let database: Database;
let ledger: Ledger;
beforeEach(async () => {
  database = await openTestPostgres();
  ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
  await database.query(
    `INSERT INTO users (user_id, primary_email, state, reason, since, failures)
     VALUES ('1', 'ada@acme.example', 'ready', '', now(), 0)`,
  );
});
afterEach(() => ledger.close());

/** What is read of a table that is rewritten meanwhile. */
async function readDuring<T>(read: () => Promise<T>): Promise<T> {
  const rewritten = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const rewriting = database.transaction(async (queries) => {
    await queries.script(
      'ALTER TABLE users ADD COLUMN rewritten bigint GENERATED ALWAYS AS (failures + 1) STORED',
    );
    rewritten.resolve();
    await ended.promise;
  });
  await rewritten.promise;
  const found = read();
  const isWaiting = async () =>
    (await database.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length > 0;
  await expect.poll(isWaiting).toBe(true);
  ended.resolve();
  await rewriting;
  try {
    return await found;
  } finally {
    await database.query('ALTER TABLE users DROP COLUMN rewritten');
  }
}

describe('a user whose table a migration rewrites', () => {
  it.each<[string, () => Promise<readonly unknown[]>]>([
    ['alone', async () => [(await ledger.readUser('1')).user]],
    ['among others', async () => (await ledger.readUsers(['1'])).map(({ user }) => user)],
    ['as one of all', async () => (await ledger.users()).map(({ user }) => user)],
    ['by what a sweep compares', async () => [(await ledger.sweptUsers(['1'])).get('1')]],
  ])('is there when read %s', async (_how, read) => {
    expect(await readDuring(read)).toEqual([expect.objectContaining({ userId: '1', state: 'ready' })]);
  });
});
