import type { Cause } from '../domain/hint.ts';
import { LEAVE_BEGUN, type LeaveTerms } from '../domain/leave.ts';
import type { Policy } from '../domain/policy.ts';
import type { Facts } from '../plan/facts.ts';
import { leaverOf } from '../plan/leaver.ts';
import { isObserveOnly, type Standing, standingOf } from '../plan/standing.ts';
import type { AuditEntry } from '../ports/ledger.ts';

type Leaving = Extract<Standing, { kind: 'suspended' | 'outside' | 'deleted' }>;

/** Somebody with a grace period between the event and its effect; undefined for everybody else, those who go at once too. */
function leavingWithGrace(standing: Standing): Leaving | undefined {
  switch (standing.kind) {
    case 'suspended':
    case 'outside':
    case 'deleted':
      return standing.graceMs > 0 ? standing : undefined;
    default:
      return undefined;
  }
}

const termsOf = (standing: Leaving): LeaveTerms => ({
  leaving: standing.kind,
  leavingSince: standing.since.toISOString(),
  graceEndsAt: leaverOf(standing).dueAt.toISOString(),
});

/**
 * The line of the trail with which a departure begins, for whoever has something to lose; undefined when none begins with this
 * look. `before` is what the ledger said before the look.
 */
export function leaveBegun(before: Facts, policy: Policy, cause: Cause): AuditEntry | undefined {
  const standing = leavingWithGrace(standingOf(before, policy));
  if (standing === undefined || isObserveOnly(standing, before, policy)) return undefined;
  const leaver = leaverOf(standing);
  const over = before.now.getTime() >= leaver.dueAt.getTime();
  if (over || before.ledger.leaves.length === 0 || wasLeaving(before, standing)) return undefined;
  return {
    userId: before.userId,
    cause,
    step: LEAVE_BEGUN,
    reason: `${leaver.reason}; the grace period ends at ${leaver.dueAt.toISOString()}.`,
    outcome: 'done',
    details: { ...termsOf(standing) },
  };
}

/** Whether an earlier look already wrote down that they leave, and leave like this. */
function wasLeaving({ ledger: { user } }: Facts, standing: Leaving): boolean {
  switch (standing.kind) {
    case 'outside':
      return user?.leftScopeAt !== undefined;
    case 'suspended':
      // Who is outside and suspended leaves as somebody outside: suspension decides from when they are back in scope.
      return user?.suspendedAt !== undefined && user.leftScopeAt === undefined;
    case 'deleted':
      return user?.state === 'leaving' && user.reason.startsWith(leaverOf(standing).reason);
    default:
      return standing satisfies never;
  }
}

/**
 * Of a step that carries a departure out after its grace period: what ties it to the entry with which that began. Undefined for
 * every other step, also one that takes something from a leaver for another reason.
 */
export function leaveTerms(facts: Facts, policy: Policy, reason: string): LeaveTerms | undefined {
  const standing = leavingWithGrace(standingOf(facts, policy));
  return standing === undefined || reason !== `${leaverOf(standing).reason}.` ? undefined : termsOf(standing);
}
