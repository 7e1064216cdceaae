/** Directory watch channels. The token is kept only as a digest. */
import type { Ledger } from '../../ports/ledger.ts';
import type { Database } from './database.ts';

interface ChannelRow {
  readonly channel_id: string;
  readonly resource_id: string;
  readonly token_sha256_hex: string;
  readonly event: string;
  readonly expires_at: Date;
}

export const channels = (
  database: Database,
): Pick<Ledger, 'recordChannel' | 'readChannel' | 'channels' | 'forgetChannel'> => ({
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
      'SELECT token_sha256_hex, resource_id, expires_at FROM channels WHERE channel_id = $1',
      [channelId],
    );
    return row === undefined
      ? undefined
      : { tokenSha256Hex: row.token_sha256_hex, resourceId: row.resource_id, expiresAt: row.expires_at };
  },

  channels: async () => {
    const rows = await database.query<ChannelRow>(
      'SELECT channel_id, resource_id, event, expires_at FROM channels ORDER BY expires_at, channel_id',
    );
    return rows.map((row) => ({
      channelId: row.channel_id,
      resourceId: row.resource_id,
      event: row.event,
      expiresAt: row.expires_at,
    }));
  },

  forgetChannel: async (channelId) => {
    await database.query('DELETE FROM channels WHERE channel_id = $1', [channelId]);
  },
});
