/** Erasing the wrapped keys of people who were deleted. What must hold is in the triggers of migration 35 too. */
import type { DeletedUsersKey } from '../../domain/erasure.ts';
import { adminCause } from '../../domain/hint.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ErasedKey, Erasure, ErasureLedger } from '../../ports/ledger/erasures.ts';
import type { AuditEntry } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import { type Database, StatementRefused } from './database.ts';
import { underUserLease } from './leases.ts';

interface KeyRow {
  readonly key_id: string;
  readonly user_id: string;
  readonly primary_email: string;
  readonly rule_name: string | null;
  readonly deleted_at: Date;
  readonly spki_sha256_hex: string;
  readonly certificates: DeletedUsersKey['certificates'] | null;
  readonly against: NonNullable<DeletedUsersKey['against']> | null;
}

/** An instant in JSON, as the other columns of a certificate are told. */
const iso = (instant: string) => `to_char(${instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const KEYS_OF_DELETED = `
  SELECT key.key_id, key.user_id, users.primary_email, users.rule_name, users.deleted_at, key.spki_sha256_hex,
         CASE WHEN key.purpose <> 'signing' THEN (
           SELECT jsonb_agg(jsonb_build_object('serial', one.serial, 'from', ${iso('one.not_before')},
                                               'to', ${iso('one.until')}, 'addresses', one.addresses) ORDER BY one.serial)
             FROM (SELECT leaf.serial_hex AS serial, leaf.not_before, least(leaf.not_after, gone.revoked_at) AS until, leaf.addresses
                     FROM leaves AS leaf LEFT JOIN revocations AS gone USING (serial_hex)
                    WHERE leaf.key_id = key.key_id AND leaf.state = 'signed'
                   UNION ALL
                   SELECT import_id, not_before, not_after, addresses FROM imported_certificates
                    WHERE imported_certificates.key_id = key.key_id) AS one) END AS certificates,
         CASE WHEN users.state <> 'out' THEN 'not-out'
              WHEN EXISTS (SELECT FROM user_keys AS other JOIN users AS living USING (user_id)
                            WHERE other.spki_sha256_hex = key.spki_sha256_hex AND other.erased_at IS NULL AND living.deleted_at IS NULL)
                THEN 'used-by-the-living'
              WHEN EXISTS (SELECT FROM key_moves AS move JOIN pair_certificates AS certificate USING (serial_hex)
                            WHERE certificate.key_id = key.key_id AND move.state = 'open')
                THEN 'being-moved' END AS against
    FROM user_keys AS key JOIN users USING (user_id)
   WHERE users.deleted_at IS NOT NULL AND key.wrapped_key IS NOT NULL AND ($1::text IS NULL OR key.user_id = $1)
   ORDER BY key.user_id, key.position`;

const keyOf = (row: KeyRow): DeletedUsersKey => ({
  keyId: row.key_id,
  userId: row.user_id,
  primaryEmail: row.primary_email,
  deletedAt: row.deleted_at,
  spkiSha256Hex: row.spki_sha256_hex,
  certificates: row.certificates ?? [],
  ...optional('ruleName', row.rule_name),
  ...optional('against', row.against),
});

interface ErasureRow {
  readonly erasure_id: string;
  readonly digest: string;
  readonly shown: Erasure['shown'];
  readonly no_legal_hold: string;
  readonly requested_by: string;
  readonly requested_at: Date;
  readonly confirmed_by: string | null;
  readonly confirmed_at: Date | null;
  readonly state: Erasure['state'];
  readonly detail: string | null;
}

const COLUMNS = `erasure_id, digest, shown, no_legal_hold, requested_by, requested_at, confirmed_by, confirmed_at, state, detail`;

const erasureOf = (row: ErasureRow): Erasure => ({
  erasureId: row.erasure_id,
  digest: row.digest,
  shown: row.shown,
  noLegalHold: row.no_legal_hold,
  requestedBy: row.requested_by,
  requestedAt: row.requested_at,
  state: row.state,
  ...optional('confirmedBy', row.confirmed_by),
  ...optional('confirmedAt', row.confirmed_at),
  ...optional('detail', row.detail),
});

const entryOf = (erasure: Erasure, step: string, by: string, reason: string): AuditEntry => ({
  cause: adminCause(erasure.erasureId, step, by),
  step,
  reason,
  outcome: 'done',
  details: { erasure: erasure.erasureId, digest: erasure.digest, keys: erasure.shown.length },
});

/** What a constraint refuses, in a sentence; the triggers have their own. */
const REFUSED: Readonly<Record<string, string>> = {
  erasures_one_open: 'An erasure is open already; confirm or cancel that one first.',
  erasures_two_admins: 'An erasure needs two different admins.',
};

async function refusing<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const why = error instanceof StatementRefused ? REFUSED[error.constraint ?? ''] : undefined;
    throw why === undefined ? error : permanent('conflict', why);
  }
}

export const erasures = (database: Database, clock: Clock, randomId: () => string): ErasureLedger => ({
  keysOfDeleted: async (userId) => {
    const rows = await database.query<KeyRow>(KEYS_OF_DELETED, [userId ?? null]);
    return rows.map(keyOf);
  },

  recordErasure: ({ digest, shown, noLegalHold, requestedBy }) =>
    refusing(() =>
      database.transaction(async (queries) => {
        const now = clock.now();
        const [row] = await queries.query<ErasureRow>(
          `INSERT INTO erasures (erasure_id, digest, shown, key_ids, no_legal_hold, requested_by, requested_at)
           VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
          [
            randomId(),
            digest,
            JSON.stringify(shown),
            shown.map(({ keyId }) => keyId),
            noLegalHold,
            requestedBy,
            now,
          ],
        );
        if (row === undefined) throw new Error('bug: an INSERT answered no row');
        const erasure = erasureOf(row);
        const said = `${requestedBy} asked to erase ${shown.length} wrapped keys of deleted users; on legal holds: ${noLegalHold}`;
        await insertAudit(queries, now, entryOf(erasure, 'erasure-requested', requestedBy, said));
        return erasure;
      }),
    ),

  decideErasure: (erasureId, { kind, by }, decide) =>
    refusing(() =>
      database.transaction(async (queries) => {
        const [found] = await queries.query<ErasureRow>(
          `SELECT ${COLUMNS} FROM erasures WHERE erasure_id = $1 FOR UPDATE`,
          [erasureId],
        );
        if (found === undefined) return undefined;
        const before = erasureOf(found);
        decide(before);
        const now = clock.now();
        const [row] = await queries.query<ErasureRow>(
          kind === 'confirmed'
            ? `UPDATE erasures SET state = 'confirmed', confirmed_by = $2, confirmed_at = $3 WHERE erasure_id = $1 RETURNING ${COLUMNS}`
            : `UPDATE erasures SET state = 'cancelled', detail = 'Cancelled by ' || $2 || '.', closed_at = $3 WHERE erasure_id = $1
               RETURNING ${COLUMNS}`,
          [erasureId, by, now],
        );
        const said = `${by} ${kind} what ${before.requestedBy} asked: to erase ${before.shown.length} wrapped keys of deleted users.`;
        await insertAudit(queries, now, entryOf(before, `erasure-${kind}`, by, said));
        return row === undefined ? undefined : erasureOf(row);
      }),
    ),

  eraseKeys: (lease, { erasureId, keyIds, audit }) =>
    underUserLease(database, lease, async (queries, userId) => {
      const rows = await queries.query(
        `UPDATE user_keys SET wrapped_key = NULL, erasure_id = $1, erased_at = $2
          WHERE user_id = $3 AND key_id = ANY($4) AND wrapped_key IS NOT NULL RETURNING key_id`,
        [erasureId, clock.now(), userId, keyIds],
      );
      if (rows.length > 0) await insertAudit(queries, clock.now(), audit);
      return rows.length;
    }),

  closeErasure: (erasureId, detail) =>
    database.transaction(async (queries) => {
      const now = clock.now();
      const [row] = await queries.query<ErasureRow>(
        `UPDATE erasures SET state = 'done', detail = $2, closed_at = $3 WHERE erasure_id = $1 AND state = 'confirmed'
         RETURNING ${COLUMNS}`,
        [erasureId, detail, now],
      );
      if (row === undefined) return;
      const erasure = erasureOf(row);
      const by = erasure.confirmedBy ?? erasure.requestedBy;
      await insertAudit(queries, now, entryOf(erasure, 'erasure-done', by, detail));
    }),

  readErasure: async (erasureId) => {
    const [row] = await database.query<ErasureRow>(`SELECT ${COLUMNS} FROM erasures WHERE erasure_id = $1`, [
      erasureId,
    ]);
    return row === undefined ? undefined : erasureOf(row);
  },

  erasures: async () => {
    const rows = await database.query<ErasureRow>(
      `SELECT ${COLUMNS} FROM erasures ORDER BY requested_at DESC, erasure_id`,
      [],
    );
    return rows.map(erasureOf);
  },

  erasedKeys: async (userId) => {
    const rows = await database.query<{
      key_id: string;
      spki_sha256_hex: string;
      erasure_id: string | null;
      obliteration_id: string | null;
      erased_at: Date;
      requested_by: string;
      confirmed_by: string;
    }>(
      `SELECT key_id, spki_sha256_hex, erasure_id, obliteration_id, erased_at,
              coalesce(erasures.requested_by, request.requested_by) AS requested_by,
              coalesce(erasures.confirmed_by, request.confirmed_by) AS confirmed_by
         FROM user_keys AS key LEFT JOIN erasures USING (erasure_id)
         LEFT JOIN keypair_requests AS request ON request.request_id = key.obliteration_id
        WHERE key.user_id = $1 AND key.erased_at IS NOT NULL ORDER BY position`,
      [userId],
    );
    return rows.map(
      (row): ErasedKey => ({
        keyId: row.key_id,
        spkiSha256Hex: row.spki_sha256_hex,
        ...optional('erasureId', row.erasure_id),
        ...optional('obliterationId', row.obliteration_id),
        erasedAt: row.erased_at,
        requestedBy: row.requested_by,
        confirmedBy: row.confirmed_by,
      }),
    );
  },
});
