/**
 * Leases. Free or held is decided by the database's clock alone, in the statement that takes the lease; safety rests
 * on the row lock: a write under a lease locks the lease's row until it commits, so nobody can take the lease over in
 * the middle of it, and once somebody has, holder and fence no longer match.
 */
import type { Cause } from '../../domain/hint.ts';
import { retryable, type SealwrightError } from '../../errors.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import type { Database, Queries, TransactionQueries } from './database.ts';

export const leaseLost = (subject: string): SealwrightError =>
  retryable(
    'lease-lost',
    `The lease on ${subject} ended or was taken over, so nothing was written: look at the subject again under a new lease.`,
    { details: { subject } },
  );

const USER = 'user:';

export const userSubject = (userId: string): string => `${USER}${userId}`;
export const issuerSubject = (issuerId: string): string => `issuer:${issuerId}`;

/**
 * For a write that is one statement: the first of its WITH queries, which has a row while the lease, `$1` to `$3`, is ours and keeps
 * it ours until the statement has committed. Whatever the statement writes must depend on that row; `leaseParameters` fills in.
 */
export const HELD = `held AS MATERIALIZED (
  SELECT fence FROM leases
   WHERE subject = $1 AND holder = $2 AND fence = $3 AND expires_at > clock_timestamp() FOR UPDATE)`;

/** The parameters `$1` to `$3`. Throws a plain error when the lease is on another subject than the write. */
export const leaseParameters = (lease: Lease, subject: string): readonly [string, string, bigint] => {
  if (lease.subject !== subject) {
    throw new Error(`bug: a write about ${subject} was made under the lease of ${lease.subject}`);
  }
  return [lease.subject, lease.holder, lease.fence];
};

/**
 * Runs `write` in a transaction in which `lease` is ours from the first statement to the commit. Throws `lease-lost`
 * (retryable), with nothing written, when it is not, and a plain error when the lease is on another subject than the
 * write.
 */
export const underLease = async <T>(
  database: Database,
  lease: Lease,
  subject: string,
  write: (queries: TransactionQueries) => Promise<T>,
): Promise<T> => {
  if (lease.subject !== subject) {
    throw new Error(`bug: a write about ${subject} was made under the lease of ${lease.subject}`);
  }
  return await database.transaction(async (queries) => {
    await lockLease(queries, lease);
    return await write(queries);
  });
};

const lockLease = async (queries: Queries, lease: Lease): Promise<void> => {
  const held = await queries.query(
    `SELECT fence FROM leases
      WHERE subject = $1 AND holder = $2 AND fence = $3 AND expires_at > clock_timestamp()
        FOR UPDATE`,
    [lease.subject, lease.holder, lease.fence],
  );
  if (held.length === 0) throw leaseLost(lease.subject);
};

/** As `underLease`, inside a transaction that has begun. */
export const holdLease = async (queries: Queries, lease: Lease, subject: string): Promise<void> => {
  if (lease.subject !== subject) {
    throw new Error(`bug: a write about ${subject} was made under the lease of ${lease.subject}`);
  }
  await lockLease(queries, lease);
};

/** As `leaseParameters`, for a write that leaves it to the lease whose it must be; the user is `$4`. */
export const userLeaseParameters = (lease: Lease): readonly [string, string, bigint, string] => {
  if (!lease.subject.startsWith(USER)) {
    throw new Error(`bug: a write about a user was made under the lease of ${lease.subject}`);
  }
  return [...leaseParameters(lease, lease.subject), lease.subject.slice(USER.length)];
};

/**
 * The same for writes that name a leaf or a wish and leave it to the lease whose it must be: `write` is also told the
 * user the lease is on.
 */
export const underUserLease = async <T>(
  database: Database,
  lease: Lease,
  write: (queries: TransactionQueries, userId: string) => Promise<T>,
): Promise<T> => {
  if (!lease.subject.startsWith(USER)) {
    throw new Error(`bug: a write about a user was made under the lease of ${lease.subject}`);
  }
  return await underLease(database, lease, lease.subject, (queries) =>
    write(queries, lease.subject.slice(USER.length)),
  );
};

/** A cause as `leases.asked` keeps it. What is no Unicode text no jsonb takes: U+FFFD stands for it. */
const askedOf = (cause: Cause): string =>
  JSON.stringify(cause, (_, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value));

/** The cause that `leases.asked` keeps. */
export const causeAsked = ({ at, ...cause }: Omit<Cause, 'at'> & { readonly at?: string }): Cause => ({
  ...cause,
  ...optional('at', at === undefined ? null : new Date(at)),
});

export type Asked = Parameters<typeof causeAsked>[0];

/**
 * Asks whoever works on one of these users now to look once more, for the sake of `cause`. Who works on them cannot end before
 * this commits. Rows are locked in order, so that two over the same users take turns; a write about a user locks the lease first.
 */
