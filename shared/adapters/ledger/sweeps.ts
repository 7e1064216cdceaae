/** Sweeps of the directory: how far they are, whom they have seen, whom whole ones have missed. */
import type { UserState } from '../../domain/records.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  EVERYBODY,
  type GroupReading,
  MOST_WRITES,
  SWEEP_SUBJECT,
  type SweepLedger,
  type SweepPhase,
  type SweepRecord,
  type SweptMoment,
} from '../../ports/ledger/sweeps.ts';
import type { Lease } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import {
  consistently,
  type Database,
  type Queries,
  type TransactionQueries,
  type TransactionReads,
} from './database.ts';
import { underLease } from './leases.ts';

interface SweepRow {
  readonly sweep_id: bigint;
  readonly scope: string;
  readonly state: SweepRecord['state'];
  readonly cause_id: string;
  readonly cause_event: string;
  readonly requested_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly pass_at: Date | null;
  readonly passes: number;
  readonly phase: SweepPhase;
  readonly page_token: string | null;
  readonly pages: number;
  readonly living: number;
  readonly deleted: number;
  readonly differing: number;
  readonly sampled: number;
  readonly missing: number | null;
  readonly failures: number;
  readonly why: string | null;
  readonly covering: string[] | null;
  readonly groups: readonly GroupReading[];
}

const SWEEP_COLUMNS = `sweep_id, scope, state, cause_id, cause_event, requested_at, started_at, ended_at, pass_at, passes,
  phase, page_token, pages, living, deleted, differing, sampled, missing, failures, why, covering, groups`;

const sweepRecord = (row: SweepRow): SweepRecord => ({
  sweepId: row.sweep_id,
  scope: row.scope,
  state: row.state,
  cause: { eventId: row.cause_id, event: row.cause_event },
  requestedAt: row.requested_at,
  passes: row.passes,
  phase: row.phase,
  pages: row.pages,
  living: row.living,
  deleted: row.deleted,
  differing: row.differing,
  sampled: row.sampled,
  failures: row.failures,
  ...optional('startedAt', row.started_at),
  ...optional('endedAt', row.ended_at),
  ...optional('passAt', row.pass_at),
  ...optional('pageToken', row.page_token),
  ...optional('missing', row.missing),
  ...optional('why', row.why),
  ...optional('covering', row.covering),
  ...optional('groups', row.groups.length === 0 ? null : row.groups),
});

/** The one row a statement about one sweep answers. */
const theSweep = (sweepId: bigint, rows: readonly SweepRow[]): SweepRecord => {
  const [row] = rows;
  if (row === undefined) throw new Error(`bug: sweep ${sweepId} is not under way`);
  return sweepRecord(row);
};

/** Some two thousand users, packed in fifty kilobytes: about what a socket delivers at once. */
const BLOCKS_A_VALUE = 50;
/** Of the kept table: as much as a socket delivers at once, and a megabyte and a half. */
const PART_BYTES = 48 * 1_024;
const PARTS_A_STATEMENT = 32;
/**
 * While this is the same, a kept table lacks nothing but the changes on the list. A rewritten table of users may say of everybody what
 * no trigger noted; and after a failover, or restored from a copy, a server may have lost transactions and give their numbers to others.
 */
const SAME = `pg_relation_filenode('users') || '/' || extract(epoch FROM pg_postmaster_start_time())`;

