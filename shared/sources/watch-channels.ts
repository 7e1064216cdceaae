/**
 * Keeps one `users.watch` channel open. Channels cannot be renewed or listed: a new one is opened before the old one
 * ends, both deliver for a while, then the old one is stopped.
 * https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
import { createHash } from 'node:crypto';
import { isSealwrightError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';

export interface WatchChannelDeps {
  readonly clock: Clock;
  readonly directory: Pick<Directory, 'watch' | 'stopChannel'>;
  readonly ledger: Pick<
    Ledger,
    'channels' | 'recordChannel' | 'forgetChannel' | 'acquireLease' | 'releaseLease'
  >;
  readonly log: Log;
  /** Public address of the `directory-watch` function. */
  readonly receiverUrl: string;
  /** 32 random bytes; becomes the channel's token. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly randomId: () => string;
}

export interface ChannelReport {
  readonly open: number;
  readonly opened: number;
  readonly stopped: number;
}

/** A channel is replaced when less than this is left of it. */
const REPLACE_BEFORE_MS = 3_600_000;
/** Asked for; Google answers what it grants, and only that counts. */
const WANTED_TTL_SECONDS = 172_800;
const LEASE_MS = 60_000;
/** Leaving out the event kind subscribes to all of them. */
const ALL_EVENTS = 'all';

export async function keepChannels(deps: WatchChannelDeps): Promise<ChannelReport> {
  const lease = await deps.ledger.acquireLease('job:watch-channels', LEASE_MS);
  if (lease === undefined) return { open: (await deps.ledger.channels()).length, opened: 0, stopped: 0 };
  try {
    const nowMs = deps.clock.now().getTime();
    const channels = await deps.ledger.channels();
    const fresh = channels.filter((channel) => channel.expiresAt.getTime() - nowMs > REPLACE_BEFORE_MS);
    const opened = fresh.length === 0 ? await openChannel(deps) : 0;
    const stopped = await stopAll(
      deps,
      opened + fresh.length === 0 ? [] : channels.filter((channel) => !fresh.includes(channel)),
    );
    return { open: fresh.length + opened, opened, stopped };
  } finally {
    if ((await deps.ledger.releaseLease(lease)) === 'look-again') await deps.ledger.releaseLease(lease);
  }
}

/**
 * The channel's row is written before Google is asked, because the first notification may come before the answer. A
 * directory that refuses leaves the sweep and the audit log as sources, so it is reported and not thrown.
 */
async function openChannel(deps: WatchChannelDeps): Promise<number> {
  const channelId = deps.randomId();
  const token = Buffer.from(deps.randomBytes(32)).toString('base64url');
  const tokenSha256Hex = createHash('sha256').update(token).digest('hex');
  const now = deps.clock.now();
  const row = { channelId, tokenSha256Hex, event: ALL_EVENTS };
  await deps.ledger.recordChannel({ ...row, resourceId: '', expiresAt: new Date(now.getTime() + 60_000) });
  try {
    const channel = await deps.directory.watch({
      channelId,
      token,
      address: deps.receiverUrl,
      ttlSeconds: WANTED_TTL_SECONDS,
    });
    await deps.ledger.recordChannel({ ...row, resourceId: channel.resourceId, expiresAt: channel.expiresAt });
    deps.log.info('channel-opened', { channelId, expiresAt: channel.expiresAt.toISOString() });
    return 1;
  } catch (error) {
    await deps.ledger.forgetChannel(channelId);
    if (!isSealwrightError(error)) throw error;
    deps.log.error('channel-refused', { code: error.code, message: error.message });
    return 0;
  }
}

async function stopAll(
  deps: WatchChannelDeps,
  channels: readonly { readonly channelId: string; readonly resourceId: string; readonly expiresAt: Date }[],
): Promise<number> {
  let stopped = 0;
  for (const channel of channels) {
    try {
      if (channel.resourceId !== '' && channel.expiresAt.getTime() > deps.clock.now().getTime()) {
        await deps.directory.stopChannel(channel);
      }
      await deps.ledger.forgetChannel(channel.channelId);
      stopped += 1;
    } catch (error) {
      if (!isSealwrightError(error)) throw error;
      deps.log.warning('channel-not-stopped', {
        channelId: channel.channelId,
        code: error.code,
        message: error.message,
      });
    }
  }
  return stopped;
}
