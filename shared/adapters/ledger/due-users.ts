/** Whose time has come, and whom `due` has hinted at for it. */
import type { Clock } from '../../ports/clock.ts';
import type { DueUserLedger } from '../../ports/ledger/due-users.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';
import { type Asked, causeAsked } from './leases.ts';

/** A hint that led to nothing in ten minutes is taken for lost. */
const LOST_AFTER_MS = 10 * 60_000;

interface DueRow {
  readonly user_id: string;
  readonly next_action: string;
  readonly asked: Asked | null;
  readonly fence: bigint | null;
  readonly due_at: Date | null;
}

/**
 * $1 is now, $2 the most, $3 ten minutes ago. To the millisecond, as a `Date` has it: what is recorded has to be found equal. Whoever
 * is due twice is due for the lease.
 */
const DUE = `
  WITH abandoned AS (
    SELECT substr(subject, length('user:') + 1) AS user_id, look_again, asked, fence, expires_at
      FROM leases
     WHERE (holder IS NOT NULL OR look_again) AND expires_at <= now() AND subject LIKE 'user:%'
  ), waiting AS (
    SELECT user_id, CASE WHEN look_again THEN 'look-again' ELSE 'resume' END AS next_action,
           CASE WHEN look_again THEN asked END AS asked, fence, NULL::timestamptz AS due_at, expires_at AS since, 0 AS place
      FROM abandoned
    UNION ALL
    SELECT user_id, coalesce(next_action, 'look'), NULL, NULL, date_trunc('milliseconds', next_action_at), next_action_at, 1
      FROM users
     WHERE next_action_at <= $1 AND NOT EXISTS (SELECT FROM abandoned WHERE abandoned.user_id = users.user_id)
  ), told AS (
    SELECT waiting.*, hint.hinted_at
      FROM waiting LEFT JOIN due_hints AS hint
        ON hint.user_id = waiting.user_id
       AND hint.due_at IS NOT DISTINCT FROM waiting.due_at AND hint.fence IS NOT DISTINCT FROM waiting.fence
  )
  SELECT user_id, next_action, asked, fence, due_at FROM told
   WHERE hinted_at IS NULL OR hinted_at <= $3
   ORDER BY hinted_at NULLS FIRST, place, since, user_id
   LIMIT greatest(0, $2::int - (SELECT count(*) FROM told WHERE hinted_at > $3))`;

/** Old ones go that nobody is due for any more; the others say who was never hinted at. */
const RECORD = `
  WITH gone AS (
    DELETE FROM due_hints AS hint
     WHERE hinted_at <= $5 AND user_id <> ALL ($1::text[])
       AND NOT EXISTS (SELECT FROM users
                        WHERE users.user_id = hint.user_id AND date_trunc('milliseconds', next_action_at) = hint.due_at)
       AND NOT EXISTS (SELECT FROM leases
                        WHERE subject = 'user:' || hint.user_id AND leases.fence = hint.fence AND (holder IS NOT NULL OR look_again))
  )
  INSERT INTO due_hints (user_id, due_at, fence, hinted_at)
  SELECT user_id, nullif(due_at, '')::timestamptz, nullif(fence, '')::bigint, $4
    FROM unnest($1::text[], $2::text[], $3::text[]) AS hinted (user_id, due_at, fence) ORDER BY user_id
  ON CONFLICT (user_id) DO UPDATE SET due_at = excluded.due_at, fence = excluded.fence, hinted_at = excluded.hinted_at`;

export const dueUsers = (database: Database, clock: Clock): DueUserLedger => {
  const tenMinutesAgo = () => new Date(clock.now().getTime() - LOST_AFTER_MS);
  return {
    dueUsers: async (most) => {
      const rows = await database.query<DueRow>(DUE, [clock.now(), most, tenMinutesAgo()]);
      return rows.map((row) => ({
        userId: row.user_id,
        nextAction: row.next_action,
        occasion: occasionOf(row),
        ...optional('cause', row.asked === null ? null : causeAsked(row.asked)),
      }));
    },

    dueBy: async (at) => {
      const [row] = await database.query<{ due: bigint }>(
        'SELECT count(*) AS due FROM users WHERE next_action_at <= $1',
        [at],
      );
      return Number(row?.due ?? 0);
    },

    recordDueHints: async (hinted) => {
      if (hinted.length === 0) return;
      await database.query(RECORD, [
        hinted.map(({ userId }) => userId),
        hinted.map(({ occasion }) => (occasion instanceof Date ? occasion.toISOString() : '')),
        hinted.map(({ occasion }) => (occasion instanceof Date ? '' : String(occasion))),
        clock.now(),
        tenMinutesAgo(),
      ]);
    },
  };
};

function occasionOf({ user_id, due_at, fence }: DueRow): Date | bigint {
  const occasion = due_at ?? fence;
  if (occasion === null) throw new Error(`bug: user ${user_id} is due for nothing`);
  return occasion;
}
