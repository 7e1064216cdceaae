import type { KeyProofs } from '../../ports/ledger/key-proofs.ts';
import type { Database } from './database.ts';

interface Row {
  readonly key_id: string;
  readonly user_id: string;
  readonly primary_email: string;
  readonly spki_der: Uint8Array;
  readonly spki_sha256_hex: string;
  readonly wrapped_key: string;
}

export const keyProofs = (database: Database): KeyProofs => ({
  keysToProve: async ({ keyServiceUrl, after, limit }) => {
    const rows = await database.query<Row>(
      `SELECT key_id, user_id, primary_email, spki_der, spki_sha256_hex, wrapped_key
         FROM user_keys JOIN users USING (user_id)
        WHERE key_service_url = $1 AND proof = 'unproven' AND erased_at IS NULL AND key_id > $2
        ORDER BY key_id LIMIT $3`,
      [keyServiceUrl, after ?? '', limit],
    );
    return rows.map((row) => ({
      keyId: row.key_id,
      userId: row.user_id,
      primaryEmail: row.primary_email,
      spkiDer: row.spki_der,
      spkiSha256Hex: row.spki_sha256_hex,
      wrappedKey: row.wrapped_key,
    }));
  },
});
