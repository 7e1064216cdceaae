/** Wrapped keys after a rotation: newer forms beside the one Gmail has, and what could not be opened. */
import { isSealwrightError, permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RewrappedKeys, WrappedKeyCount } from '../../ports/ledger/rewrapped-keys.ts';
import { insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import type { Database, TransactionQueries } from './database.ts';

interface CountRow {
  readonly key_service_url: string;
  readonly kek_id: string | null;
  readonly newest_kek_id: string | null;
  readonly rewrapped: boolean;
  readonly keys: number;
  readonly unproven: number;
  readonly unreadable: number;
}

export const rewrappedKeys = (database: Database, clock: Clock): RewrappedKeys => ({
  countWrappedKeys: async () => {
    const rows = await database.query<CountRow>(
      `SELECT k.key_service_url, k.kek_id, n.kek_id AS newest_kek_id, n.rewrapped, count(*)::int AS keys,
              count(*) FILTER (WHERE k.proof = 'unproven')::int AS unproven, count(u.key_id)::int AS unreadable
         FROM user_keys k JOIN newest_wrapped_keys n USING (key_id) LEFT JOIN unreadable_keys u USING (key_id)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2 NULLS LAST, 3`,
      [],
    );
    return added(rows);
  },

  keysToRewrap: async ({ keyServiceUrl, kekId, limit }) => {
    const rows = await database.query<{
      key_id: string;
      user_id: string;
      wrapped_key: string;
      kek_id: string;
    }>(
      `SELECT n.key_id, n.user_id, n.wrapped_key, n.kek_id FROM newest_wrapped_keys n
        WHERE n.key_service_url = $1 AND n.kek_id <> $2
          AND NOT EXISTS (SELECT FROM unreadable_keys u
                           WHERE u.key_id = n.key_id AND u.last_seen_at > $3::timestamptz - interval '1 day')
        ORDER BY random() LIMIT $4`,
      [keyServiceUrl, kekId, clock.now(), limit],
    );
    return rows.map((row) => ({
      keyId: row.key_id,
      userId: row.user_id,
      wrappedKey: row.wrapped_key,
      kekId: row.kek_id,
    }));
  },

  recordRewrapped: async (keyId, wrappedKey, audit) => {
    const record = async (queries: TransactionQueries) => {
      const now = clock.now();
      const rows = await queries.query(
        `INSERT INTO rewrapped_keys (key_id, wrapped_key, rewrapped_at)
         SELECT $1, $2, $3 WHERE kek_id_of($2) IS NOT NULL RETURNING key_id`,
        [keyId, wrappedKey, now],
      );
      if (rows.length === 0) {
        throw permanent('conflict', `The newer form of the key ${keyId} is no blob of our own key service.`);
      }
      await queries.query('DELETE FROM unreadable_keys WHERE key_id = $1', [keyId]);
      if (audit !== undefined) await insertAudit(queries, now, audit);
    };
    try {
      await database.transaction(record);
      return 'recorded';
    } catch (error) {
      if (!isSealwrightError(error) || error.code !== 'conflict') throw error;
      const [there] = await database.query('SELECT key_id FROM newest_wrapped_keys WHERE key_id = $1', [
        keyId,
      ]);
      if (there !== undefined) throw error;
      return 'erased';
    }
  },

  recordUnreadable: async (keyId, { kekId, reason }) => {
    await database.query(
      `INSERT INTO unreadable_keys (key_id, kek_id, reason, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $4, $4)
       ON CONFLICT (key_id) DO UPDATE SET kek_id = $2, reason = $3, last_seen_at = $4`,
      [keyId, kekId, reason, clock.now()],
    );
  },

  newerWrappedKey: async (spkiSha256Hex, wrappedKey) => {
    const [row] = await database.query<{ wrapped_key: string }>(
      `SELECT n.wrapped_key FROM user_keys k JOIN newest_wrapped_keys n USING (key_id)
        WHERE k.spki_sha256_hex = $1 AND n.wrapped_key <> $2
          AND (k.wrapped_key = $2
               OR EXISTS (SELECT FROM rewrapped_keys r WHERE r.key_id = k.key_id AND r.wrapped_key = $2))`,
      [spkiSha256Hex, wrappedKey],
    );
    return row?.wrapped_key;
  },
});

/** One entry for each key service and key-encryption key that Gmail's blobs name. */
function added(rows: readonly CountRow[]): readonly WrappedKeyCount[] {
  const counts = new Map<string, WrappedKeyCount>();
  for (const row of rows) {
    const name = JSON.stringify([row.key_service_url, row.kek_id]);
    const before = counts.get(name);
    counts.set(name, {
      keyServiceUrl: row.key_service_url,
      ...optional('kekId', row.kek_id),
      keys: (before?.keys ?? 0) + row.keys,
      rewrappedUnder: {
        ...before?.rewrappedUnder,
        ...(row.rewrapped && row.newest_kek_id !== null ? { [row.newest_kek_id]: row.keys } : {}),
      },
      unproven: (before?.unproven ?? 0) + row.unproven,
      unreadable: (before?.unreadable ?? 0) + row.unreadable,
    });
  }
  return [...counts.values()];
}