export const sweeps = (database: Database, clock: Clock): SweepLedger => {
  const write = <T>(lease: Lease, work: (queries: TransactionQueries) => Promise<T>): Promise<T> =>
    underLease(database, lease, SWEEP_SUBJECT, work);

  return {
    requestSweep: async ({ scope, cause }) => {
      await database.query(
        `INSERT INTO sweeps (scope, state, cause_id, cause_event, requested_at) VALUES ($1, 'waiting', $2, $3, $4)
         ON CONFLICT (scope) WHERE state = 'waiting' DO NOTHING`,
        [scope, cause.eventId, cause.event, clock.now()],
      );
    },

    takeUpSweep: (lease) =>
      write(lease, async (queries) => {
        const [running] = await queries.query<SweepRow>(
          `SELECT ${SWEEP_COLUMNS} FROM sweeps WHERE state = 'running'`,
        );
        if (running !== undefined) return sweepRecord(running);
        const [begun] = await queries.query<SweepRow>(
          `UPDATE sweeps SET state = 'running', started_at = $1, pass_at = $1, passes = 1
            WHERE sweep_id = (SELECT min(sweep_id) FROM sweeps WHERE state = 'waiting')
            RETURNING ${SWEEP_COLUMNS}`,
          [clock.now()],
        );
        return begun === undefined ? undefined : sweepRecord(begun);
      }),

    beginPass: (lease, sweepId) =>
      write(lease, async (queries) => {
        await forget(queries, sweepId);
        return theSweep(
          sweepId,
          await queries.query<SweepRow>(
            `UPDATE sweeps SET pass_at = $2, passes = passes + 1, phase = 'living', page_token = NULL,
                    pages = 0, living = 0, deleted = 0, differing = 0, covering = '{}', groups = '[]'
              WHERE sweep_id = $1 AND state = 'running' RETURNING ${SWEEP_COLUMNS}`,
            [sweepId, clock.now()],
          ),
        );
      }),

    recordSweepProgress: (lease, sweepId, progress) =>
      write(lease, async (queries) => {
        if (progress.seen.length > 0) {
          await queries.query('INSERT INTO sweep_seen (sweep_id, packed) VALUES ($1, $2)', [
            sweepId,
            progress.seen,
          ]);
        }
        theSweep(
          sweepId,
          await queries.query<SweepRow>(
            `UPDATE sweeps SET phase = $2, page_token = $3, pages = $4, living = $5, deleted = $6, differing = $7,
                    covering = $8, failures = 0, why = NULL
              WHERE sweep_id = $1 AND state = 'running' RETURNING ${SWEEP_COLUMNS}`,
            [
              sweepId,
              progress.phase,
              progress.pageToken ?? null,
              progress.pages,
              progress.living,
              progress.deleted,
              progress.differing,
              progress.covering ?? null,
            ],
          ),
        );
      }),

    recordGroupReading: (lease, sweepId, reading, members) =>
      write(lease, async (queries) => {
        if (members.length > 0) {
          await queries.query('INSERT INTO sweep_members (sweep_id, group_id, packed) VALUES ($1, $2, $3)', [
            sweepId,
            reading.groupId,
            members,
          ]);
        }
        theSweep(
          sweepId,
          await queries.query<SweepRow>(
            `UPDATE sweeps SET failures = 0, why = NULL, groups = $3::jsonb || coalesce(
                      (SELECT jsonb_agg(known) FROM jsonb_array_elements(groups) AS known WHERE known ->> 'groupId' <> $2), '[]')
              WHERE sweep_id = $1 AND state = 'running' RETURNING ${SWEEP_COLUMNS}`,
            [sweepId, reading.groupId, JSON.stringify([reading])],
          ),
        );
      }),

    membersOfSweep: (sweepId) => members(database, sweepId),

    recordSweepFailure: (lease, sweepId, why) =>
      write(lease, async (queries) => {
        const rows = await queries.query<SweepRow>(
          `UPDATE sweeps SET failures = failures + 1, why = $2
            WHERE sweep_id = $1 AND state = 'running' RETURNING ${SWEEP_COLUMNS}`,
          [sweepId, why],
        );
        return theSweep(sweepId, rows).failures;
      }),

    seenBySweep: (sweepId) => seen(database, sweepId),

    endSweep: (lease, sweepId, end) =>
      write(lease, async (queries) => {
        const rows = await queries.query<SweepRow>(
          `UPDATE sweeps SET state = $2, ended_at = $3, why = $4, missing = $5, sampled = $6, page_token = NULL,
                  pages = coalesce($7, pages), living = coalesce($8, living), deleted = coalesce($9, deleted),
                  differing = coalesce($10, differing), groups = '[]'
            WHERE sweep_id = $1 AND state = 'running' RETURNING ${SWEEP_COLUMNS}`,
          [
            sweepId,
            end.state,
            clock.now(),
            end.state === 'whole' ? null : end.why,
            end.state === 'whole' ? end.missing.length : null,
            end.state === 'whole' ? end.sampled : 0,
            end.counts?.pages ?? null,
            end.counts?.living ?? null,
            end.counts?.deleted ?? null,
            end.counts?.differing ?? null,
          ],
        );
        const sweep = theSweep(sweepId, rows);
        if (end.state === 'whole' && sweep.scope === EVERYBODY) {
          await concludeAbsences(queries, sweep, end.missing);
        }
        await forget(queries, sweepId);
        return sweep;
      }),

    sweepOverview: async () => {
      const rows = await database.query<SweepRow>(
        `(SELECT ${SWEEP_COLUMNS} FROM sweeps WHERE state IN ('waiting', 'running'))
         UNION (SELECT ${SWEEP_COLUMNS} FROM sweeps WHERE scope = '${EVERYBODY}' AND state = 'whole'
                 ORDER BY sweep_id DESC LIMIT 1)
         UNION (SELECT ${SWEEP_COLUMNS} FROM sweeps
                 WHERE scope = '${EVERYBODY}' AND state IN ('whole', 'not-whole') ORDER BY sweep_id DESC LIMIT 1)
         ORDER BY sweep_id`,
      );
      const all = rows.map(sweepRecord);
      const last = (states: readonly SweepRecord['state'][]) =>
        all.findLast(({ state, scope }) => states.includes(state) && scope === EVERYBODY) ?? null;
      return {
        waiting: all.filter(({ state }) => state === 'waiting'),
        ...optional('running', all.find(({ state }) => state === 'running') ?? null),
        ...optional('lastWhole', last(['whole'])),
        ...optional('lastEnded', last(['whole', 'not-whole'])),
      };
    },

    atOneMoment: (read) =>
      consistently(database, async (queries) => {
        // Everybody is one statement, and takes seconds of ten million.
        await queries.query("SET LOCAL statement_timeout = '2min'");
        // Before there is a snapshot. To one from before a migration that rewrites a table, the table is empty afterwards.
        await queries.query('LOCK TABLE users, swept_table, swept_changes IN ACCESS SHARE MODE');
        const [moment] = await queries.query<{ name: string }>(
          `SELECT pg_current_snapshot() || ' ' || ${SAME} AS name`,
        );
        if (moment === undefined) throw new Error('bug: a moment without a name');
        return await read(sweptMoment(queries, moment.name));
      }),

    keepTable: (lease, moment, { head, bytes }) =>
      write(lease, async (queries) => {
        const [snapshot = '', same = ''] = moment.split(' ');
        // Of a list that grew for months while nobody swept it takes longer than a statement otherwise may.
        await queries.query('SET LOCAL statement_timeout = 0');
        await queries.query('DELETE FROM swept_table');
        // What that moment did not see stays. Of a database that was restored elsewhere, transactions seem to be of the future.
        await queries.query(
          `DELETE FROM swept_changes
            WHERE pg_visible_in_snapshot(changed_by, $1::pg_snapshot)
               OR changed_by >= pg_snapshot_xmax(pg_current_snapshot())`,
          [snapshot],
        );
        await queries.query("INSERT INTO swept_table (part, bytes) VALUES (0, convert_to($1, 'UTF8'))", [
          `${same} ${head}`,
        ]);
        for (let at = 0; at < bytes.length; at += PARTS_A_STATEMENT * PART_BYTES) {
          await queries.query(
            `INSERT INTO swept_table (part, bytes)
             SELECT $1::int + part, substr($2::bytea, part * $3::int + 1, $3::int)
               FROM generate_series(0, (length($2::bytea) - 1) / $3::int) AS part`,
            [1 + at / PART_BYTES, bytes.subarray(at, at + PARTS_A_STATEMENT * PART_BYTES), PART_BYTES],
          );
        }
      }),

    sweptUsers: async (userIds) => {
      const rows = await database.query<{
        user_id: string;
        state: UserState;
        left: boolean;
        suspended: boolean;
        deleted: boolean;
        archived: boolean;
        observed: boolean;
        rule_name: string | null;
        address_digest: number | null;
      }>(
        `SELECT user_id, state, left_scope_at IS NOT NULL AS left, suspended_at IS NOT NULL AS suspended,
                deleted_at IS NOT NULL AS deleted, archived, next_action IS NOT DISTINCT FROM 'observe-again' AS observed, rule_name,
                address_digest
           FROM users WHERE user_id = ANY ($1)`,
        [userIds],
      );
      return new Map(
        rows.map((row) => [
          row.user_id,
          {
            userId: row.user_id,
            state: row.state,
            hasLeftScope: row.left,
            isSuspended: row.suspended,
            isDeleted: row.deleted,
            isArchived: row.archived,
            isObserved: row.observed,
            ...optional('ruleName', row.rule_name),
            ...optional('addressDigest', row.address_digest),
          },
        ]),
      );
    },

    unseenSince: async (userIds, since) => {
      const rows = await database.query<{
        user_id: string;
        deleted: boolean;
        first_missed_at: Date | null;
        last_missed_at: Date | null;
      }>(
        `SELECT user_id, deleted_at IS NOT NULL AS deleted, first_missed_at, last_missed_at
           FROM users LEFT JOIN absences USING (user_id)
          WHERE user_id = ANY ($1) AND state <> 'out' AND (sighted_at IS NULL OR sighted_at < $2) ORDER BY user_id`,
        [userIds, since],
      );
      return rows.map((row) => ({
        userId: row.user_id,
        isDeleted: row.deleted,
        ...(row.first_missed_at !== null && row.last_missed_at !== null
          ? { absence: { firstMissedAt: row.first_missed_at, lastMissedAt: row.last_missed_at } }
          : {}),
      }));
    },

    readyUsersNotSightedSince: async (since, limit) => {
      const rows = await database.query<{ user_id: string }>(
        `SELECT user_id FROM users
          WHERE state = 'ready' AND (sighted_at IS NULL OR sighted_at < $1) AND deleted_at IS NULL
            AND NOT EXISTS (SELECT FROM rollout_users AS queued WHERE queued.user_id = users.user_id)
          ORDER BY sighted_at NULLS FIRST, user_id LIMIT $2`,
        [since, limit],
      );
      return rows.map((row) => row.user_id);
    },
  };
};

