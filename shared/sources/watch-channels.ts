/**
 * Keeps `users.watch` channels open: one for every kind of event, or one for each kind where Google wants them apart. Channels cannot be renewed or listed: a new one is opened before the old one
 * ends, both deliver for a while, then the old one is stopped.
 * https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
import { createHash } from 'node:crypto';
import { isSealwrightError, type SealwrightError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import {
  ALL_EVENTS,
  brings,
  EVENT_KINDS,
  type EventKind,
  endsOfKinds,
  isAnswered,
  isNeeded,
  isOver,
} from './event-kinds.ts';

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
/** What Google has refused for good is asked for again after so long, because what it offers may change. */
const ASK_AGAIN_MS = 3_600_000;
/** How long the row of a refusal lasts: it tells whoever asks again that it was said. */
const REFUSED_MS = 2 * ASK_AGAIN_MS;
/** How long the row of an opening lasts that Google has not answered. */
const OPENING_MS = 60_000;
/** Asked for; Google answers what it grants, and only that counts. */
const WANTED_TTL_SECONDS = 172_800;
const LEASE_MS = 60_000;

type ChannelRow = Awaited<ReturnType<Ledger['channels']>>[number];

export async function keepChannels(deps: WatchChannelDeps): Promise<ChannelReport> {
  const lease = await deps.ledger.acquireLease('job:watch-channels', LEASE_MS);
  if (lease === undefined) return { open: (await openChannels(deps)).length, opened: 0, stopped: 0 };
  try {
    const rows = await deps.ledger.channels();
    const opened = await openMissing(deps, rows);
    const stopped = await letGo(deps, rows, opened);
    return {
      open: (await openChannels(deps)).length,
      opened: opened.length,
      stopped: stopped + (await stopStrays(deps)),
    };
  } finally {
    if ((await deps.ledger.releaseLease(lease)) !== 'released') await deps.ledger.releaseLease(lease);
  }
}

const openChannels = async ({ clock, ledger }: WatchChannelDeps): Promise<readonly ChannelRow[]> =>
  (await ledger.channels()).filter((row) => isAnswered(row) && !isOver(row, clock.now()));

const isFresh = (row: ChannelRow, now: Date): boolean =>
  isAnswered(row) && lasts(row, now, REPLACE_BEFORE_MS);

/** Whether there is more than this left of it. */
const lasts = (row: ChannelRow, now: Date, milliseconds: number): boolean =>
  row.expiresAt.getTime() - now.getTime() > milliseconds;

/** Whether it is the row of a refusal that lasts for so long still; the row of an opening whose process died never does. */
const isRefused = (row: ChannelRow, now: Date, milliseconds: number): boolean =>
  !isAnswered(row) && lasts(row, now, milliseconds);

/**
 * One channel for all kinds; where Google does not take that, one for each kind that is missing. Whatever it has refused for good
 * waits for its hour. The events of the channels that were opened are answered.
 */
async function openMissing(
  deps: WatchChannelDeps,
  rows: readonly ChannelRow[],
): Promise<readonly { readonly event: string }[]> {
  const now = deps.clock.now();
  const waits = (event: string) =>
    rows.some((row) => row.event === event && isRefused(row, now, ASK_AGAIN_MS));
  const fresh = rows.filter((row) => isFresh(row, now));
  const missing = EVENT_KINDS.filter((kind) => !fresh.some((channel) => brings(channel, kind)));
  const askable = missing.filter((kind) => !waits(kind));
  if (askable.length === 0) return [];
  if (!waits(ALL_EVENTS)) {
    const forAll = await openChannel(deps, ALL_EVENTS, rows);
    if (forAll === 'opened') return [{ event: ALL_EVENTS }];
    if (forAll === 'failed') return [];
  }
  const opened: { readonly event: string }[] = [];
  for (const event of askable)
    if ((await openChannel(deps, event, rows)) === 'opened') opened.push({ event });
  return opened;
}

/**
 * The channel's row is written before Google is asked, because the first notification may come before the answer. A
 * directory that refuses leaves the sweep and the audit log as sources, so it is reported and not thrown. `refused`: for good, as far
 * as Google says; the row stays until it is asked for again, and tells that it was said.
 */
