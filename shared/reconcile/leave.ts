import type { Cause } from '../domain/hint.ts';
import { LEAVE_BEGUN, type LeaveTerms } from '../domain/leave.ts';
import type { Policy } from '../domain/policy.ts';
import type { Facts } from '../plan/facts.ts';
import { leaverOf } from '../plan/leaver.ts';
import { isObserveOnly, type Standing, standingOf } from '../plan/standing.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import type { ReconcileDeps } from './context.ts';

type Leaving = Extract<Standing, { kind: 'suspended' | 'outside' | 'deleted' }>;

function leavingOf(standing: Standing): Leaving | undefined {
  switch (standing.kind) {
    case 'suspended':
    case 'outside':
    case 'deleted':
      return standing;
    default:
      return undefined;
  }
}

const termsOf = (standing: Leaving): LeaveTerms => ({
  leaving: standing.kind,
  leavingSince: standing.since.toISOString(),
  graceEndsAt: leaverOf(standing).dueAt.toISOString(),
});

/** The line with which a departure begins, for whoever has something to lose. */
function beginning(facts: Facts, policy: Policy, cause: Cause): AuditEntry | undefined {
  const standing = leavingOf(standingOf(facts, policy));
  if (standing === undefined || isObserveOnly(standing, facts, policy)) return undefined;
  if (facts.ledger.leaves.length === 0) return undefined;
  const leaver = leaverOf(standing);
  const ends = standing.graceMs > 0 ? `; the grace period ends at ${leaver.dueAt.toISOString()}` : '';
  return {
    userId: facts.userId,
    cause,
    step: LEAVE_BEGUN,
    reason: `${leaver.reason}${ends}.`,
    outcome: 'done',
    details: { ...termsOf(standing) },
  };
}

/**
 * The line of the trail with which the departure of somebody who is present begins; undefined when none begins with this look.
 * `before` is what the ledger said before the look. Written before anything else is known: whether they go at once is for
 * the grace period, the guard and the stop switch to say, and the next look has another cause.
 */
export function leaveBegun(before: Facts, policy: Policy, cause: Cause): AuditEntry | undefined {
  return wasLeaving(before, standingOf(before, policy)) ? undefined : beginning(before, policy, cause);
}

/** Whether an earlier look already saw them leave, and leave like this. */
function wasLeaving({ ledger: { user } }: Facts, { kind }: Standing): boolean {
  if (kind === 'outside') return user?.leftScopeAt !== undefined;
  // Who is outside and suspended leaves as somebody outside: suspension decides from when they are back in scope.
  return kind === 'suspended' && user?.suspendedAt !== undefined && user.leftScopeAt === undefined;
}

/**
 * The same for a deleted account that has something left when the look ends: policy gives it a grace period, the guard holds it,
 * everything is stopped, or a step failed. No sighting says whether an earlier look wrote it, so the trail is asked.
 */
export async function deletionBegun(
  { ledger, policy }: Pick<ReconcileDeps, 'ledger' | 'policy'>,
  facts: Facts,
  cause: Cause,
): Promise<AuditEntry | undefined> {
  if (facts.presence.kind !== 'deleted') return undefined;
  if (facts.ledger.leaves.every(({ revocation }) => revocation !== undefined)) return undefined;
  const entry = beginning(facts, policy, cause);
  if (entry === undefined) return undefined;
  const { details: { leaving, leavingSince } = {} } = entry;
  const written = await ledger.auditEntriesOfStep(LEAVE_BEGUN, [facts.userId]);
  const isWritten = written.some(
    ({ details }) => details?.['leaving'] === leaving && details?.['leavingSince'] === leavingSince,
  );
  return isWritten ? undefined : entry;
}

/**
 * Of a step that carries a departure out: what ties it to the entry with which that began. Undefined for
 * every other step, also one that takes something from a leaver for another reason.
 */
export function leaveTerms(facts: Facts, policy: Policy, reason: string): LeaveTerms | undefined {
  const standing = leavingOf(standingOf(facts, policy));
  return standing === undefined || reason !== `${leaverOf(standing).reason}.` ? undefined : termsOf(standing);
}
