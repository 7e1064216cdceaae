/**
 * Public HTTP → a hint. Google's push notifications for `users.watch` cannot carry an ID token, so this function is
 * open to the internet and does nothing but check channel id and token and publish.
 * https://developers.google.com/workspace/admin/directory/v1/guides/push
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { invalidInput, permanent } from '../shared/errors.ts';
import type { Bus } from '../shared/ports/bus.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import type { Log } from '../shared/ports/log.ts';
import type { HttpCall, HttpHandler } from './wire/http.ts';
import { parseJsonObject } from './wire/http.ts';

export interface DirectoryWatchDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'readChannel'>;
  readonly bus: Pick<Bus, 'publishHint'>;
  readonly log: Log;
}

/** Compared against when the channel is unknown, so that knowing a channel id cannot be told from the time taken. */
const NO_CHANNEL_SHA256 = Buffer.alloc(32);

export function createDirectoryWatch(deps: DirectoryWatchDeps): HttpHandler {
  return async (call) => {
    if (call.method !== 'POST') throw permanent('method-not-allowed', 'Notifications are posted.');
    const channelId = header(call, 'x-goog-channel-id');
    const state = header(call, 'x-goog-resource-state');
    await authenticateChannel(deps, channelId, header(call, 'x-goog-channel-token'));
    if (state === 'sync') return { status: 204 };
    const { id } = parseJsonObject(call.body);
    if (typeof id !== 'string' || !/^\d{1,32}$/.test(id)) {
      throw invalidInput('malformed-event', 'The notification names no user: its "id" must be digits.');
    }
    const eventId = `${channelId}:${header(call, 'x-goog-message-number')}`;
    // The notification does not say when; it comes seconds after.
    const at = deps.clock.now();
    await deps.bus.publishHint({ userId: id, cause: { source: 'watch', eventId, event: state, at } });
    deps.log.info('hint-published', { eventId, userId: id, sourceEvent: state });
    return { status: 204 };
  };
}

/** 404 for a channel that is unknown or over, 403 for a wrong token; both after one comparison in constant time. */
async function authenticateChannel(
  deps: DirectoryWatchDeps,
  channelId: string,
  token: string,
): Promise<void> {
  const channel = channelId === '' ? undefined : await deps.ledger.readChannel(channelId);
  const expected = channel === undefined ? NO_CHANNEL_SHA256 : Buffer.from(channel.tokenSha256Hex, 'hex');
  const tokenIsRight = timingSafeEqual(createHash('sha256').update(token).digest(), expected);
  if (channel === undefined || channel.expiresAt.getTime() <= deps.clock.now().getTime()) {
    throw permanent('not-found', 'This notification channel is unknown or over.');
  }
  if (!tokenIsRight) throw permanent('forbidden', 'The channel token is wrong.');
}

/** Google's samples show header values with leading blanks. */
function header(call: HttpCall, name: string): string {
  const value = call.headers[name];
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim();
}
