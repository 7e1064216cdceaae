/** The audit trail. */
import type { Cause, HintSource } from '../../domain/hint.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ChainedEntry } from '../../ports/ledger/audit-chains.ts';
import type { AuditEntry, Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import type { Database, Queries } from './database.ts';

export interface CauseRow {
  readonly cause_source: HintSource;
  readonly cause_id: string;
  readonly cause_event: string;
  readonly cause_actor: string | null;
  readonly cause_at: Date | null;
}

interface AuditRow extends CauseRow {
  readonly id: bigint;
  readonly place: bigint;
  readonly previous_sha256_hex: string;
  readonly sha256_hex: string;
  readonly at: Date;
  readonly user_id: string | null;
  readonly step: string;
  readonly reason: string;
  readonly outcome: AuditEntry['outcome'];
  readonly details: NonNullable<AuditEntry['details']> | null;
}

/** One more line of the trail, in the transaction of whatever it tells about. */
export const insertAudit = async (queries: Queries, at: Date, entry: AuditEntry): Promise<void> => {
  await queries.query(
    `INSERT INTO audit (at, user_id, cause_source, cause_id, cause_event, cause_actor, cause_at, step, reason, outcome,
                        details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb)`,
    [
      at,
      entry.userId ?? null,
      entry.cause.source,
      entry.cause.eventId,
      entry.cause.event,
      entry.cause.actor ?? null,
      entry.cause.at ?? null,
      entry.step,
      entry.reason,
      entry.outcome,
      entry.details === undefined ? null : JSON.stringify(entry.details),
    ],
  );
};

/** What `causeOf` reads. */
export const CAUSE_COLUMNS = 'cause_source, cause_id, cause_event, cause_actor, cause_at';

const COLUMNS = `id, at, user_id, ${CAUSE_COLUMNS}, step, reason, outcome, details, place, previous_sha256_hex, sha256_hex`;

export const causeOf = (row: CauseRow): Cause => ({
  source: row.cause_source,
  eventId: row.cause_id,
  event: row.cause_event,
  ...optional('actor', row.cause_actor),
  ...optional('at', row.cause_at),
});

const chainedEntry = (row: AuditRow): ChainedEntry => ({
  id: row.id,
  at: row.at,
  cause: causeOf(row),
  step: row.step,
  reason: row.reason,
  outcome: row.outcome,
  ...optional('userId', row.user_id),
  ...optional('details', row.details),
  place: row.place,
  previousSha256Hex: row.previous_sha256_hex,
  sha256Hex: row.sha256_hex,
});

export const audit = (
  database: Database,
  clock: Clock,
): Pick<Ledger, 'audit' | 'auditTrail' | 'auditEntriesOfStep'> => ({
  audit: (entry) => insertAudit(database, clock.now(), entry),

  auditTrail: async (filter) => {
    const rows = await database.query<AuditRow>(
      `SELECT ${COLUMNS} FROM audit
        WHERE ($1::text IS NULL OR user_id = $1) AND id > $2
        ORDER BY id LIMIT $3`,
      [filter.userId ?? null, filter.afterId ?? 0n, filter.limit],
    );
    return rows.map(chainedEntry);
  },

  auditEntriesOfStep: async (step, userIds) => {
    const rows = await database.query<AuditRow>(
      `SELECT ${COLUMNS} FROM audit WHERE user_id = ANY($1) AND step = $2 ORDER BY id`,
      [userIds, step],
    );
    return rows.map(chainedEntry);
  },
});
