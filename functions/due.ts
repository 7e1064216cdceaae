/** Schedule, every minute → hints for whoever's time has come, and a look after the notification channels. */

import { isOcspCurrent } from '../shared/authority/pre-sign.ts';
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
  readonly ledger: Pick<
    Ledger,
    'dueUsers' | 'issuers' | 'latestPublishedCrl' | 'revokedLeaves' | 'ocspSubjects'
  >;
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
    const eventId = `due-${deps.clock.now().toISOString()}`;
    const chores = [hintDueUsers(deps, eventId), requestLateCrls(deps), keepChannels(deps.channels)] as const;
    // Each runs to its end before any failure is told: none of them needs what the others need.
    await Promise.allSettled(chores);
    const [users, , channels] = await Promise.all(chores);
    deps.log.info('due', { eventId, users, ...channels });
    return { status: 200, body: { users, channels } };
  };
}

/** Answers how many. */
async function hintDueUsers(deps: DueDeps, eventId: string): Promise<number> {
  const due = await deps.ledger.dueUsers(USERS_PER_RUN);
  await deps.bus.publishHints(
    due.map(({ userId, nextAction }) => ({ userId, cause: { source: 'due', eventId, event: nextAction } })),
  );
  return due.length;
}

/** A revocation whose own request was lost, by a crash between the two, is in CRL and OCSP within minutes all the same. */
async function requestLateCrls(deps: DueDeps): Promise<void> {
  for (const issuer of await deps.ledger.issuers()) {
    if (issuer.state === 'retired') continue;
    const isPublic = (await isCurrent(deps, issuer.issuerId)) && (await isOcspCurrent(deps, issuer));
    if (!isPublic) await deps.bus.requestCrl(issuer.issuerId);
  }
}
