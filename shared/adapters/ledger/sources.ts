/** What the sources brought, entries that came and were followed, and who waits. */
import type { UserState } from '../../domain/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OddityKind, SourceLedger, SourceName } from '../../ports/ledger/sources.ts';
import type { Database } from './database.ts';

interface SourceRow {
  readonly source: SourceName;
  readonly entries: bigint;
  readonly received_at: Date | null;
  readonly happened_at: Date | null;
  readonly missed_since: Date | null;
}

interface OddityRow {
  readonly source: SourceName;
  readonly kind: OddityKind;
  readonly name: string;
  readonly count: bigint;
  readonly first_at: Date;
  readonly last_at: Date;
}

/** Longer than any source brings an entry late. */
const KEEP_FOLLOWED_MS = 10 * 86_400_000;
/** One that is kept a little longer does no harm. */
const FORGET_EVERY_MS = 3_600_000;

/** Whatever another source brought up to so long before an event may have been that very event. */
const SAME_EVENT_MS = 5 * 60_000;

export const sources = (database: Database, clock: Clock): SourceLedger => {
  let forgotAtMs: number | undefined;
  return {
    recordNews: ({ source, entries, happenedAt, alsoFrom, oddities }) =>
      database.transaction(async (queries) => {
        const now = clock.now();
        if (entries > 0) {
          await queries.query(
            `INSERT INTO sources AS known (source, entries, received_at, happened_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (source) DO UPDATE SET
             entries = known.entries + excluded.entries,
             received_at = greatest(known.received_at, excluded.received_at),
             happened_at = greatest(known.happened_at, excluded.happened_at),
             missed_since = NULL`,
            [source, entries, now, happenedAt ?? null],
          );
        }
        if (alsoFrom !== undefined) {
          await queries.query(
            `INSERT INTO sources AS known (source, entries, missed_since) VALUES ($1, 0, $2)
           ON CONFLICT (source) DO UPDATE SET missed_since =
             CASE WHEN known.received_at >= $3 THEN known.missed_since
                  ELSE coalesce(known.missed_since, excluded.missed_since) END`,
            [alsoFrom, now, new Date((happenedAt ?? now).getTime() - SAME_EVENT_MS)],
          );
        }
        for (const { kind, name, count } of oddities) {
          await queries.query(
            `INSERT INTO source_oddities AS known (source, kind, name, count, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $5)
           ON CONFLICT (source, kind, name) DO UPDATE SET
             count = known.count + excluded.count, last_at = excluded.last_at`,
            [source, kind, name, count, now],
          );
        }
      }),

    sources: async () => {
      const rows = await database.query<SourceRow>('SELECT * FROM sources ORDER BY source');
      return rows.map((row) => ({
        source: row.source,
        entries: Number(row.entries),
        ...(row.received_at === null ? {} : { receivedAt: row.received_at }),
        ...(row.missed_since === null ? {} : { missedSince: row.missed_since }),
        ...(row.happened_at === null ? {} : { happenedAt: row.happened_at }),
      }));
    },

    oddities: async () => {
      const rows = await database.query<OddityRow>(
        'SELECT * FROM source_oddities ORDER BY last_at DESC, source, kind, name LIMIT 100',
      );
      return rows.map((row) => ({
        source: row.source,
        kind: row.kind,
        name: row.name,
        count: Number(row.count),
        firstAt: row.first_at,
        lastAt: row.last_at,
      }));
    },

    backlog: async () => {
      const [row] = await database.query<{ due: bigint; oldest_due: Date | null; pending: bigint }>(
        `SELECT count(*) FILTER (WHERE next_action_at <= $1) AS due,
              min(next_action_at) FILTER (WHERE next_action_at <= $1) AS oldest_due,
              count(*) FILTER (WHERE state = 'pending') AS pending
         FROM users WHERE next_action_at <= $1 OR state = 'pending'`,
        [clock.now()],
      );
      const [oldest] = await database.query<{ user_id: string; since: Date; state: UserState }>(
        `SELECT user_id, since, state FROM users WHERE state = 'pending' ORDER BY since, user_id LIMIT 1`,
      );
      const [putOff] = await database.query<{ hints: bigint; oldest: Date | null }>(
        `SELECT count(*) AS hints, min((hint -> 'cause' ->> 'at')::timestamptz) AS oldest FROM put_off_hints`,
      );
      return {
        due: Number(row?.due ?? 0),
        ...(row?.oldest_due ? { oldestDueAt: row.oldest_due } : {}),
        pending: Number(row?.pending ?? 0),
        ...(oldest === undefined
          ? {}
          : { oldestPending: { userId: oldest.user_id, since: oldest.since, state: oldest.state } }),
        putOff: Number(putOff?.hints ?? 0),
        ...(putOff?.oldest ? { oldestPutOffAt: putOff.oldest } : {}),
      };
    },

    followEntries: async (entryKeys) => {
      const now = clock.now();
      await database.query(
        `INSERT INTO followed_entries AS known (entry_key, followed_at)
       SELECT DISTINCT entry_key, $2::timestamptz FROM unnest($1::text[]) AS given (entry_key)
       ON CONFLICT (entry_key) DO UPDATE SET followed = true, followed_at = excluded.followed_at
         WHERE NOT known.followed`,
        [entryKeys, now],
      );
      if (forgotAtMs !== undefined && now.getTime() - forgotAtMs < FORGET_EVERY_MS) return;
      await database.query('DELETE FROM followed_entries WHERE followed_at < $1', [
        new Date(now.getTime() - KEEP_FOLLOWED_MS),
      ]);
      forgotAtMs = now.getTime();
    },

    followedEntries: async (entryKeys) => {
      const rows = await database.query<{ entry_key: string }>(
        'SELECT entry_key FROM followed_entries WHERE entry_key = ANY($1) AND followed',
        [entryKeys],
      );
      return rows.map(({ entry_key }) => entry_key);
    },

    noteArrivals: async (entryKeys) => {
      await database.query(
        `INSERT INTO followed_entries (entry_key, followed_at, followed)
       SELECT DISTINCT entry_key, $2::timestamptz, false FROM unnest($1::text[]) AS given (entry_key)
       ON CONFLICT DO NOTHING`,
        [entryKeys, clock.now()],
      );
    },

    arrivedEntries: async (entryKeys) => {
      const rows = await database.query<{ entry_key: string }>(
        'SELECT entry_key FROM followed_entries WHERE entry_key = ANY($1)',
        [entryKeys],
      );
      return rows.map(({ entry_key }) => entry_key);
    },
  };
};
