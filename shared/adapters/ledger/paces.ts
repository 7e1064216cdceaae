/** Quotas shared by all instances: the generic cell rate algorithm, one row and one statement for each booking. */
import type { PaceLedger } from '../../ports/ledger/paces.ts';
import type { Database } from './database.ts';

const MINUTE_MS = 60_000;

export const paces = (database: Database): PaceLedger => ({
  bookPace: async ({ pace, units, unitsPerMinute, burstUnits, maxWaitMs }) => {
    const msPerUnit = MINUTE_MS / unitsPerMinute;
    // `next` is when everything granted so far, these units included, will have been earned; it may lie a burst ahead.
    const [row] = await database.query<{ wait_ms: number | null }>(
      `INSERT INTO paces AS pace (pace, next_at, wait_ms)
       VALUES ($1,
         clock_timestamp() + CASE WHEN $2::float8 - $3::float8 > $4::float8 THEN 0 ELSE $2::float8 END * interval '1 millisecond',
         CASE WHEN $2::float8 - $3::float8 > $4::float8 THEN NULL ELSE greatest(0, $2::float8 - $3::float8) END)
       ON CONFLICT (pace) DO UPDATE SET (next_at, wait_ms) = (
         SELECT
           CASE WHEN wait > $4::float8 THEN pace.next_at ELSE next END,
           CASE WHEN wait > $4::float8 THEN NULL ELSE greatest(0, wait) END
         FROM (SELECT asked, next, extract(epoch FROM next - asked)::double precision * 1000 - $3::float8 AS wait
                 FROM (SELECT asked, greatest(pace.next_at, asked) + $2::float8 * interval '1 millisecond' AS next
                         FROM (SELECT clock_timestamp() AS asked OFFSET 0) AS clock) AS booked) AS judged)
       RETURNING wait_ms`,
      [pace, units * msPerUnit, burstUnits * msPerUnit, maxWaitMs],
    );
    return row?.wait_ms ?? undefined;
  },

  holdPace: async (pace, waitMs) => {
    await database.query(
      `INSERT INTO paces AS pace (pace, next_at) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
       ON CONFLICT (pace) DO UPDATE SET next_at = greatest(pace.next_at, excluded.next_at)`,
      [pace, waitMs],
    );
  },
});
