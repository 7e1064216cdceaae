/** Leaves from intent to revocation. */
import { recordedInLedger } from '../../domain/recorded.ts';
import type { KeyHolder, KeyPurpose, LeafRecord, LeafState } from '../../domain/records.ts';
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger, StoredLeafIntent } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional, type RevocationColumns, revocationOf, sameBytes } from './columns.ts';
import { type Database, type Queries, StatementRefused } from './database.ts';
import { ISSUER_COLUMNS, KNOWN_ISSUER, type KnownIssuerRow, knownIssuer } from './issuers.ts';
import { HELD, leaseLost, leaseParameters, underUserLease, userSubject } from './leases.ts';
import { userRecords } from './user-records.ts';

interface LeafRow extends RevocationColumns {
  readonly serial_hex: string;
  readonly issuer_id: string;
  readonly user_id: string;
  readonly key_id: string;
  readonly purpose: KeyPurpose;
  readonly holder: KeyHolder;
  readonly state: LeafState;
  readonly addresses: readonly string[];
  readonly not_before: Date;
  readonly not_after: Date;
  readonly leaf_der: Uint8Array | null;
  readonly intended_at: Date;
  readonly retirement_reason: RevocationReason | null;
  readonly due_at: Date | null;
}

/** Which key a leaf is over, and what that says of it. */
const KEY_OF_LEAF = `coalesce(leaf.key_id, leaf.device_key_id) AS key_id,
         CASE WHEN leaf.device_key_id IS NULL THEN 'key-service' ELSE 'device' END AS holder`;

const SELECT_LEAVES = `
  SELECT leaf.serial_hex, leaf.issuer_id, leaf.user_id, ${KEY_OF_LEAF},
         coalesce(key.purpose, 'dual-use') AS purpose, leaf.state, leaf.addresses, leaf.not_before,
         leaf.not_after, leaf.leaf_der, leaf.intended_at,
         revocation.reason, revocation.revoked_at, revocation.invalidity_date,
         retirement.reason AS retirement_reason, retirement.due_at
    FROM leaves AS leaf
    LEFT JOIN user_keys AS key ON key.key_id = leaf.key_id
    LEFT JOIN revocations AS revocation USING (serial_hex)
    LEFT JOIN LATERAL (
      SELECT reason, due_at FROM retirements WHERE serial_hex = leaf.serial_hex ORDER BY due_at LIMIT 1
    ) AS retirement ON true`;

const leafRecord = (row: LeafRow): LeafRecord => ({
  serialHex: row.serial_hex,
  issuerId: row.issuer_id,
  userId: row.user_id,
  holder: row.holder,
  keyId: row.key_id,
  purpose: row.purpose,
  state: row.state,
  addresses: row.addresses,
  notBefore: row.not_before,
  notAfter: row.not_after,
  intendedAt: row.intended_at,
  ...optional('leafDer', row.leaf_der),
  ...revocationOf(row),
  ...(row.retirement_reason === null || row.due_at === null
    ? {}
    : { retirement: { reason: row.retirement_reason, dueAt: row.due_at } }),
});

/** Leaves of each user, in the order they were intended. */
export const LEAVES = userRecords<LeafRow, LeafRecord>(
  (these) => `${SELECT_LEAVES} WHERE leaf.user_id = ${these} ORDER BY leaf.position`,
  leafRecord,
  {
    not_before: 'instant',
    not_after: 'instant',
    leaf_der: 'bytes',
    intended_at: 'instant',
    revoked_at: 'instant',
    invalidity_date: 'instant',
    due_at: 'instant',
  },
);

const noSuchLeaf = (serialHex: string, userId: string): SealwrightError =>
  permanent('not-found', `The ledger has no leaf with serial ${serialHex} of user ${userId}.`, {
    details: { serialHex, userId },
  });

/** Refuses a serial that belongs to somebody else than the lease's user. */
const requireLeaf = async (queries: Queries, userId: string, serialHex: string): Promise<void> => {
  const rows = await queries.query('SELECT 1 AS found FROM leaves WHERE serial_hex = $1 AND user_id = $2', [
    serialHex,
    userId,
  ]);
  if (rows.length === 0) throw noSuchLeaf(serialHex, userId);
};

