/**
 * Schedule, every minute → hints for whoever's time has come or of whom the directory did not show yet what an event told, a look after
 * the notification channels, and every ten minutes at what the Reports API knows and the log sink did not bring.
 */

import { isOcspCurrent, isRefreshBehind } from '../shared/authority/pre-sign.ts';
import { isCurrent } from '../shared/authority/publish-crl.ts';
import type { IssuerRecord } from '../shared/domain/records.ts';
import type { Bus } from '../shared/ports/bus.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { KeyRewrapping } from '../shared/ports/key-rewrapping.ts';
import type { Ledger } from '../shared/ports/ledger.ts';
import type { Log } from '../shared/ports/log.ts';
import { type RewrapDeps, rewrapKeys } from '../shared/reconcile/rewrap-keys.ts';
import { alarmsOf, type FreshnessLedger, measure, readFreshness } from '../shared/sources/freshness.ts';
import { type DueHintDeps, hintDueUsers } from '../shared/sources/hint-due-users.ts';
import { type AskAgainDeps, askAgain } from '../shared/sources/reads-lag.ts';
import { type ReportsDeps, readReports } from '../shared/sources/reports/read-reports.ts';
import { keepChannels, type WatchChannelDeps } from '../shared/sources/watch-channels.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import type { HttpHandler } from './wire/http.ts';

export interface DueDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    'issuers' | 'latestPublishedCrl' | 'hasUnlistedRevocations' | 'ocspSubjects' | 'oldestOcspAnswer'
  > &
    DueHintDeps['ledger'] &
    AskAgainDeps['ledger'] &
    RewrapDeps['ledger'] &
    FreshnessLedger;
  readonly bus: Pick<Bus, 'publishHints' | 'requestCrl'>;
  readonly channels: WatchChannelDeps;
  readonly hintsPerMinute: DueHintDeps['hintsPerMinute'];
  /** Absent: the Reports API is not read. */
  readonly reports?: ReportsDeps;
  /** Our own key service, whose wrapped keys follow its rotations. Absent: nothing is wrapped again. */
  readonly rotation?: { readonly keyServiceUrl: string; readonly keyRewrapping: KeyRewrapping };
  readonly log: Log;
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

/** A rotation is noticed this soon; one that is under way goes on every minute. */
const ROTATION_LOOK_MS = 10 * 60_000;
/** The same of OCSP answers that no run of publish-crl got to. */
const REFRESH_LOOK_MS = 10 * 60_000;

export function createDue(deps: DueDeps): HttpHandler {
  const followRotation = rotationFollower(deps);
  const followRefresh = refreshFollower(deps);
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const eventId = `due-${deps.clock.now().toISOString()}`;
    const chores = [
      hintDueUsers(deps, eventId),
      askAgain(deps),
      requestLateCrls(deps, followRefresh),
      keepChannels(deps.channels),
      followRotation(eventId),
      deps.reports === undefined ? undefined : readReports(deps.reports),
    ] as const;
    // Each runs to its end before any failure is told: none of them needs what the others need.
    await Promise.allSettled(chores);
    await watchFreshness(deps);
    const [users, askedAgain, , channels, , reports] = await Promise.all(chores);
    deps.log.info('due', {
      eventId,
      users,
      askedAgain,
      ...channels,
      ...(reports === undefined ? {} : { reports: reports.kind }),
    });
    return { status: 200, body: { users, channels } };
  };
}

/** One line of numbers for the metrics, and one line for each alarm that stands (terraform/monitoring-sources.tf). */
async function watchFreshness(deps: DueDeps): Promise<void> {
  const now = deps.clock.now();
  const freshness = await readFreshness(deps.ledger);
  deps.log.info('freshness', measure(freshness, now));
  for (const { alarm, message } of alarmsOf(freshness, now)) deps.log.error('alarm', { alarm, message });
}

/** Has wrapped keys wrapped again under the newest key-encryption key, every ten minutes or as long as there are any. */
function rotationFollower(deps: DueDeps): (eventId: string) => Promise<void> {
  let nextLookMs = 0;
  return async (eventId) => {
    const nowMs = deps.clock.now().getTime();
    if (deps.rotation === undefined || nowMs < nextLookMs) return;
    nextLookMs = nowMs + ROTATION_LOOK_MS;
    const { keyServiceUrl, keyRewrapping } = deps.rotation;
    const { more, ...counts } = await rewrapKeys({ ...deps, keyRewrapping }, { keyServiceUrl, eventId });
    if (more) nextLookMs = 0;
    if (counts.rewrapped + counts.unreadable > 0) deps.log.info('keys-rewrapped', { eventId, ...counts });
  };
}

/** Whether old answers are left, asked every ten minutes, or every minute while there are any. */
function refreshFollower(deps: DueDeps): (issuer: IssuerRecord) => Promise<boolean> {
  const nextLookMs = new Map<string, number>();
  return async (issuer) => {
    const nowMs = deps.clock.now().getTime();
    if (nowMs < (nextLookMs.get(issuer.issuerId) ?? 0)) return false;
    const isBehind = await isRefreshBehind(deps, issuer);
    nextLookMs.set(issuer.issuerId, isBehind ? 0 : nowMs + REFRESH_LOOK_MS);
    return isBehind;
  };
}

/**
 * A revocation whose own request was lost, by a crash between the two, is in CRL and OCSP within minutes all the same; and OCSP answers
 * that are old because there are more than the schedule's runs have time for are made anew by runs of their own.
 */
async function requestLateCrls(
  deps: DueDeps,
  isRefreshBehindOf: (issuer: IssuerRecord) => Promise<boolean>,
): Promise<void> {
  for (const issuer of await deps.ledger.issuers()) {
    if (issuer.state === 'retired') continue;
    const isPublic =
      (await isCurrent(deps, issuer.issuerId)) &&
      (await isOcspCurrent(deps, issuer)) &&
      !(await isRefreshBehindOf(issuer));
    if (!isPublic) await deps.bus.requestCrl(issuer.issuerId);
  }
}
