/** Whom events named and no rule covered. */
import type { HintSource } from '../../domain/hint.ts';
import type { Clock } from '../../ports/clock.ts';
import type { PassedOverLedger } from '../../ports/ledger/passed-over.ts';
import type { Database } from './database.ts';

const KEEP_MS = 90 * 86_400_000;

interface PassedOverRow {
  readonly user_id: string;
  readonly at: Date;
  readonly source: HintSource;
  readonly event: string;
}

export const passedOver = (database: Database, clock: Clock): PassedOverLedger => ({
  recordPassedOver: async ({ userId, source, event }) => {
    const now = clock.now();
    await database.query(
      `INSERT INTO passed_over (user_id, at, source, event) VALUES ($1, $2, $3, $4)
       ON CONFLICT (user_id) DO UPDATE SET at = excluded.at, source = excluded.source, event = excluded.event`,
      [userId, now, source, event],
    );
    await database.query('DELETE FROM passed_over WHERE at < $1', [new Date(now.getTime() - KEEP_MS)]);
  },

  passedOver: async ({ since, after, limit }) => {
    const rows = await database.query<PassedOverRow>(
      `SELECT user_id, at, source, event FROM passed_over
        WHERE at >= $1 AND user_id > $2 ORDER BY user_id LIMIT $3`,
      [since, after ?? '', limit],
    );
    return rows.map(({ user_id: userId, at, source, event }) => ({ userId, at, source, event }));
  },
});
