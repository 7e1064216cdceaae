/** Planning for those who leave: suspended, outside every rule, archived, deleted. */
import type { DepartureTerms } from '../domain/policy.ts';
import type { RevocationReason } from '../domain/revocation-reason.ts';
import type { Step, Verdict } from '../domain/step.ts';
import type { Facts } from './facts.ts';
import { liveLeaves, withoutLeaves } from './holdings.ts';
import {
  closeReports,
  deleteIdentities,
  disableKeypairs,
  failWishes,
  revokeAll,
  wishesThatWait,
} from './rules/departure.ts';
import { serialsRevokedBy, urgentRevocations } from './rules/retirement.ts';
import type { Standing } from './standing.ts';
import { earliest, plus, slowRetryMs } from './timing.ts';

/** How somebody leaves. */
export interface Leaver {
  /** When the grace period ends. */
  readonly dueAt: Date;
  readonly revocationReason: RevocationReason;
  /** Why, without a full stop. */
  readonly reason: string;
  /** What happens in Gmail; undefined where the mailbox went with the account. */
  readonly terms: DepartureTerms | undefined;
  /** What brings them back: what they wait for meanwhile waits for that. */
  readonly until: string;
}

export function leaverOf(standing: Extract<Standing, { kind: 'suspended' | 'outside' | 'deleted' }>): Leaver {
  switch (standing.kind) {
    case 'suspended':
      return {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'privilegeWithdrawn',
        reason: 'The account is suspended',
        terms: standing.terms,
        until: 'until the account is restored',
      };
    case 'outside':
      return {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'affiliationChanged',
        reason: `Left the scope: ${standing.why}`,
        terms: standing.terms,
        until: 'until the user is back',
      };
    case 'deleted':
      return {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'cessationOfOperation',
        reason: 'The account was deleted',
        terms: undefined,
        until: 'until the account is undeleted',
      };
    default:
      return standing satisfies never;
  }
}

/** Whether leaving changes anything in Gmail. */
export const needsGmailToLeave = ({ terms }: Leaver): boolean =>
  terms !== undefined && (terms.identity === 'delete' || terms.keypair === 'disable');

export interface Outcome {
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

export function planLeaver(facts: Facts, leaver: Leaver): Outcome {
  const urgent = urgentRevocations(facts, false);
  const reason = `${leaver.reason}.`;
  if (facts.ledger.leaves.length === 0) {
    return { steps: failWishes(facts.ledger.openWishes, reason), verdict: { state: 'out', reason } };
  }
  if (facts.now.getTime() < leaver.dueAt.getTime()) {
    return { steps: [...urgent, ...closeReports(facts, reason)], verdict: inGracePeriod(facts, leaver) };
  }
  const remaining = withoutLeaves(facts, serialsRevokedBy(urgent));
  const steps = [
    ...urgent,
    ...revokeAll(remaining, leaver.revocationReason, reason),
    ...closeReports(facts, reason),
    ...failWishes(wishesThatWait(facts), reason),
    ...(leaver.terms?.identity === 'delete' ? deleteIdentities(facts, reason) : []),
    ...(leaver.terms?.keypair === 'disable' ? disableKeypairs(facts, reason) : []),
  ];
  return { steps, verdict: afterLeaving(facts, leaver) };
}

/** A re-key that is asked for meanwhile waits, and says so where the admin who asked looks. */
function inGracePeriod(facts: Facts, leaver: Leaver): Verdict {
  const parked = wishesThatWait(facts).length > 0 ? ` The re-key waits ${leaver.until}.` : '';
  const live = liveLeaves(facts);
  const whatGoes =
    live.length > 0 ? 'the certificate is revoked when the grace period ends' : 'no certificate is in use';
  return {
    state: 'leaving',
    reason: `${leaver.reason}; ${whatGoes}.${parked}`,
    nextAction: 'revoke',
    nextActionAt: earliest(leaver.dueAt, ...live.map((leaf) => leaf.retirement?.dueAt)) ?? leaver.dueAt,
  };
}

/** Out, unless Gmail would not let what is left there be done: then that part is parked and tried again. */
function afterLeaving(facts: Facts, leaver: Leaver): Verdict {
  const reason = `${leaver.reason}.`;
  if (!needsGmailToLeave(leaver) || facts.gmail.kind !== 'unavailable') {
    const kept = leaver.terms?.identity === 'keep' ? ' The identity in Gmail stays.' : '';
    return { state: 'out', reason: `${reason}${kept}` };
  }
  const { user } = facts.ledger;
  const waitedMs =
    user?.state === 'leaving' && user.failures > 0 ? facts.now.getTime() - user.since.getTime() : 0;
  const what = leaver.terms?.identity === 'delete' ? 'deleting the identity' : 'disabling the key pair';
  return {
    state: 'leaving',
    reason: `${reason} The certificate is revoked; ${what} is parked: ${facts.gmail.message}`,
    waits: true,
    nextAction: leaver.terms?.identity === 'delete' ? 'delete-identity' : 'disable-keypair',
    nextActionAt: plus(facts.now, slowRetryMs(user?.failures ?? 0, waitedMs)),
  };
}
