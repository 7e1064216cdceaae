import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { readDuringRewrite } from './rewriting.ts';
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

describe('a user whose table a migration rewrites', () => {
  it.each<[string, () => Promise<readonly unknown[]>]>([
    ['alone', async () => [(await ledger.readUser('1')).user]],
    ['among others', async () => (await ledger.readUsers(['1'])).map(({ user }) => user)],
    ['as one of all', async () => (await ledger.users()).map(({ user }) => user)],
    ['by what a sweep compares', async () => [(await ledger.sweptUsers(['1'])).get('1')]],
  ])('is there when read %s', async (_how, read) => {
    expect(await readDuringRewrite(database, read)).toEqual([
      expect.objectContaining({ userId: '1', state: 'ready' }),
    ]);
  });
});