async function openChannel(
  deps: WatchChannelDeps,
  event: string,
  rows: readonly ChannelRow[],
): Promise<'opened' | 'refused' | 'failed'> {
  const channelId = deps.randomId();
  const token = Buffer.from(deps.randomBytes(32)).toString('base64url');
  const tokenSha256Hex = createHash('sha256').update(token).digest('hex');
  const unanswered = (forMs: number) =>
    deps.ledger.recordChannel({
      ...{ channelId, tokenSha256Hex, event, resourceId: '' },
      expiresAt: new Date(deps.clock.now().getTime() + forMs),
    });
  await unanswered(OPENING_MS);
  try {
    const { resourceId, expiresAt } = await deps.directory.watch({
      channelId,
      token,
      address: deps.receiverUrl,
      ttlSeconds: WANTED_TTL_SECONDS,
      ...(event === ALL_EVENTS ? {} : { event }),
    });
    await deps.ledger.recordChannel({ channelId, tokenSha256Hex, event, resourceId, expiresAt });
    deps.log.info('channel-opened', { channelId, kind: event, expiresAt: expiresAt.toISOString() });
    return 'opened';
  } catch (error) {
    const refused = isSealwrightError(error) && isForGood(error, event);
    // Kept as retired: where only the answer was lost there is a channel, and its first notification names it.
    await (refused ? unanswered(REFUSED_MS) : deps.ledger.retireChannel(channelId));
    if (!isSealwrightError(error)) throw error;
    const now = deps.clock.now();
    const wasSaid = rows.some((row) => row.event === event && isRefused(row, now, OPENING_MS));
    deps.log[refused ? severityOf(event, wasSaid) : 'error']('channel-refused', {
      kind: event,
      code: error.code,
      message: error.message,
      askedAgainIn: refused ? 'an hour' : 'a minute',
    });
    return refused ? 'refused' : 'failed';
  }
}

/** What is refused for good is told once. That it is refused is no fault where the single kinds or the next look stand in. */
function severityOf(event: string, wasSaid: boolean): 'info' | 'warning' | 'error' {
  if (wasSaid || event === ALL_EVENTS) return 'info';
  return isNeeded(event) ? 'error' : 'warning';
}

/**
 * Whether asking again in a minute is of no use. A refusal of all kinds at once counts only where Google does not offer that (400):
 * a right that is missing concerns the single kinds as well, and is seen within a minute when it is given.
 */
const isForGood = (error: SealwrightError, event: string): boolean =>
  error.kind === 'permanent' && (event !== ALL_EVENTS || error.details?.['httpStatus'] === 400);

/**
 * Each channel goes when all that it brings is brought by others. One that is over goes too, unless a kind that is needed has had none
 * since: its row tells until when there was one.
 */
async function letGo(
  deps: WatchChannelDeps,
  rows: readonly ChannelRow[],
  opened: readonly { readonly event: string }[],
): Promise<number> {
  const now = deps.clock.now();
  const fresh = rows.filter((row) => isFresh(row, now));
  const lastEnds = endsOfKinds(rows.filter(isAnswered));
  const isBrought = (kind: EventKind) => [...fresh, ...opened].some((channel) => brings(channel, kind));
  const tellsAnEnd = (row: ChannelRow) =>
    lastEnds.some(
      ({ kind, endsAt }) =>
        brings(row, kind) &&
        isNeeded(kind) &&
        !isBrought(kind) &&
        endsAt?.getTime() === row.expiresAt.getTime(),
    );
  const isDone = (row: ChannelRow) => {
    if (!isAnswered(row)) return !isRefused(row, now, ASK_AGAIN_MS);
    if (isOver(row, now)) return !tellsAnEnd(row);
    return !fresh.includes(row) && EVENT_KINDS.filter((kind) => brings(row, kind)).every(isBrought);
  };
  let stopped = 0;
  for (const row of rows.filter(isDone)) {
    if (isAnswered(row) && !isOver(row, now) && !(await stop(deps, row))) continue;
    await deps.ledger.retireChannel(row.channelId);
    if (isAnswered(row)) stopped += 1;
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
