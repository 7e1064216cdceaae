/** Keys of old mail: wrapped like any other, with the certificate they had elsewhere. */
import { createHash } from 'node:crypto';
import { adminCause } from '../../domain/hint.ts';
import type { ImportedCertificate, ImportState } from '../../domain/imported-certificate.ts';
import { importIdOf } from '../../domain/imported-certificate.ts';
import { invalidInput, permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ImportedKeys, KeyImport } from '../../ports/ledger/imported-keys.ts';
import { optional } from './columns.ts';
import type { Database, Queries, TransactionQueries } from './database.ts';
import { type KeyRow, NEWEST_KEY_COLUMNS, wrappedKeyRecord } from './keys.ts';
import { underUserLease } from './leases.ts';
import { userRecords } from './user-records.ts';
import { wakeUsers } from './wake.ts';

interface ImportRow extends KeyRow {
  readonly import_id: string;
  readonly certificate_sha256_hex: string;
  readonly chain: readonly string[];
  readonly addresses: readonly string[];
  readonly not_before: Date;
  readonly not_after: Date;
  readonly state: ImportState;
  readonly detail: string | null;
  readonly requested_by: string;
}

const SELECT = `
  SELECT i.import_id, i.certificate_sha256_hex, i.chain, i.addresses, i.not_before, i.not_after, i.state, i.detail,
         i.requested_by, ${NEWEST_KEY_COLUMNS}
    FROM imported_certificates i JOIN user_keys USING (key_id, user_id)
    JOIN (SELECT key_id, wrapped_key FROM newest_wrapped_keys) n USING (key_id)`;

const importedCertificate = (row: ImportRow): ImportedCertificate => ({
  importId: row.import_id,
  userId: row.user_id,
  key: wrappedKeyRecord(row),
  certificateSha256Hex: row.certificate_sha256_hex,
  chainDer: row.chain.map((der) => new Uint8Array(Buffer.from(der, 'base64'))),
  addresses: row.addresses,
  notBefore: row.not_before,
  notAfter: row.not_after,
  state: row.state,
  ...optional('detail', row.detail),
  requestedBy: row.requested_by,
});

/** Imported certificates of each user, oldest import first. */
export const IMPORTS = userRecords<ImportRow, ImportedCertificate>(
  (these) => `${SELECT} WHERE i.user_id = ${these} ORDER BY i.position`,
  importedCertificate,
  { spki_der: 'bytes', created_at: 'instant', not_before: 'instant', not_after: 'instant' },
);

const readImport = async (queries: Queries, importId: string): Promise<ImportedCertificate | undefined> => {
  const [row] = await queries.query<ImportRow>(`${SELECT} WHERE i.import_id = $1`, [importId]);
  return row === undefined ? undefined : importedCertificate(row);
};

/** The key's row: one the user has in a form that opens, or in this form; else a new one. */
async function keyFor(
  queries: TransactionQueries,
  request: KeyImport,
  { keyId, now }: { readonly keyId: string; readonly now: Date },
): Promise<string> {
  const [known] = await queries.query<{ key_id: string }>(
    `SELECT key_id FROM user_keys
      WHERE user_id = $1 AND spki_sha256_hex = $2 AND card_description IS NULL AND erased_at IS NULL
        AND (key_service_url = $3 AND proof = 'proven' OR wrapped_key = $4)
      ORDER BY position LIMIT 1`,
    [request.userId, request.spkiSha256Hex, request.keyServiceUrl, request.wrappedKey],
  );
  if (known !== undefined) return known.key_id;
  await queries.query(
    `INSERT INTO user_keys (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
                            created_at, purpose, imported)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'dual-use', true)`,
    [
      keyId,
      request.userId,
      request.spkiSha256Hex,
      request.spkiDer,
      request.modulusBits,
      request.keyServiceUrl,
      request.wrappedKey,
      request.proof,
      now,
    ],
  );
  return keyId;
}

async function recordImport(
  queries: TransactionQueries,
  request: KeyImport,
  drawn: { readonly keyId: string; readonly now: Date },
): Promise<ImportedCertificate> {
  const [certificateDer] = request.chainDer;
  if (certificateDer === undefined)
    throw invalidInput('malformed-request', 'An import needs its certificate.');
  const { userId } = request;
  const importId = importIdOf(certificateDer);
  await wakeUsers(
    queries,
    [userId],
    drawn.now,
    0,
    'import-keys',
    adminCause(importId, 'key-import', request.requestedBy),
  );
  const users = await queries.query('SELECT user_id FROM users WHERE user_id = $1', [userId]);
  if (users.length === 0) throw permanent('not-found', `The ledger has no user ${userId}.`);
  const keyId = await keyFor(queries, request, drawn);
  // The longer chain is kept: a file made later may have what the first lacked.
  await queries.query(
    `INSERT INTO imported_certificates AS known
       (import_id, user_id, key_id, certificate_sha256_hex, chain, addresses, not_before, not_after, state,
        requested_by, requested_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10)
     ON CONFLICT (import_id) DO UPDATE SET
       state = 'open', detail = NULL, key_id = excluded.key_id,
       chain = CASE WHEN cardinality(excluded.chain) > cardinality(known.chain)
                    THEN excluded.chain ELSE known.chain END,
       requested_by = excluded.requested_by, requested_at = excluded.requested_at
     WHERE known.user_id = excluded.user_id`,
    [
      importId,
      userId,
      keyId,
      createHash('sha256').update(certificateDer).digest('hex'),
      request.chainDer.map((der) => Buffer.from(der).toString('base64')),
      request.addresses,
      request.notBefore,
      request.notAfter,
      request.requestedBy,
      drawn.now,
    ],
  );
  const recorded = await readImport(queries, importId);
  if (recorded?.userId === userId) return recorded;
  throw permanent('conflict', `The certificate ${importId} was imported for somebody else.`);
}

export const importedKeys = (database: Database, clock: Clock, randomId: () => string): ImportedKeys => ({
  recordImport: (request) =>
    database.transaction((queries) =>
      recordImport(queries, request, { keyId: randomId(), now: clock.now() }),
    ),

  readImport: (importId) => readImport(database, importId),

  closeImport: (lease, end) =>
    underUserLease(database, lease, async (queries, userId) => {
      const rows = await queries.query(
        `UPDATE imported_certificates SET state = $3, detail = $4
          WHERE import_id = $1 AND user_id = $2
            AND ($3 <> 'uploaded' OR EXISTS (SELECT FROM keypairs
                                              WHERE keypairs.import_id = $1 AND keypairs.state = 'created'))
        RETURNING import_id`,
        [end.importId, userId, end.state, end.state === 'refused' ? end.detail : null],
      );
      if (rows.length > 0) return;
      throw permanent('not-found', `The ledger has no import ${end.importId} of user ${userId} to close.`);
    }),

  countImportedKeys: async () => {
    const [row] = await database.query<{ readonly keys: number }>(
      'SELECT count(*)::int AS keys FROM user_keys WHERE imported',
      [],
    );
    return row?.keys ?? 0;
  },
});
