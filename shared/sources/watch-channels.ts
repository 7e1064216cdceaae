/**
 * Keeps `users.watch` channels open: one for every kind of event, or one for each kind where Google wants them apart. Channels cannot be renewed or listed: a new one is opened before the old one
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
    | 'channels'
    | 'recordChannel'
    | 'retireChannel'
    | 'strayChannels'
    | 'recordChannelStopped'
    | 'acquireLease'
    | 'releaseLease'
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
/** https://developers.google.com/workspace/admin/directory/v1/guides/push */
const EVENT_KINDS = ['add', 'delete', 'makeAdmin', 'undelete', 'update'] as const;

interface OpenChannel {
  readonly channelId: string;
  readonly resourceId: string;
  readonly event: string;
  readonly expiresAt: Date;
}

export async function keepChannels(deps: WatchChannelDeps): Promise<ChannelReport> {
  const lease = await deps.ledger.acquireLease('job:watch-channels', LEASE_MS);
  if (lease === undefined) return { open: (await deps.ledger.channels()).length, opened: 0, stopped: 0 };
  try {
    const nowMs = deps.clock.now().getTime();
    const channels = await deps.ledger.channels();
    const fresh = channels.filter((channel) => channel.expiresAt.getTime() - nowMs > REPLACE_BEFORE_MS);
    const opened = await openMissing(deps, fresh);
    const isCovered = missingKinds([...fresh, ...opened]).length === 0;
    const over = isCovered ? channels.filter((channel) => !fresh.includes(channel)) : [];
    const stopped = (await stopAll(deps, over)) + (await stopStrays(deps));
    return { open: fresh.length + opened.length, opened: opened.length, stopped };
  } finally {
    if ((await deps.ledger.releaseLease(lease)) !== 'released') await deps.ledger.releaseLease(lease);
  }
}

/** Which kinds of event no channel brings. */
function missingKinds(channels: readonly { readonly event: string }[]): readonly string[] {
  if (channels.some(({ event }) => event === ALL_EVENTS)) return [];
  return EVENT_KINDS.filter((kind) => channels.every(({ event }) => event !== kind));
}

/** One channel for all kinds; where Google does not take that, one for each kind that is missing. */
async function openMissing(
  deps: WatchChannelDeps,
  fresh: readonly OpenChannel[],
): Promise<readonly { readonly event: string }[]> {
  const missing = missingKinds(fresh);
  if (missing.length === 0) return [];
  const forAll = await openChannel(deps, ALL_EVENTS);
  if (forAll === 'opened') return [{ event: ALL_EVENTS }];
  if (forAll === 'failed') return [];
  const opened: { readonly event: string }[] = [];
  for (const event of missing) if ((await openChannel(deps, event)) === 'opened') opened.push({ event });
  return opened;
}

/**
 * The channel's row is written before Google is asked, because the first notification may come before the answer. A
 * directory that refuses leaves the sweep and the audit log as sources, so it is reported and not thrown. `not-taken`:
 * Google understood and does not offer that (400).
 */
async function openChannel(
  deps: WatchChannelDeps,
  event: string,
): Promise<'opened' | 'not-taken' | 'failed'> {
  const channelId = deps.randomId();
  const token = Buffer.from(deps.randomBytes(32)).toString('base64url');
  const tokenSha256Hex = createHash('sha256').update(token).digest('hex');
  const now = deps.clock.now();
  const row = { channelId, tokenSha256Hex, event };
  await deps.ledger.recordChannel({ ...row, resourceId: '', expiresAt: new Date(now.getTime() + 60_000) });
  try {
    const channel = await deps.directory.watch({
      channelId,
      token,
      address: deps.receiverUrl,
      ttlSeconds: WANTED_TTL_SECONDS,
      ...(event === ALL_EVENTS ? {} : { event }),
    });
    await deps.ledger.recordChannel({ ...row, resourceId: channel.resourceId, expiresAt: channel.expiresAt });
    deps.log.info('channel-opened', { channelId, kind: event, expiresAt: channel.expiresAt.toISOString() });
    return 'opened';
  } catch (error) {
    // Kept as retired: where only the answer was lost there is a channel, and its first notification names it.
    await deps.ledger.retireChannel(channelId);
    if (!isSealwrightError(error)) throw error;
    const isNotTaken = error.code === 'directory-refused' && error.details?.['httpStatus'] === 400;
    deps.log[isNotTaken && event === ALL_EVENTS ? 'info' : 'error']('channel-refused', {
      kind: event,
      code: error.code,
      message: error.message,
    });
    return isNotTaken ? 'not-taken' : 'failed';
  }
}

async function stopAll(deps: WatchChannelDeps, channels: readonly OpenChannel[]): Promise<number> {
  let stopped = 0;
  for (const channel of channels) {
    const isOver = channel.resourceId === '' || channel.expiresAt.getTime() <= deps.clock.now().getTime();
    if (!isOver && !(await stop(deps, channel))) continue;
    await deps.ledger.retireChannel(channel.channelId);
    stopped += 1;
  }
  return stopped;
}

/** Channels of ours through which something came after we had let them go. */
async function stopStrays(deps: WatchChannelDeps): Promise<number> {
  let stopped = 0;
  for (const channel of await deps.ledger.strayChannels()) {
    if (!(await stop(deps, channel))) continue;
    await deps.ledger.recordChannelStopped(channel.channelId);
    deps.log.info('stray-channel-stopped', { channelId: channel.channelId });
    stopped += 1;
  }
  return stopped;
}

async function stop(
  deps: WatchChannelDeps,
  channel: { readonly channelId: string; readonly resourceId: string },
): Promise<boolean> {
  try {
    await deps.directory.stopChannel(channel);
    return true;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('channel-not-stopped', {
      channelId: channel.channelId,
      code: error.code,
      message: error.message,
    });
    return false;
  }
}