export const askToLookAgain = async (
  queries: TransactionQueries,
  userIds: readonly string[],
  cause: Cause,
): Promise<void> => {
  const subjects = userIds.map(userSubject);
  await queries.query(
    'SELECT subject FROM leases WHERE subject = ANY($1) AND holder IS NOT NULL ORDER BY subject FOR UPDATE',
    [subjects],
  );
  await queries.query(
    'UPDATE leases SET look_again = true, asked = $2::jsonb WHERE subject = ANY($1) AND holder IS NOT NULL',
    [subjects, askedOf(cause)],
  );
};

/**
 * `instance` names this process among all that share the database; a counter added to it names each lease, so that
 * two pieces of work in one process exclude each other too.
 */
export const leases = (
  database: Database,
  instance: string,
): Pick<Ledger, 'acquireLease' | 'renewLease' | 'releaseLease'> => {
  let taken = 0;

  return {
    acquireLease: async (subject, durationMs, cause) => {
      taken += 1;
      const holder = `${instance}/${taken}`;
      const isUser = subject.startsWith(USER);
      // One statement, so that free is judged and the lease taken under one row lock. Every `now()` in it is the same
      // instant, that of its start: waiting for the row can only make it see a lease as held that has just expired.
      const rows = await database.query<{ holder: string; fence: bigint; answers: readonly Asked[] }>(
        `INSERT INTO leases AS held (subject, holder, fence, expires_at)
         VALUES ($1, $2, 1, now() + $3 * interval '1 millisecond')
         ON CONFLICT (subject) DO UPDATE SET (holder, fence, expires_at, look_again, asked, answers) = (
           SELECT
             CASE WHEN NOT free THEN held.holder
                  WHEN held.holder IS NULL THEN excluded.holder
                  ELSE excluded.holder || '/over' END,
             CASE WHEN free THEN held.fence + 1 ELSE held.fence END,
             CASE WHEN free THEN excluded.expires_at ELSE held.expires_at END,
             CASE WHEN free THEN false ELSE held.look_again OR $4 END,
             CASE WHEN NOT free THEN coalesce($5::jsonb, CASE WHEN held.look_again THEN held.asked END) END,
             held.answers || CASE WHEN free AND held.look_again AND held.asked IS NOT NULL
               THEN jsonb_build_array(held.asked) ELSE '[]' END
           FROM (SELECT held.holder IS NULL OR held.expires_at <= now() AS free) AS judged)
         RETURNING holder, fence, answers`,
        [subject, holder, durationMs, isUser, isUser && cause !== undefined ? askedOf(cause) : null],
      );
      // A lease that was taken over says so in its holder's name: what stood in the row before, no statement answers.
      const row = rows[0];
      const isOver = row?.holder === `${holder}/over`;
      if (row === undefined || (row.holder !== holder && !isOver)) return undefined;
      return {
        ...{ subject, holder: row.holder, fence: row.fence },
        ...(isOver ? { takenOver: true } : {}),
        ...(row.answers.length === 0 ? {} : { unanswered: row.answers.map(causeAsked) }),
      };
    },

    renewLease: async (lease, durationMs) => {
      const rows = await database.query(
        `UPDATE leases SET expires_at = clock_timestamp() + $4 * interval '1 millisecond'
          WHERE subject = $1 AND holder = $2 AND fence = $3 AND expires_at > clock_timestamp()
          RETURNING fence`,
        [lease.subject, lease.holder, lease.fence, durationMs],
      );
      if (rows.length === 0) throw leaseLost(lease.subject);
    },

    releaseLease: async (lease) => {
      // Asked again while we held it: it stays ours and the request is taken up, unless it expired meanwhile. Then the
      // request stays in the row, for `dueUsers`. A lease that somebody took over has nothing left to give back.
      const rows = await database.query<{ kept: boolean; asked: Asked | null }>(
        `UPDATE leases SET (holder, look_again, expires_at, asked, answers) = (
           SELECT
             CASE WHEN look_again AND live THEN holder END,
             look_again AND NOT live,
             CASE WHEN look_again AND live THEN expires_at ELSE least(expires_at, now()) END,
             CASE WHEN look_again THEN asked END,
             CASE WHEN look_again AND live AND asked IS NOT NULL THEN jsonb_build_array(asked) ELSE '[]' END
           FROM (SELECT expires_at > now() AS live) AS judged)
          WHERE subject = $1 AND holder = $2 AND fence = $3
          RETURNING holder IS NOT NULL AS kept, asked`,
        [lease.subject, lease.holder, lease.fence],
      );
      const [row] = rows;
      if (row?.kept !== true) return 'released';
      return { again: row.asked === null ? undefined : causeAsked(row.asked) };
    },
  };
};
