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
    const [afterDevice, afterUser] = cursorOf(after);
    // By each table's own index: over both together, each page would sort all keys there are.
    const rows = await database.query<{ place: string; spki_der: Uint8Array }>(
      `SELECT place, spki_der FROM (
         (SELECT 'd' || key_id AS place, spki_der FROM device_keys WHERE key_id > $1 ORDER BY key_id LIMIT $3)
         UNION ALL
         (SELECT 'g' || key_id, spki_der FROM user_keys WHERE key_id > $2 ORDER BY key_id LIMIT $3)) AS known
        ORDER BY place COLLATE "C" LIMIT $3`,
      [afterDevice, afterUser, limit],
    );
    const last = rows.at(-1)?.place;
    return {
      spkisDer: rows.map(({ spki_der }) => spki_der),
      ...(rows.length === limit && last !== undefined ? { next: last } : {}),
    };
  },
});

/** All devices' keys come before all users': where to go on in each table. Null is after everything, as SQL compares it. */
function cursorOf(after: string | undefined): readonly [afterDevice: string | null, afterUser: string] {
  if (after === undefined) return ['', ''];
  return after.startsWith('d') ? [after.slice(1), ''] : [null, after.slice(1)];
}
