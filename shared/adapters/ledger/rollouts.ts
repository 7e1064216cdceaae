/** The queue of hints that wait for their wave, and how far the rollout is. */
import type { Clock } from '../../ports/clock.ts';
import type { RolloutLedger, WaveHint, WaveKind } from '../../ports/ledger/rollouts.ts';
import { SWEEP_SUBJECT } from '../../ports/ledger/sweeps.ts';
import { optional } from './columns.ts';
import type { Database, TransactionQueries } from './database.ts';
import { underLease } from './leases.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** A join takes seconds, and a minute where many come at once. */
const GRACE_MS = 2 * MINUTE_MS;

/**
 * Where a user of the rollout stands. Whoever was hinted at is under way until the ledger says ready, blocked, leaving or out, or
 * until an hour has passed and no row has come: then the policy no longer covers them, or the next sweep finds them again.
 */
const PLACE = `CASE
    WHEN entry.hinted_at IS NULL THEN 'waiting'
    WHEN known.state IN ('blocked') THEN 'blocked'
    WHEN known.state IN ('ready', 'leaving', 'out') THEN 'ready'
    WHEN known.state IS NULL AND entry.hinted_at < $1 THEN 'ready'
    ELSE 'under way' END`;

const FROM = 'rollout_users AS entry LEFT JOIN users AS known USING (user_id)';

/** Let out between $1, an hour ago, and $2, two minutes ago, and still on the way for want of anything but time. */
const IS_LATE = `entry.hinted_at > $1 AND entry.hinted_at <= $2
    AND coalesce(known.state, 'pending') = 'pending'
    AND coalesce(known.next_action, '') NOT IN ('ask-gmail-again', 'wait-for-address')`;

