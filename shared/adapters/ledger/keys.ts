/** User keys: public half, and the private half as only the key service can open it, or word of the card that has it. */
import type { KeyPurpose, UserKeyRecord, WrapProof, WrappedKeyRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CardKeyRows } from '../../ports/ledger/card-keys.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional, sameBytes } from './columns.ts';
import type { Database } from './database.ts';
import { HELD, leaseLost, leaseParameters, userSubject } from './leases.ts';
import { userRecords } from './user-records.ts';

export interface KeyRow {
  readonly key_id: string;
  readonly user_id: string;
  readonly purpose: KeyPurpose;
  readonly spki_sha256_hex: string;
  readonly spki_der: Uint8Array;
  readonly modulus_bits: number;
  readonly key_service_url: string | null;
  readonly wrapped_key: string | null;
  readonly card_description: string | null;
  readonly proof: WrapProof | 'not-applicable';
  readonly wish_id: string | null;
  readonly created_at: Date;
}

const KEY_COLUMNS = `key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
  wish_id, created_at, purpose, card_description`;

/** The same with the newest form of each, which stands in `n`. */
export const NEWEST_KEY_COLUMNS = KEY_COLUMNS.replace('wrapped_key', 'n.wrapped_key');

/** Throws a bug for one on a card. */
export function wrappedKeyRecord(row: KeyRow): WrappedKeyRecord {
  const record = keyRecord(row);
  if (record.card !== undefined) throw new Error(`bug: the key ${row.key_id} is on a card.`);
  return record;
}

function keyRecord(row: KeyRow): UserKeyRecord {
  const facts = {
    keyId: row.key_id,
    userId: row.user_id,
    purpose: row.purpose,
    spkiSha256Hex: row.spki_sha256_hex,
    spkiDer: row.spki_der,
    modulusBits: row.modulus_bits,
    createdAt: row.created_at,
    ...optional('wishId', row.wish_id),
  };
  const { key_service_url: keyServiceUrl, wrapped_key: wrappedKey, card_description: card, proof } = row;
  if (card !== null) return { ...facts, card: { description: card }, proof: 'not-applicable' };
  if (keyServiceUrl === null || wrappedKey === null || proof === 'not-applicable') {
    throw new Error(`bug: the key ${row.key_id} is neither wrapped nor on a card.`);
  }
  return { ...facts, keyServiceUrl, wrappedKey, proof };
}

/** Keys of each user that certificates are issued over, oldest first, each with its newest blob. Imported ones are apart, erased ones left out. */
export const KEYS = userRecords<KeyRow, UserKeyRecord>(
  (these) => `SELECT ${NEWEST_KEY_COLUMNS} FROM user_keys
         LEFT JOIN (SELECT key_id, wrapped_key FROM newest_wrapped_keys) n USING (key_id)
        WHERE user_id = ${these} AND NOT imported AND erased_at IS NULL ORDER BY position`,
  keyRecord,
  { spki_der: 'bytes', created_at: 'instant' },
);

const INSERT_KEY = `
  WITH ${HELD}, inserted AS (
    INSERT INTO user_keys (${KEY_COLUMNS})
    SELECT $4, $5, $6, $7::bytea, $8::int, $9, $10, $11, $12, $13::timestamptz, $14, $15 FROM held
    ON CONFLICT (key_id) DO NOTHING RETURNING key_id
  )
  SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM inserted) AS inserted`;

export const keys = (
  database: Database,
  clock: Clock,
): Pick<Ledger, 'recordKey' | 'recordProof' | keyof CardKeyRows> => ({
  recordKey: async (lease, key) => {
    const [written] = await database.query<{ held: boolean; inserted: boolean }>(INSERT_KEY, [
      ...leaseParameters(lease, userSubject(key.userId)),
      key.keyId,
      key.userId,
      key.spkiSha256Hex,
      key.spkiDer,
      key.modulusBits,
      key.keyServiceUrl ?? null,
      key.wrappedKey ?? null,
      key.proof,
      key.wishId ?? null,
      clock.now(),
      key.purpose,
      key.card?.description ?? null,
    ]);
    if (written?.held !== true) throw leaseLost(lease.subject);
    if (written.inserted) return;
    // The answer to an earlier call may have been lost: the same key again is done already.
    const [known] = await database.query<KeyRow>(`SELECT ${KEY_COLUMNS} FROM user_keys WHERE key_id = $1`, [
      key.keyId,
    ]);
    if (
      known === undefined ||
      known.user_id !== key.userId ||
      known.purpose !== key.purpose ||
      known.wrapped_key !== (key.wrappedKey ?? null) ||
      known.card_description !== (key.card?.description ?? null) ||
      !sameBytes(known.spki_der, key.spkiDer)
    ) {
      throw permanent('conflict', `The ledger already has another key ${key.keyId}: draw another key id.`);
    }
  },

  countCardKeys: async () => {
    const [row] = await database.query<{ readonly keys: number }>(
      'SELECT count(*)::int AS keys FROM user_keys WHERE card_description IS NOT NULL',
      [],
    );
    return row?.keys ?? 0;
  },

  otherHolderOfKey: async (spkiSha256Hex, userId) => {
    const [row] = await database.query<{ readonly user_id: string }>(
      `SELECT user_id FROM user_keys WHERE spki_sha256_hex = $1 AND user_id <> $2
       UNION ALL
       SELECT user_id FROM device_keys WHERE spki_sha256_hex = $1 AND user_id <> $2 LIMIT 1`,
      [spkiSha256Hex, userId],
    );
    return row?.user_id;
  },

  recordProof: (keyId, proof, audit) =>
    database.transaction(async (queries) => {
      const rows = await queries.query('UPDATE user_keys SET proof = $2 WHERE key_id = $1 RETURNING key_id', [
        keyId,
        proof,
      ]);
      if (rows.length === 0) throw permanent('not-found', `The ledger has no key ${keyId}.`);
      if (audit !== undefined) await insertAudit(queries, clock.now(), audit);
    }),
});
