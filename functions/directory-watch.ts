/**
 * Public HTTP → a hint. Google's push notifications for `users.watch` cannot carry an ID token, so this function is
 * open to the internet and does nothing but check channel id and token and publish.
 * https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Hint } from '../shared/domain/hint.ts';
import { invalidInput, isSealwrightError, permanent, retryable } from '../shared/errors.ts';
import type { Bus } from '../shared/ports/bus.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import type { Log } from '../shared/ports/log.ts';
import { type SourceMeter, sourceMeter } from '../shared/sources/meter.ts';
import type { HttpAnswer, HttpCall, HttpHandler } from './wire/http.ts';
import { parseJsonObject } from './wire/http.ts';

export interface DirectoryWatchDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'readChannel' | 'recordStrayNotification' | 'recordNews'>;
  readonly bus: Pick<Bus, 'publishHint'>;
  readonly log: Log;
}

/** Compared against when the channel is unknown, so that knowing a channel id cannot be told from the time taken. */
const NO_CHANNEL_SHA256 = Buffer.alloc(32);

/** Changes that the admin audit log tells of as well, each of them. */
const IN_AUDIT_LOG: ReadonlySet<string> = new Set(['add', 'delete', 'undelete']);

export function createDirectoryWatch(deps: DirectoryWatchDeps): HttpHandler {
  const meter = sourceMeter('watch', deps);
  return async (call) => {
    if (call.method !== 'POST') throw permanent('method-not-allowed', 'Notifications are posted.');
    try {
      return await receive(deps, meter, call);
    } finally {
      await meter.tell();
    }
  };
}

async function receive(deps: DirectoryWatchDeps, meter: SourceMeter, call: HttpCall): Promise<HttpAnswer> {
  const channelId = header(call, 'x-goog-channel-id');
  const state = header(call, 'x-goog-resource-state');
  await authenticateChannel(deps, meter, call, channelId);
  if (state === 'sync') return { status: 204 };
  const { id } = parseJsonObject(call.body);
  if (typeof id !== 'string' || !/^\d{1,32}$/.test(id)) {
    meter.oddity('malformed');
    throw invalidInput('malformed-event', 'The notification names no user: its "id" must be digits.');
  }
  const eventId = `${channelId}:${header(call, 'x-goog-message-number')}`;
  // The notification does not say when; it comes seconds after.
  const at = deps.clock.now();
  await publish(deps, { userId: id, cause: { source: 'watch', eventId, event: state, at } });
  meter.entry({ happenedAt: at, ...(IN_AUDIT_LOG.has(state) ? { alsoFrom: 'audit' } : {}) });
  deps.log.info('hint-published', { eventId, userId: id, sourceEvent: state });
  return { status: 204 };
}

/**
 * Google sends a notification again after 500, 502, 503 and 504 alone and drops it after anything else, so whatever kept
 * it from being published is answered 503, a missing right included.
 */
async function publish(deps: DirectoryWatchDeps, hint: Hint): Promise<void> {
  try {
    await deps.bus.publishHint(hint);
  } catch (error) {
    if (!isSealwrightError(error) || error.kind === 'retryable') throw error;
    throw retryable(error.code, error.message, { cause: error });
  }
}

/**
 * 404 for a channel that is unknown or over, 403 for a wrong token; both after one comparison in constant time. One of
 * ours that is over and still brings something is written down, for `due` to have it stopped.
 */
async function authenticateChannel(
  deps: DirectoryWatchDeps,
  meter: SourceMeter,
  call: HttpCall,
  channelId: string,
): Promise<void> {
  const token = header(call, 'x-goog-channel-token');
  const channel = channelId === '' ? undefined : await deps.ledger.readChannel(channelId);
  const expected = channel === undefined ? NO_CHANNEL_SHA256 : Buffer.from(channel.tokenSha256Hex, 'hex');
  const tokenIsRight = timingSafeEqual(createHash('sha256').update(token).digest(), expected);
  const isOver =
    channel !== undefined &&
    (channel.retiredAt !== undefined || channel.expiresAt.getTime() <= deps.clock.now().getTime());
  if (channel === undefined || isOver) {
    meter.oddity(isOver && tokenIsRight ? 'expired-channel' : 'unknown-channel');
    if (isOver && tokenIsRight)
      await deps.ledger.recordStrayNotification(channelId, header(call, 'x-goog-resource-id'));
    throw permanent('not-found', 'This notification channel is unknown or over.');
  }
  if (!tokenIsRight) {
    meter.oddity('wrong-token');
    throw permanent('forbidden', 'The channel token is wrong.');
  }
}

/** Google's samples show header values with leading blanks. */
function header(call: HttpCall, name: string): string {
  const value = call.headers[name];
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim();
}
