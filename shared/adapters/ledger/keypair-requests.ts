/** What admins asked to be done to single key pairs. */
import { adminCause } from '../../domain/hint.ts';
import type { KeypairRequest } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeypairRequestLedger, KeypairRequestView } from '../../ports/ledger/keypair-requests.ts';
import type { AuditEntry } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import { type Database, StatementRefused } from './database.ts';
import { underUserLease } from './leases.ts';
import { userRecords } from './user-records.ts';
import { wakeUsers } from './wake.ts';

interface RequestRow {
  readonly request_id: string;
  readonly kind: KeypairRequest['kind'];
  readonly user_id: string;
  readonly primary_email: string;
  readonly serial_hex: string;
  readonly keypair_id: string;
  readonly reason: string;
  readonly requested_by: string;
  readonly requested_at: Date;
  readonly statement: Readonly<Record<string, unknown>> | null;
  readonly confirmed_by: string | null;
  readonly confirmed_at: Date | null;
  readonly state: KeypairRequestView['state'];
  readonly detail: string | null;
}

const COLUMNS = `request_id, kind, user_id, primary_email, serial_hex, keypair_id, reason, requested_by, requested_at,
  statement, confirmed_by, confirmed_at, state, detail`;

const requestOf = (row: RequestRow): KeypairRequest => ({
  requestId: row.request_id,
  kind: row.kind,
  serialHex: row.serial_hex,
  keypairId: row.keypair_id,
  requestedBy: row.requested_by,
  reason: row.reason,
  ...optional('confirmedBy', row.confirmed_by),
});

const viewOf = (row: RequestRow): KeypairRequestView => ({
  ...requestOf(row),
  userId: row.user_id,
  primaryEmail: row.primary_email,
  requestedAt: row.requested_at,
  state: row.state,
  ...optional('confirmedAt', row.confirmed_at),
  ...optional('statement', row.statement),
  ...optional('detail', row.detail),
});

/** Requests of each user that wait to be carried out, oldest first. */
export const CONFIRMED_REQUESTS = userRecords<RequestRow, KeypairRequest>(
  (these) => `SELECT ${COLUMNS} FROM keypair_requests
        WHERE user_id = ${these} AND state = 'confirmed' ORDER BY requested_at, request_id`,
  requestOf,
  { requested_at: 'instant', confirmed_at: 'instant' },
);

const auditOf = (request: KeypairRequestView, step: string, by: string, reason: string): AuditEntry => ({
  userId: request.userId,
  cause: adminCause(request.requestId, step, by),
  step,
  reason,
  outcome: 'done',
  details: { requestId: request.requestId, keypairId: request.keypairId },
});

const ASKED: Readonly<Record<KeypairRequest['kind'], string>> = {
  disable: 'disable-requested',
  obliterate: 'obliteration-requested',
};

export const keypairRequests = (
  database: Database,
  clock: Clock,
  randomId: () => string,
): KeypairRequestLedger => ({
  recordKeypairRequest: async (request) => {
    const requestId = randomId();
    const now = clock.now();
    try {
      await database.transaction(async (queries) => {
        const state = request.kind === 'disable' ? 'confirmed' : 'requested';
        const [step, by] = [ASKED[request.kind], request.requestedBy];
        if (state === 'confirmed')
          await wakeUsers(queries, [request.userId], now, 0, request.kind, adminCause(requestId, step, by));
        const [row] = await queries.query<RequestRow>(
          `INSERT INTO keypair_requests
             (request_id, kind, user_id, primary_email, serial_hex, keypair_id, reason, requested_by, requested_at,
              statement, state)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11) RETURNING ${COLUMNS}`,
          [
            requestId,
            request.kind,
            request.userId,
            request.primaryEmail,
            request.serialHex,
            request.keypairId,
            request.reason,
            request.requestedBy,
            now,
            request.statement === undefined ? null : JSON.stringify(request.statement),
            state,
          ],
        );
        if (row === undefined) throw new Error('bug: an INSERT answered no row');
        const said = `${request.requestedBy} asked to ${request.kind} key pair ${request.keypairId}: ${request.reason}`;
        await insertAudit(queries, now, auditOf(viewOf(row), step, by, said));
      });
    } catch (error) {
      if (error instanceof StatementRefused && error.constraint === 'keypair_requests_open') {
        throw permanent(
          'conflict',
          `A request about key pair ${request.keypairId} is open already; decide on that one first.`,
        );
      }
      throw error;
    }
    return { requestId };
  },

  decideKeypairRequest: (requestId, { kind, by }, decide) =>
    database.transaction(async (queries) => {
      const [found] = await queries.query<RequestRow>(
        `SELECT ${COLUMNS} FROM keypair_requests WHERE request_id = $1 FOR UPDATE`,
        [requestId],
      );
      if (found === undefined) return undefined;
      const request = viewOf(found);
      decide(request);
      const step = kind === 'confirmed' ? 'obliteration-confirmed' : 'obliteration-cancelled';
      const now = clock.now();
      if (kind === 'confirmed') {
        await queries.query(
          `UPDATE keypair_requests SET state = 'confirmed', confirmed_by = $2, confirmed_at = $3 WHERE request_id = $1`,
          [requestId, by, now],
        );
        await wakeUsers(queries, [request.userId], now, 0, request.kind, adminCause(requestId, step, by));
      } else {
        await queries.query(
          `UPDATE keypair_requests SET state = 'cancelled', detail = $2, closed_at = $3 WHERE request_id = $1`,
          [requestId, `Cancelled by ${by}.`, now],
        );
      }
      const said = `${by} ${kind} what ${request.requestedBy} asked: to ${request.kind} key pair ${request.keypairId}.`;
      await insertAudit(queries, now, auditOf(request, step, by, said));
      const [after] = await queries.query<RequestRow>(
        `SELECT ${COLUMNS} FROM keypair_requests WHERE request_id = $1`,
        [requestId],
      );
      return after === undefined ? undefined : viewOf(after);
    }),

  closeKeypairRequest: (lease, { requestId, state, detail, erase }) =>
    underUserLease(database, lease, async (queries, userId) => {
      const now = clock.now();
      const closed = await queries.query(
        `UPDATE keypair_requests SET state = $3, detail = $4, closed_at = $5
          WHERE request_id = $1 AND user_id = $2 AND state = 'confirmed' RETURNING request_id`,
        [requestId, userId, state, detail, now],
      );
      if (erase === undefined || closed.length === 0) return;
      const erased = await queries.query(
        `UPDATE user_keys SET wrapped_key = NULL, obliteration_id = $1, erased_at = $2
          WHERE user_id = $3 AND spki_sha256_hex = $4 AND wrapped_key IS NOT NULL RETURNING key_id`,
        [requestId, now, userId, erase.spkiSha256Hex],
      );
      if (erased.length > 0) await insertAudit(queries, now, erase.audit);
    }),

  readKeypairRequest: async (requestId) => {
    const [row] = await database.query<RequestRow>(
      `SELECT ${COLUMNS} FROM keypair_requests WHERE request_id = $1`,
      [requestId],
    );
    return row === undefined ? undefined : viewOf(row);
  },

  keypairRequests: async ({ open }) => {
    const rows = await database.query<RequestRow>(
      `SELECT ${COLUMNS} FROM keypair_requests
        WHERE NOT $1::boolean OR state IN ('requested', 'confirmed')
        ORDER BY requested_at DESC, request_id`,
      [open],
    );
    return rows.map(viewOf);
  },
});
