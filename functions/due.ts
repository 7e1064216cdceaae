/** Schedule, every minute → hints for whoever's time has come, and a look after the notification channels. */

import { isCurrent } from '../shared/authority/publish-crl.ts';
import type { Bus } from '../shared/ports/bus.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import type { Log } from '../shared/ports/log.ts';
import { keepChannels, type WatchChannelDeps } from '../shared/sources/watch-channels.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import type { HttpHandler } from './wire/http.ts';

export interface DueDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'dueUsers' | 'issuers' | 'latestPublishedCrl' | 'revokedLeaves'>;
  readonly bus: Pick<Bus, 'publishHints' | 'requestCrl'>;
  readonly channels: WatchChannelDeps;
  readonly log: Log;
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

/** Hints at most this many users a minute; the rest are still due a minute later. */
const USERS_PER_RUN = 1_000;

export function createDue(deps: DueDeps): HttpHandler {
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const due = await deps.ledger.dueUsers(USERS_PER_RUN);
    const eventId = `due-${deps.clock.now().toISOString()}`;
    await deps.bus.publishHints(
      due.map(({ userId, nextAction }) => ({ userId, cause: { source: 'due', eventId, event: nextAction } })),
    );
    await requestLateCrls(deps);
    const channels = await keepChannels(deps.channels);
    deps.log.info('due', { eventId, users: due.length, ...channels });
    return { status: 200, body: { users: due.length, channels } };
  };
}

/** A revocation whose own request was lost, by a crash between the two, is in the CRL within minutes all the same. */
async function requestLateCrls(deps: DueDeps): Promise<void> {
  for (const { issuerId, state } of await deps.ledger.issuers()) {
    if (state !== 'retired' && !(await isCurrent(deps, issuerId))) await deps.bus.requestCrl(issuerId);
  }
}