interface IntentRow extends RevocationColumns {
  readonly serial_hex: string;
  readonly issuer_id: string;
  readonly user_id: string;
  readonly key_id: string;
  readonly holder: KeyHolder;
  readonly profile: string;
  readonly addresses: readonly string[];
  readonly not_before: Date;
  readonly not_after: Date;
  readonly tbs_der: Uint8Array;
  readonly state: LeafState;
  readonly leaf_der: Uint8Array | null;
  readonly spki_der: Uint8Array;
  readonly key_blocked_at: Date | null;
}

const INTENT_COLUMNS = `leaf.serial_hex, leaf.issuer_id, leaf.user_id, ${KEY_OF_LEAF}, leaf.profile, leaf.addresses,
              leaf.not_before, leaf.not_after, leaf.tbs_der, leaf.state, leaf.leaf_der,
              coalesce(key.spki_der, device.spki_der) AS spki_der, blocked.blocked_at AS key_blocked_at,
              revocation.reason, revocation.revoked_at, revocation.invalidity_date`;
const INTENTS = `leaves AS leaf
         LEFT JOIN user_keys AS key ON key.key_id = leaf.key_id
         LEFT JOIN device_keys AS device ON device.key_id = leaf.device_key_id
         LEFT JOIN blocked_keys AS blocked
                ON blocked.spki_sha256_hex = coalesce(key.spki_sha256_hex, device.spki_sha256_hex)
         LEFT JOIN revocations AS revocation ON revocation.serial_hex = leaf.serial_hex`;

const storedIntent = (row: IntentRow): StoredLeafIntent => ({
  serialHex: row.serial_hex,
  issuerId: row.issuer_id,
  userId: row.user_id,
  holder: row.holder,
  keyId: row.key_id,
  profile: row.profile,
  addresses: row.addresses,
  notBefore: row.not_before,
  notAfter: row.not_after,
  tbsDer: recordedInLedger(row.tbs_der),
  state: row.state,
  spkiDer: row.spki_der,
  ...optional('leafDer', row.leaf_der),
  ...optional('keyBlockedAt', row.key_blocked_at),
  ...revocationOf(row),
});

const keyBlocked = (serialHex: string): SealwrightError =>
  permanent(
    'key-blocked',
    `The key of leaf ${serialHex} was revoked for compromise and is never certified again; nothing was recorded. Make a new key.`,
    { details: { serialHex } },
  );

const INSERT_INTENT = `
  WITH ${HELD}
  INSERT INTO leaves (serial_hex, issuer_id, user_id, key_id, device_key_id, profile, addresses, not_before, not_after,
                      tbs_der, state, intended_at)
  SELECT $4, $5, $6, $7, $8, $9, $10::text[], $11::timestamptz, $12::timestamptz, $13::bytea, 'intended', $14::timestamptz
    FROM held
  RETURNING serial_hex`;

/** What a refused intent means; any other error as it is. */
const intentRefusal = (error: unknown, serialHex: string): unknown => {
  if (!(error instanceof StatementRefused)) return error;
  if (error.constraint === 'leaves_over_no_blocked_key') return keyBlocked(serialHex);
  if (error.constraint !== 'leaves_pkey') return error;
  return permanent('conflict', `The serial ${serialHex} exists already: draw another.`, {
    details: { serialHex },
  });
};

export const leaves = (
  database: Database,
  clock: Clock,
): Pick<
  Ledger,
  | 'recordLeafIntent'
  | 'readLeafIntent'
  | 'readLeafToSign'
  | 'recordSignedLeaf'
  | 'recordRetirement'
  | 'recordRevocation'
