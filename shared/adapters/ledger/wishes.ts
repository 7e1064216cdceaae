/** Jobs and wishes: what admins asked for, and how far it is. */
import type { WishRecord } from '../../domain/records.ts';
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { JobProgress, Lease, Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';
import { readDepartureJob } from './departure-job.ts';
import { readKeyMoveJob } from './key-moves.ts';
import { askToLookAgain, underUserLease } from './leases.ts';
import { userRecords } from './user-records.ts';

interface WishRow {
  readonly wish_id: string;
  readonly user_id: string;
  readonly job_id: string;
  readonly reason: RevocationReason;
  readonly requested_by: string;
  readonly requested_at: Date;
  readonly invalidity_date: Date | null;
  readonly disable_keypairs: boolean;
}

const wishRecord = (row: WishRow): WishRecord => ({
  wishId: row.wish_id,
  userId: row.user_id,
  jobId: row.job_id,
  reason: row.reason,
  requestedBy: row.requested_by,
  requestedAt: row.requested_at,
  ...optional('invalidityDate', row.invalidity_date),
  ...(row.disable_keypairs ? { disableKeypairs: true } : {}),
});

const ASKED_BY_ADMIN = { source: 'admin', event: 'rekey' } as const;

/** Open wishes of each user, oldest first. */
export const OPEN_WISHES = userRecords<WishRow, WishRecord>(
  (these) => `SELECT wish.wish_id, wish.user_id, wish.job_id, job.reason, job.requested_by, job.requested_at,
              job.invalidity_date, job.disable_keypairs
         FROM wishes AS wish JOIN jobs AS job USING (job_id)
        WHERE wish.user_id = ${these} AND wish.state = 'open'
        ORDER BY job.requested_at, wish.wish_id`,
  wishRecord,
  { requested_at: 'instant', invalidity_date: 'instant' },
);

/** Closing twice alike is done already; closing differently is a `conflict`. */
const closeWish = (
  database: Database,
  clock: Clock,
  lease: Lease,
  wishId: string,
  state: 'fulfilled' | 'failed',
  detail: string | null,
): Promise<void> =>
  underUserLease(database, lease, async (queries, userId) => {
    const closed = await queries.query(
      `UPDATE wishes SET state = $3, detail = $4, closed_at = $5
        WHERE wish_id = $1 AND user_id = $2 AND state = 'open' RETURNING wish_id`,
      [wishId, userId, state, detail, clock.now()],
    );
    if (closed.length > 0) return;
    const [known] = await queries.query<{ state: string }>(
      'SELECT state FROM wishes WHERE wish_id = $1 AND user_id = $2',
      [wishId, userId],
    );
    if (known === undefined) {
      throw permanent('not-found', `The ledger has no wish ${wishId} of user ${userId}.`);
    }
    if (known.state !== state) {
      throw permanent('conflict', `The wish ${wishId} is ${known.state} already and cannot become ${state}.`);
    }
  });

interface ProgressRow {
  readonly primary_email: string;
  readonly state: 'open' | 'fulfilled' | 'failed';
  readonly detail: string;
}

const PROGRESS_STATES = { open: 'waiting', fulfilled: 'done', failed: 'failed' } as const;

const progressOf = (jobId: string, kind: 'rekey', rows: readonly ProgressRow[]): JobProgress => {
  const done = rows.filter((row) => row.state === 'fulfilled').length;
  const failed = rows.filter((row) => row.state === 'failed').length;
  const running = done + failed < rows.length;
  return {
    jobId,
    kind,
    state: running ? 'running' : failed > 0 ? 'failed' : 'done',
    total: rows.length,
    done,
    failed,
    users: rows.map((row) => ({
      user: row.primary_email,
      state: PROGRESS_STATES[row.state],
      detail: row.detail,
    })),
  };
};

export const wishes = (
  database: Database,
  clock: Clock,
  randomId: () => string,
): Pick<
  Ledger,
  'liveHolders' | 'recordRekeyJob' | 'usersTakenFromByJobs' | 'fulfilWish' | 'failWish' | 'readJob'
> => ({
  liveHolders: async (userIds) => {
    const rows = await database.query<{ user_id: string; primary_email: string; unit: string | null }>(
      `SELECT user_id, primary_email, unit FROM users
        WHERE ($2::text[] IS NULL OR user_id = ANY($2))
          AND EXISTS (SELECT FROM leaves AS leaf
                       WHERE leaf.user_id = users.user_id AND leaf.device_key_id IS NULL AND leaf.not_after > $1
                         AND NOT EXISTS (SELECT FROM revocations WHERE serial_hex = leaf.serial_hex))
        ORDER BY user_id`,
      [clock.now(), userIds ?? null],
    );
    return rows.map((row) => ({
      userId: row.user_id,
      primaryEmail: row.primary_email,
      ...optional('unit', row.unit),
    }));
  },

  recordRekeyJob: async (job) => {
    const jobId = randomId();
    const now = clock.now();
    // Two addresses of one user are one wish.
    const wanted = [...new Map(job.users.map((user) => [user.userId, user.primaryEmail])).entries()].map(
      ([userId, primaryEmail]) => ({ wishId: randomId(), userId, primaryEmail }),
    );
    const userIds = wanted.map((wish) => wish.userId);
    const emails = wanted.map((wish) => wish.primaryEmail);
    await database.transaction(async (queries) => {
      // A hint may be lost after this commits, so the ledger itself must wake these users. Whoever works on one of them now
      // may have read it before the wish existed and is asked to look again; the others become due.
      const actor = job.requestedBy;
      await askToLookAgain(queries, userIds, { ...ASKED_BY_ADMIN, eventId: jobId, actor, at: now });
      await queries.query(
        `INSERT INTO users AS known (user_id, primary_email, state, reason, since, next_action, next_action_at)
         SELECT user_id, primary_email, 'pending', 'A re-key was asked for; not looked at yet.', $3, 'rekey',
                $3::timestamptz + (place - 1) * $4::float8 * interval '1 millisecond'
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (user_id, primary_email, place) ORDER BY user_id
         ON CONFLICT (user_id) DO UPDATE SET
           failures = 0,
           next_action = CASE WHEN known.next_action_at < excluded.next_action_at THEN known.next_action ELSE excluded.next_action END,
           next_action_at = least(known.next_action_at, excluded.next_action_at)`,
        [userIds, emails, now, job.paceMs ?? 0],
      );
      await queries.query(
        `INSERT INTO jobs (job_id, kind, reason, invalidity_date, requested_by, requested_at, disable_keypairs)
         VALUES ($1, 'rekey', $2, $3, $4, $5, $6)`,
        [jobId, job.reason, job.invalidityDate ?? null, job.requestedBy, now, job.disableKeypairs ?? false],
      );
      await queries.query(
        `INSERT INTO wishes (wish_id, job_id, place, user_id, primary_email)
         SELECT wish_id, $1, place, user_id, primary_email
           FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY
             AS wanted (wish_id, user_id, primary_email, place)`,
        [jobId, wanted.map((wish) => wish.wishId), userIds, emails],
      );
    });
    return {
      jobId,
      wishes: wanted.map(({ wishId, userId }) => ({
        wishId,
        userId,
        jobId,
        reason: job.reason,
        requestedBy: job.requestedBy,
        requestedAt: now,
        ...optional('invalidityDate', job.invalidityDate ?? null),
        ...(job.disableKeypairs === true ? { disableKeypairs: true } : {}),
      })),
    };
  },

  usersTakenFromByJobs: async (since) => {
    const [row] = await database.query<{ users: number }>(
      `SELECT count(*)::int AS users FROM (
         SELECT user_id FROM wishes JOIN jobs USING (job_id)
          WHERE requested_at >= $1 AND (reason = 'keyCompromise' OR disable_keypairs)
         UNION
         SELECT user_id FROM key_moves JOIN key_move_jobs USING (job_id)
          WHERE requested_at >= $1 AND disable_old) AS named`,
      [since],
    );
    return row?.users ?? 0;
  },

  fulfilWish: (lease, wishId, detail) =>
    closeWish(database, clock, lease, wishId, 'fulfilled', detail ?? null),

  failWish: (lease, wishId, detail) => closeWish(database, clock, lease, wishId, 'failed', detail),

  readJob: async (jobId) => {
    const [job] = await database.query<{ kind: 'rekey' }>('SELECT kind FROM jobs WHERE job_id = $1', [jobId]);
    if (job === undefined)
      return (await readDepartureJob(database, jobId)) ?? (await readKeyMoveJob(database, jobId));
    // Somebody who waits is told what the user waits for.
    const rows = await database.query<ProgressRow>(
      `SELECT wish.primary_email, wish.state,
              CASE wish.state WHEN 'open' THEN users.reason ELSE coalesce(wish.detail, '') END AS detail
         FROM wishes AS wish JOIN users USING (user_id)
        WHERE wish.job_id = $1 ORDER BY wish.place`,
      [jobId],
    );
    return progressOf(jobId, job.kind, rows);
  },
});
