import { expect } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';

/** What is read of the table of users, asked for while a migration rewrites it. To snapshots from before, the table is empty afterwards. */
export async function readDuringRewrite<T>(database: Database, read: () => Promise<T>): Promise<T> {
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
