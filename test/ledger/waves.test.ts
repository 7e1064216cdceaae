import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import { openTestDatabase } from '../support/ledger.ts';

let database: Database;
beforeEach(async () => {
  database = await openTestDatabase();
  const ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
  await ledger.requestSweep({ scope: '/', cause: { eventId: 'schedule', event: 'schedule' } });
  const lease = (await ledger.acquireLease(SWEEP_SUBJECT, 60_000)) ?? expect.unreachable();
  const sweepId = (await ledger.takeUpSweep(lease))?.sweepId ?? expect.unreachable();
  await ledger.queueHints(lease, [
    { userId: '1', kind: 'came-into-scope', sweepId },
    { userId: '2', kind: 'rule-changed', sweepId },
  ]);
});
afterEach(() => database.close());

describe('somebody who waits for a wave', () => {
  const copied = (columns: string) =>
    `INSERT INTO rollout_users (user_id, rollout_id, kind, sweep_id, waiting_since)
     SELECT 'another ' || user_id, ${columns}, waiting_since FROM rollout_users`;
  it.each([
    ['of a rollout that is not there', copied('9, kind, sweep_id'), 'rollout_users_have_an_origin'],
    ['put there by a sweep that is not there', copied('rollout_id, kind, 9'), 'rollout_users_have_an_origin'],
    [
      'among others, who is to be of another sweep',
      "UPDATE rollout_users SET sweep_id = CASE user_id WHEN '2' THEN 9 ELSE sweep_id END",
      'rollout_users_still_have_an_origin',
    ],
  ])('%s is refused by the database itself', async (_what, statement, constraint) => {
    const before = await database.query('SELECT * FROM rollout_users ORDER BY user_id');
    await expect(database.query(statement)).rejects.toMatchObject({ sqlState: '23503', constraint });
    expect(await database.query('SELECT * FROM rollout_users ORDER BY user_id')).toEqual(before);
  });

  it('of a policy and no sweep is not', async () => {
    await database.query("UPDATE rollout_users SET sweep_id = NULL, policy = 'v2'");
    expect(await database.query('SELECT policy FROM rollout_users')).toEqual([
      { policy: 'v2' },
      { policy: 'v2' },
    ]);
  });
});