export const rollouts = (database: Database, clock: Clock): RolloutLedger => {
  const ago = (milliseconds: number) => new Date(clock.now().getTime() - milliseconds);
  const anHourAgo = () => ago(HOUR_MS);

  return {
    queueHints: (lease, hints) =>
      underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
        if (hints.length === 0) return 0;
        const rolloutId = await rolloutUnderWay(queries, clock.now());
        const userIds = hints.map(({ userId }) => userId);
        const sweepIds = hints.map(({ sweepId }) => String(sweepId));
        const [put] = await queries.query<{ users: number }>(
          `WITH put AS (
           INSERT INTO rollout_users AS queued (user_id, rollout_id, kind, sweep_id, waiting_since)
           SELECT DISTINCT ON (user_id) user_id, $4, kind, sweep_id::bigint, $5
             FROM unnest($1::text[], $2::text[], $3::text[]) AS hints (user_id, kind, sweep_id) ORDER BY user_id, kind
           ON CONFLICT (user_id) DO UPDATE SET
             rollout_id = excluded.rollout_id, kind = excluded.kind, sweep_id = excluded.sweep_id, policy = NULL,
             waiting_since = excluded.waiting_since, hinted_at = NULL
           WHERE queued.hinted_at <= $6
           RETURNING 1
           )
           SELECT count(*)::int AS users FROM put`,
          [userIds, hints.map(({ kind }) => kind), sweepIds, rolloutId, clock.now(), anHourAgo()],
        );
        if (put?.users === new Set(userIds).size) return put.users;
        // Of whoever waited already, those count whom the same sweep had put there.
        const [found] = await queries.query<{ users: number }>(
          `SELECT count(DISTINCT user_id)::int AS users FROM rollout_users AS queued
             JOIN unnest($1::text[], $2::text[]) AS hints (user_id, sweep_id) USING (user_id)
            WHERE queued.sweep_id = hints.sweep_id::bigint`,
          [userIds, sweepIds],
        );
        return found?.users ?? 0;
      }),

    nextWave: async (limit) => {
      const rows = await database.query<WaveRow>(
        `SELECT user_id, kind, sweep_id, policy FROM rollout_users
          WHERE hinted_at IS NULL AND NOT coalesce((SELECT paused FROM rollout_switch), false)
          ORDER BY kind = 'look-by-age', waiting_since, user_id LIMIT $1`,
        [limit],
      );
      return rows.map((row) => ({ userId: row.user_id, kind: row.kind, origin: originOf(row) }));
    },

    wavesLately: async () => {
      const [row] = await database.query<{ last_minute: number; late: number }>(
        `SELECT count(*) FILTER (WHERE entry.hinted_at > $3)::int
                  + (SELECT count(*) FROM due_hints WHERE due_hints.hinted_at > $3)::int AS last_minute,
                count(*) FILTER (WHERE ${IS_LATE})::int AS late
           FROM ${FROM} WHERE entry.hinted_at > $1`,
        [anHourAgo(), ago(GRACE_MS), ago(MINUTE_MS)],
      );
      return { lastMinute: row?.last_minute ?? 0, late: row?.late ?? 0 };
    },

    recordWave: (lease, userIds) =>
      underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
        await queries.query(
          'UPDATE rollout_users SET hinted_at = $2, hints = hints + 1 WHERE user_id = ANY ($1)',
          [userIds, clock.now()],
        );
      }),

    endRolloutIfDone: (lease) =>
      underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
        const [row] = await queries.query<{ open: boolean }>(
          `SELECT EXISTS (SELECT FROM ${FROM} WHERE ${PLACE} IN ('waiting', 'under way')) AS open`,
          [anHourAgo()],
        );
        if (row?.open !== false) return false;
        const ended = await queries.query(
          'UPDATE rollouts SET ended_at = $1 WHERE ended_at IS NULL RETURNING rollout_id',
          [clock.now()],
        );
        // Within a minute of its last wave the rows still count towards the limit per minute.
        await queries.query('DELETE FROM rollout_users WHERE hinted_at <= $1', [ago(MINUTE_MS)]);
        return ended.length > 0;
      }),

    switchRollout: async ({ paused, by }) => {
      await database.query(
        `INSERT INTO rollout_switch (paused, changed_by, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (only_row) DO UPDATE SET
           paused = excluded.paused, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
        [paused, by, clock.now()],
      );
    },

    rolloutOverview: async () => {
      const [row] = await database.query<{
        begun_at: Date | null;
        paused: boolean | null;
        changed_by: string | null;
        changed_at: Date | null;
        total: number;
        waiting: number;
        under_way: number;
        ready: number;
        blocked: number;
        waiting_since: Date | null;
        late: number;
      }>(
        `WITH open AS (SELECT rollout_id, begun_at FROM rollouts WHERE ended_at IS NULL),
              placed AS (SELECT entry.waiting_since, ${PLACE} AS place, ${IS_LATE} AS late
                           FROM ${FROM} JOIN open USING (rollout_id))
         SELECT (SELECT begun_at FROM open), switch.paused, switch.changed_by, switch.changed_at,
                count(place)::int AS total,
                count(*) FILTER (WHERE place = 'waiting')::int AS waiting,
                count(*) FILTER (WHERE place = 'under way')::int AS under_way,
                count(*) FILTER (WHERE place = 'ready')::int AS ready,
                count(*) FILTER (WHERE place = 'blocked')::int AS blocked,
                min(waiting_since) FILTER (WHERE place = 'waiting') AS waiting_since,
                count(*) FILTER (WHERE late)::int AS late
           FROM (SELECT) AS one LEFT JOIN rollout_switch AS switch ON true LEFT JOIN placed ON true
          GROUP BY switch.paused, switch.changed_by, switch.changed_at`,
        [anHourAgo(), ago(GRACE_MS)],
      );
      return {
        paused: row?.paused ?? false,
        total: row?.total ?? 0,
        waiting: row?.waiting ?? 0,
        underWay: row?.under_way ?? 0,
        ready: row?.ready ?? 0,
        blocked: row?.blocked ?? 0,
        late: row?.late ?? 0,
        ...optional('waitingSince', row?.waiting_since ?? null),
        ...optional('begunAt', row?.begun_at ?? null),
        ...optional('changedBy', row?.changed_by ?? null),
        ...optional('changedAt', row?.changed_at ?? null),
      };
    },
  };
};

interface WaveRow {
  readonly user_id: string;
  readonly kind: WaveKind;
  readonly sweep_id: bigint | null;
  readonly policy: string | null;
}

function originOf({ user_id, sweep_id, policy }: WaveRow): WaveHint['origin'] {
  if (sweep_id !== null) return { sweepId: sweep_id };
  if (policy === null) throw new Error(`bug: nothing says why ${user_id} waits`);
  return { activation: policy };
}

/** The one that is open, begun if there is none. */
export const rolloutUnderWay = async (queries: TransactionQueries, now: Date): Promise<bigint> => {
  const [open] = await queries.query<{ rollout_id: bigint }>(
    'SELECT rollout_id FROM rollouts WHERE ended_at IS NULL',
  );
  if (open !== undefined) return open.rollout_id;
  const [begun] = await queries.query<{ rollout_id: bigint }>(
    'INSERT INTO rollouts (begun_at) VALUES ($1) RETURNING rollout_id',
    [now],
  );
  if (begun === undefined) throw new Error('bug: a rollout was begun without a number');
  return begun.rollout_id;
};