const forget = async (queries: Queries, sweepId: bigint): Promise<void> => {
  await queries.query('DELETE FROM sweep_seen WHERE sweep_id = $1', [sweepId]);
  await queries.query('DELETE FROM sweep_members WHERE sweep_id = $1', [sweepId]);
};

const sweptMoment = (queries: TransactionReads, name: string): SweptMoment => ({
  name,

  estimateUsers: async () => {
    const [row] = await queries.query<{ users: number }>(
      `SELECT greatest(reltuples, 0)::int AS users FROM pg_class WHERE oid = 'users'::regclass`,
    );
    return row?.users ?? 0;
  },

  // By place in the table and not by id: whole blocks in their order cost half of what an index and its rows do.
  packedUsers: (take) =>
    queries.eachBytes(
      `SELECT (SELECT string_agg(swept, '') FROM users
                WHERE ctid >= format('(%s,0)', block)::tid AND ctid < format('(%s,0)', block + ${BLOCKS_A_VALUE})::tid)
         FROM generate_series(0, (pg_relation_size('users') / current_setting('block_size')::int)::int, ${BLOCKS_A_VALUE}) AS block`,
      take,
    ),

  keptTable: async () => {
    const [row] = await queries.query<{ kept: string; same: string; writes: number }>(
      `SELECT convert_from(bytes, 'UTF8') AS kept, ${SAME} AS same,
              (SELECT count(*)::int FROM (SELECT FROM swept_changes LIMIT ${MOST_WRITES}) AS counted) AS writes
         FROM swept_table WHERE part = 0`,
    );
    if (row === undefined || !row.kept.startsWith(`${row.same} `)) return undefined;
    return { head: row.kept.slice(row.same.length + 1), writes: row.writes };
  },

  keptBytes: (take) => queries.eachBytes('SELECT bytes FROM swept_table WHERE part > 0 ORDER BY part', take),

  changedUsers: async () => {
    // An array, or else a database that knows nothing of the list of changes yet reads everybody.
    const [counted, ...packed] = await queries.bytes(
      `WITH changed AS MATERIALIZED (SELECT DISTINCT user_id FROM swept_changes)
       SELECT int4send(count(*)::int) FROM changed
       UNION ALL
       SELECT string_agg(swept, '') FROM users WHERE user_id = ANY (ARRAY(SELECT user_id FROM changed))`,
    );
    if (counted === undefined) throw new Error('bug: nobody counted who was written');
    return { users: Buffer.from(counted).readInt32BE(), packed };
  },
});

