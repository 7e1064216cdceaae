/** The switch that stops everything. */
import type { Clock } from '../../ports/clock.ts';
import type { StopLedger } from '../../ports/ledger/stop.ts';
import { insertAudit } from './audit.ts';
import type { Database } from './database.ts';
import { leaseLost } from './leases.ts';
import { wakeUsers } from './wake.ts';

interface StopRow {
  readonly stop_id: bigint;
  readonly reason: string;
  readonly stopped_by: string;
  readonly stopped_at: Date;
}

const IN_FORCE = 'SELECT stop_id, reason, stopped_by, stopped_at FROM stops WHERE resumed_at IS NULL';

const RENEW_HEEDING = `
  WITH renewed AS (
    UPDATE leases SET expires_at = clock_timestamp() + $4 * interval '1 millisecond'
     WHERE subject = $1 AND holder = $2 AND fence = $3 AND expires_at > clock_timestamp() RETURNING fence
  )
  SELECT reason, stopped_by, stopped_at FROM renewed LEFT JOIN stops ON resumed_at IS NULL`;

/** What a user's row says while it waits for the stop to end, in the planner's spelling; `resume` wakes exactly these. */
const WAIT_FOR_RESUME = 'wait-for-resume';

export const stop = (database: Database, clock: Clock): StopLedger => ({
  currentStop: async () => {
    const [row] = await database.query<StopRow>(IN_FORCE);
    return row === undefined ? undefined : { reason: row.reason, by: row.stopped_by, at: row.stopped_at };
  },

  renewHeedingStop: async (lease, durationMs) => {
    const [row] = await database.query<StopRow | { readonly reason: null }>(RENEW_HEEDING, [
      lease.subject,
      lease.holder,
      lease.fence,
      durationMs,
    ]);
    if (row === undefined) throw leaseLost(lease.subject);
    return row.reason === null ? undefined : { reason: row.reason, by: row.stopped_by, at: row.stopped_at };
  },

  recordStop: ({ by, reason }) =>
    database.transaction(async (queries) => {
      const now = clock.now();
      const rows = await queries.query<StopRow>(
        `INSERT INTO stops (reason, stopped_by, stopped_at) VALUES ($1, $2, $3)
         ON CONFLICT ((true)) WHERE resumed_at IS NULL DO NOTHING RETURNING stop_id, reason, stopped_by, stopped_at`,
        [reason, by, now],
      );
      const [row] = rows;
      if (row === undefined) return 'already';
      await insertAudit(queries, now, {
        cause: { source: 'admin', eventId: `stop-${row.stop_id}`, event: 'stop', actor: by },
        step: 'stop',
        reason: `${by} stopped everything: ${reason}`,
        outcome: 'done',
      });
      return 'stopped';
    }),

  recordResume: ({ by, paceMs }) =>
    database.transaction(async (queries) => {
      const now = clock.now();
      const [row] = await queries.query<StopRow>(`${IN_FORCE} FOR UPDATE`);
      if (row === undefined) return { kind: 'not-stopped' };
      await queries.query('UPDATE stops SET resumed_by = $2, resumed_at = $3 WHERE stop_id = $1', [
        row.stop_id,
        by,
        now,
      ]);
      const waiting = await queries.query<{ user_id: string }>(
        'SELECT user_id FROM users WHERE next_action = $1 ORDER BY user_id',
        [WAIT_FOR_RESUME],
      );
      const cause = { source: 'admin', eventId: `stop-${row.stop_id}`, event: 'resume', actor: by } as const;
      await wakeUsers(
        queries,
        waiting.map(({ user_id }) => user_id),
        now,
        paceMs,
        'resume',
        cause,
      );
      await insertAudit(queries, now, {
        cause,
        step: 'resume',
        reason: `${by} ended the stop of ${row.stopped_by} (${row.reason}); ${waiting.length} users had waited.`,
        outcome: 'done',
      });
      return { kind: 'resumed', woken: waiting.length };
    }),
});
