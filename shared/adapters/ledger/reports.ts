/** How far the Reports API was read: one row. */
import type { Clock } from '../../ports/clock.ts';
import { REPORTS_SUBJECT, type ReportsLedger } from '../../ports/ledger/reports.ts';
import type { ReportsApplication } from '../../ports/reports.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';
import { underLease } from './leases.ts';

interface ReadingRow {
  readonly since: Date | null;
  readonly through: Date | null;
  readonly read_at: Date | null;
  readonly deep_at: Date | null;
  readonly gaps: number;
  readonly tried_at: Date | null;
  readonly failures: number;
  readonly why: string | null;
  readonly window_from: Date | null;
  readonly window_to: Date | null;
  readonly is_deep: boolean | null;
  readonly application: ReportsApplication | null;
  readonly page_token: string | null;
  readonly found: number | null;
}

export const reports = (database: Database, clock: Clock): ReportsLedger => ({
  reportsReading: async () => {
    const [row] = await database.query<ReadingRow>('SELECT * FROM reports_reading');
    if (row === undefined) return { gaps: 0, failures: 0 };
    return {
      gaps: row.gaps,
      failures: row.failures,
      ...optional('since', row.since),
      ...optional('through', row.through),
      ...optional('readAt', row.read_at),
      ...optional('deepAt', row.deep_at),
      ...optional('triedAt', row.tried_at),
      ...optional('why', row.why),
      ...underWay(row),
    };
  },

  recordReportsPosition: (lease, { from, to, isDeep, application, pageToken, gaps }) =>
    underLease(database, lease, REPORTS_SUBJECT, async (queries) => {
      await queries.query(
        `INSERT INTO reports_reading AS reading
           (since, window_from, window_to, is_deep, application, page_token, found) VALUES ($1, $1, $2, $3, $4, $5, $6)
         ON CONFLICT (one) DO UPDATE SET
           since = coalesce(reading.since, excluded.since), window_from = excluded.window_from,
           window_to = excluded.window_to, is_deep = excluded.is_deep, application = excluded.application,
           page_token = excluded.page_token, found = excluded.found`,
        [from, to, isDeep, application, pageToken ?? null, gaps],
      );
    }),

  recordReportsRead: (lease, { through, gaps, isDeep }) =>
    underLease(database, lease, REPORTS_SUBJECT, async (queries) => {
      await queries.query(
        `INSERT INTO reports_reading AS reading (through, read_at, deep_at, gaps, tried_at) VALUES ($1, $2, $3, $4, $2)
         ON CONFLICT (one) DO UPDATE SET
           through = greatest(reading.through, excluded.through), read_at = excluded.read_at,
           deep_at = coalesce(excluded.deep_at, reading.deep_at), gaps = excluded.gaps, tried_at = excluded.tried_at,
           failures = 0, why = NULL, window_from = NULL, window_to = NULL, is_deep = NULL, application = NULL,
           page_token = NULL, found = NULL`,
        [through, clock.now(), isDeep ? clock.now() : null, gaps],
      );
    }),

  recordReportsFailure: (lease, why) =>
    underLease(database, lease, REPORTS_SUBJECT, async (queries) => {
      await queries.query(
        `INSERT INTO reports_reading AS reading (failures, why, tried_at) VALUES (1, $1, $2)
         ON CONFLICT (one) DO UPDATE SET
           failures = reading.failures + 1, why = excluded.why, tried_at = excluded.tried_at`,
        [why, clock.now()],
      );
    }),
});

function underWay(row: ReadingRow): Pick<Awaited<ReturnType<ReportsLedger['reportsReading']>>, 'underWay'> {
  const { window_from: from, window_to: to, is_deep: isDeep, application, found: gaps } = row;
  if (from === null || to === null || isDeep === null || application === null || gaps === null) return {};
  return { underWay: { from, to, isDeep, application, gaps, ...optional('pageToken', row.page_token) } };
}
