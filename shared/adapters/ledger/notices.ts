/** Notices: each is told once, and kept when it is over. */
import type { NoticeKind, NoticeRecord } from '../../domain/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Notices } from '../../ports/ledger/notices.ts';
import type { Database } from './database.ts';
import { underLease, userSubject } from './leases.ts';
import { userRecords } from './user-records.ts';

interface NoticeRow {
  readonly user_id: string;
  readonly notice_key: string;
  readonly kind: NoticeKind;
  readonly message: string;
  readonly since: Date;
}

const noticeRecord = (row: NoticeRow): NoticeRecord => ({
  key: row.notice_key,
  kind: row.kind,
  message: row.message,
  since: row.since,
});

/** Open notices of each user, oldest first. */
export const OPEN_NOTICES = userRecords<NoticeRow, NoticeRecord>(
  (these) => `SELECT user_id, notice_key, kind, message, since FROM notices
        WHERE user_id = ${these} AND resolved_at IS NULL ORDER BY since, notice_key`,
  noticeRecord,
  { since: 'instant' },
);

export const notices = (database: Database, clock: Clock): Notices => ({
  recordNotices: (lease, told) =>
    underLease(database, lease, userSubject(told.userId), async (queries) => {
      const now = clock.now();
      await queries.query(
        `UPDATE notices SET resolved_at = $4
          WHERE user_id = $1 AND kind = ANY($2) AND resolved_at IS NULL AND notice_key <> ALL($3)`,
        [told.userId, told.kinds, told.notices.map(({ key }) => key), now],
      );
      await queries.query(
        `INSERT INTO notices AS known (user_id, notice_key, kind, message, since)
         SELECT $1, notice_key, kind, message, $5
           FROM unnest($2::text[], $3::text[], $4::text[]) AS told (notice_key, kind, message)
         ON CONFLICT (user_id, notice_key) DO UPDATE SET
           message = excluded.message, since = excluded.since, resolved_at = NULL
           WHERE known.resolved_at IS NOT NULL`,
        [
          told.userId,
          told.notices.map(({ key }) => key),
          told.notices.map(({ kind }) => kind),
          told.notices.map(({ message }) => message),
          now,
        ],
      );
    }),
});
