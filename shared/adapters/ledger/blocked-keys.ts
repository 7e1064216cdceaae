/** Keys that were revoked for compromise (a trigger writes them down), and the public keys of users and devices. */
import type { BlockedKeyRows } from '../../ports/ledger/blocked-keys.ts';
import type { Database } from './database.ts';

interface BlockedRow {
  readonly spki_sha256_hex: string;
  readonly serial_hex: string;
  readonly blocked_at: Date;
}

export const blockedKeys = (database: Database): BlockedKeyRows => ({
  readBlockedKey: async (spkiSha256Hex) => {
    const [row] = await database.query<BlockedRow>(
      'SELECT spki_sha256_hex, serial_hex, blocked_at FROM blocked_keys WHERE spki_sha256_hex = $1',
      [spkiSha256Hex],
    );
    return row === undefined
      ? undefined
      : { spkiSha256Hex: row.spki_sha256_hex, serialHex: row.serial_hex, blockedAt: row.blocked_at };
  },

  knownPublicKeys: async ({ after, limit }) => {
    const rows = await database.query<{ place: string; spki_der: Uint8Array }>(
      `SELECT place, spki_der FROM (
         SELECT 'g' || key_id AS place, spki_der FROM user_keys
         UNION ALL
         SELECT 'd' || key_id, spki_der FROM device_keys) AS known
        WHERE $1::text IS NULL OR place COLLATE "C" > $1 ORDER BY place COLLATE "C" LIMIT $2`,
      [after ?? null, limit],
    );
    const last = rows.at(-1)?.place;
    return {
      spkisDer: rows.map(({ spki_der }) => spki_der),
      ...(rows.length === limit && last !== undefined ? { next: last } : {}),
    };
  },
});