/** A piece at a time, each in a statement of its own: nobody holds a snapshot while they are read. */
async function* seen(database: Database, sweepId: bigint): AsyncGenerator<Uint8Array> {
  let after = -1n;
  for (;;) {
    const [row] = await database.query<{ position: bigint; packed: Uint8Array }>(
      'SELECT position, packed FROM sweep_seen WHERE sweep_id = $1 AND position > $2 ORDER BY position LIMIT 1',
      [sweepId, after],
    );
    if (row === undefined) return;
    yield row.packed;
    after = row.position;
  }
}

/** The same of the members of groups. */
async function* members(
  database: Database,
  sweepId: bigint,
): AsyncGenerator<{ readonly groupId: string; readonly packed: Uint8Array }> {
  let after = -1n;
  for (;;) {
    const [row] = await database.query<{ position: bigint; group_id: string; packed: Uint8Array }>(
      'SELECT position, group_id, packed FROM sweep_members WHERE sweep_id = $1 AND position > $2 ORDER BY position LIMIT 1',
      [sweepId, after],
    );
    if (row === undefined) return;
    yield { groupId: row.group_id, packed: row.packed };
    after = row.position;
  }
}

/**
 * Absences become those of this sweep. The first instant is the end of the first sweep and the last one the beginning
 * of this pass, so that a day between them is a day in which nobody's list had the user.
 */
const concludeAbsences = async (
  queries: Queries,
  sweep: SweepRecord,
  missing: readonly string[],
): Promise<void> => {
  await queries.query('DELETE FROM absences WHERE user_id <> ALL ($1)', [missing]);
  await queries.query(
    `INSERT INTO absences AS known (user_id, first_missed_at, last_missed_at)
     SELECT user_id, $2, $3 FROM unnest($1::text[]) AS user_id
     ON CONFLICT (user_id) DO UPDATE SET last_missed_at = excluded.last_missed_at`,
    [missing, sweep.endedAt ?? null, sweep.passAt ?? null],
  );
};