> => ({
  recordLeafIntent: async (lease, intent) => {
    const written = await database
      .query(INSERT_INTENT, [
        ...leaseParameters(lease, userSubject(intent.userId)),
        intent.serialHex,
        intent.issuerId,
        intent.userId,
        intent.holder === 'device' ? null : intent.keyId,
        intent.holder === 'device' ? intent.keyId : null,
        intent.profile,
        intent.addresses,
        intent.notBefore,
        intent.notAfter,
        intent.tbsDer,
        clock.now(),
      ])
      .catch((error: unknown) => {
        throw intentRefusal(error, intent.serialHex);
      });
    if (written.length === 0) throw leaseLost(lease.subject);
  },

  readLeafIntent: async (serialHex) => {
    const [row] = await database.query<IntentRow>(
      `SELECT ${INTENT_COLUMNS} FROM ${INTENTS} WHERE leaf.serial_hex = $1`,
      [serialHex],
    );
    return row === undefined ? undefined : storedIntent(row);
  },

  // One statement, as each further one would be another way to the database and back for every certificate.
  readLeafToSign: async (serialHex) => {
    const [row] = await database.query<IntentRow & KnownIssuerRow>(
      `SELECT ${INTENT_COLUMNS}, ${KNOWN_ISSUER}
         FROM ${INTENTS}
         JOIN LATERAL (
           SELECT ${ISSUER_COLUMNS} FROM issuers WHERE issuers.issuer_id = leaf.issuer_id
         ) AS issuer ON true
        WHERE leaf.serial_hex = $1`,
      [serialHex],
    );
    return row === undefined ? undefined : { ...storedIntent(row), ...knownIssuer(row) };
  },

  recordSignedLeaf: async (serialHex, leafDer) => {
    const written = await database.query(
      `UPDATE leaves SET state = 'signed', leaf_der = $2, signed_at = $3
          WHERE serial_hex = $1 AND state = 'intended' RETURNING serial_hex`,
      [serialHex, leafDer, clock.now()],
    );
    if (written.length > 0) return;
    const [known] = await database.query<{ leaf_der: Uint8Array }>(
      'SELECT leaf_der FROM leaves WHERE serial_hex = $1',
      [serialHex],
    );
    if (known === undefined) {
      throw permanent(
        'intent-mismatch',
        `A certificate with serial ${serialHex} was signed without an intent in the ledger: revoke the issuer's key if nobody can say how.`,
        { details: { serialHex } },
      );
    }
    if (!sameBytes(known.leaf_der, leafDer)) {
      throw permanent(
        'intent-mismatch',
        `Another certificate with serial ${serialHex} is in the ledger already; the first one stays.`,
        { details: { serialHex } },
      );
    }
  },

  recordRetirement: (lease, retirement) =>
    underUserLease(database, lease, async (queries, userId) => {
      await requireLeaf(queries, userId, retirement.serialHex);
      await queries.query(
        `INSERT INTO retirements (serial_hex, reason, due_at, decided_at)
         SELECT $1::text, $2, $3::timestamptz, $4
          WHERE NOT EXISTS (SELECT 1 FROM retirements WHERE serial_hex = $1 AND due_at <= $3)`,
        [retirement.serialHex, retirement.reason, retirement.dueAt, clock.now()],
      );
    }),

  recordRevocation: (lease, revocation) =>
    underUserLease(database, lease, async (queries, userId) => {
      await requireLeaf(queries, userId, revocation.serialHex);
      const now = clock.now();
      const written = await queries.query(
        `INSERT INTO revocations (serial_hex, reason, revoked_at, invalidity_date) VALUES ($1, $2, $3, $4)
         ON CONFLICT (serial_hex) DO NOTHING RETURNING serial_hex`,
        [revocation.serialHex, revocation.reason, now, revocation.invalidityDate ?? null],
      );
      if (written.length > 0 && revocation.audit !== undefined)
        await insertAudit(queries, now, revocation.audit);
      const [row] = await queries.query<LeafRow>(`${SELECT_LEAVES} WHERE leaf.serial_hex = $1`, [
        revocation.serialHex,
      ]);
      if (row === undefined) throw noSuchLeaf(revocation.serialHex, userId);
      return leafRecord(row);
    }),
});
