/** Directory watch channels. The token is kept only as a digest. */
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Database } from './database.ts';

interface ChannelRow {
  readonly channel_id: string;
  readonly resource_id: string;
  readonly token_sha256_hex: string;
  readonly event: string;
  readonly expires_at: Date;
  readonly retired_at: Date | null;
}

/** Google lets a channel live for two days at the most, so nothing is heard through one after a week. */
const KEEP_RETIRED_MS = 7 * 86_400_000;

export const channels = (
  database: Database,
  clock: Clock,
): Pick<
  Ledger,
  | 'recordChannel'
  | 'readChannel'
  | 'channels'
  | 'retireChannel'
  | 'recordStrayNotification'
  | 'strayChannels'
  | 'recordChannelStopped'
> => ({
  recordChannel: async (channel) => {
    await database.query(
      `INSERT INTO channels (channel_id, resource_id, token_sha256_hex, event, expires_at)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (channel_id) DO UPDATE SET
         resource_id = excluded.resource_id, token_sha256_hex = excluded.token_sha256_hex,
         event = excluded.event, expires_at = excluded.expires_at`,
      [channel.channelId, channel.resourceId, channel.tokenSha256Hex, channel.event, channel.expiresAt],
    );
  },

  readChannel: async (channelId) => {
    const [row] = await database.query<ChannelRow>(
      'SELECT token_sha256_hex, resource_id, expires_at, retired_at FROM channels WHERE channel_id = $1',
      [channelId],
    );
    return row === undefined
      ? undefined
      : {
          tokenSha256Hex: row.token_sha256_hex,
          resourceId: row.resource_id,
          expiresAt: row.expires_at,
          ...(row.retired_at === null ? {} : { retiredAt: row.retired_at }),
        };
  },

  channels: async () => {
    const rows = await database.query<ChannelRow>(
      `SELECT channel_id, resource_id, event, expires_at FROM channels
        WHERE retired_at IS NULL ORDER BY expires_at, channel_id`,
    );
    return rows.map((row) => ({
      channelId: row.channel_id,
      resourceId: row.resource_id,
      event: row.event,
      expiresAt: row.expires_at,
    }));
  },

  retireChannel: async (channelId) => {
    const now = clock.now();
    await database.query('UPDATE channels SET retired_at = coalesce(retired_at, $2) WHERE channel_id = $1', [
      channelId,
      now,
    ]);
    await database.query('DELETE FROM channels WHERE retired_at < $1', [
      new Date(now.getTime() - KEEP_RETIRED_MS),
    ]);
  },

  recordStrayNotification: async (channelId, resourceId) => {
    await database.query(
      `UPDATE channels SET heard_at = $2, resource_id = CASE WHEN resource_id = '' THEN $3 ELSE resource_id END
        WHERE channel_id = $1`,
      [channelId, clock.now(), resourceId],
    );
  },

  strayChannels: async () => {
    const rows = await database.query<ChannelRow>(
      `SELECT channel_id, resource_id FROM channels
        WHERE retired_at IS NOT NULL AND heard_at IS NOT NULL AND resource_id <> '' ORDER BY channel_id`,
    );
    return rows.map((row) => ({ channelId: row.channel_id, resourceId: row.resource_id }));
  },

  recordChannelStopped: async (channelId) => {
    await database.query('UPDATE channels SET heard_at = NULL WHERE channel_id = $1', [channelId]);
  },
});
