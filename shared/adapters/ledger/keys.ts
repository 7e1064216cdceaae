/** User keys: public half, and the private half as only the key service can open it. */
import type { KeyPurpose, UserKeyRecord, WrapProof } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { byUser, optional, sameBytes } from './columns.ts';
import type { Database, Queries } from './database.ts';
import { underLease, userSubject } from './leases.ts';

interface KeyRow {
  readonly key_id: string;
  readonly user_id: string;
  readonly purpose: KeyPurpose;
  readonly spki_sha256_hex: string;
  readonly spki_der: Uint8Array;
  readonly modulus_bits: number;
  readonly key_service_url: string;
  readonly wrapped_key: string;
  readonly proof: WrapProof;
  readonly wish_id: string | null;
  readonly created_at: Date;
}

const KEY_COLUMNS = `key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
  wish_id, created_at, purpose`;

const keyRecord = (row: KeyRow): UserKeyRecord => ({
  keyId: row.key_id,
  userId: row.user_id,
  purpose: row.purpose,
  spkiSha256Hex: row.spki_sha256_hex,
  spkiDer: row.spki_der,
  modulusBits: row.modulus_bits,
  keyServiceUrl: row.key_service_url,
  wrappedKey: row.wrapped_key,
  proof: row.proof,
  createdAt: row.created_at,
  ...optional('wishId', row.wish_id),
});

/** Keys of each user, oldest first, each with its newest blob. */
export const readKeys = async (queries: Queries, userIds: readonly string[]) =>
  byUser(
    await queries.query<KeyRow>(
      `SELECT ${KEY_COLUMNS.replace('wrapped_key', 'n.wrapped_key')} FROM user_keys
         JOIN (SELECT key_id, wrapped_key FROM newest_wrapped_keys) n USING (key_id)
        WHERE user_id = ANY($1) ORDER BY position`,
      [userIds],
    ),
    keyRecord,
  );

export const keys = (database: Database, clock: Clock): Pick<Ledger, 'recordKey' | 'recordProof'> => ({
  recordKey: (lease, key) =>
    underLease(database, lease, userSubject(key.userId), async (queries) => {
      const inserted = await queries.query(
        `INSERT INTO user_keys (${KEY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (key_id) DO NOTHING RETURNING key_id`,
        [
          key.keyId,
          key.userId,
          key.spkiSha256Hex,
          key.spkiDer,
          key.modulusBits,
          key.keyServiceUrl,
          key.wrappedKey,
          key.proof,
          key.wishId ?? null,
          clock.now(),
          key.purpose,
        ],
      );
      if (inserted.length > 0) return;
      // The answer to an earlier call may have been lost: the same key again is done already.
      const [known] = await queries.query<KeyRow>(`SELECT ${KEY_COLUMNS} FROM user_keys WHERE key_id = $1`, [
        key.keyId,
      ]);
      if (
        known === undefined ||
        known.user_id !== key.userId ||
        known.purpose !== key.purpose ||
        known.wrapped_key !== key.wrappedKey ||
        !sameBytes(known.spki_der, key.spkiDer)
      ) {
        throw permanent('conflict', `The ledger already has another key ${key.keyId}: draw another key id.`);
      }
    }),

  recordProof: async (keyId, proof) => {
    const rows = await database.query('UPDATE user_keys SET proof = $2 WHERE key_id = $1 RETURNING key_id', [
      keyId,
      proof,
    ]);
    if (rows.length === 0) throw permanent('not-found', `The ledger has no key ${keyId}.`);
  },
});
