/** Brings a plan before the stop switch and the guard, and says what of it may be done. */
import type { GuardRuling } from '../domain/held.ts';
import type { Cause } from '../domain/hint.ts';
import type { NextAction } from '../domain/next-action.ts';
import type { Plan } from '../domain/step.ts';
import type { Facts } from '../plan/facts.ts';
import {
  departureSteps,
  GUARD_WINDOW_MS,
  judge,
  LOOK_AT_HELD_MS,
  scopesOf,
  withoutDepartures,
} from '../plan/guard.ts';
import { standingOf } from '../plan/standing.ts';
import { underStop } from '../plan/stop.ts';
import { plus } from '../plan/timing.ts';
import type { Lease } from '../ports/ledger.ts';
import type { ReconcileDeps, StepContext } from './context.ts';

export interface Judged {
  /** What may be done now. */
  readonly plan: Plan;
  readonly approval?: NonNullable<StepContext['approval']>;
}

/**
 * A departure that is let through is written down before it begins, so that plans judged at once see each other. Steps
 * that hurt nobody go on.
 */
export async function judgePlan(
  deps: ReconcileDeps,
  lease: Lease,
  cause: Cause,
  facts: Facts,
  wanted: Plan,
): Promise<Judged> {
  const plan = underStop(wanted, wanted.steps.length === 0 ? undefined : await deps.ledger.currentStop());
  if (plan !== wanted) {
    const { verdict } = plan;
    return { plan: { ...plan, verdict: { ...verdict, nextActionAt: plus(facts.now, LOOK_AT_HELD_MS) } } };
  }
  const steps = departureSteps(plan);
  const { user } = facts.ledger;
  // Counting reads the audit trail; most plans take nothing away and need no count.
  if (steps.length === 0) {
    if (user?.departure !== undefined && isConcluded(deps, facts, plan))
      await deps.ledger.concludeDeparture(lease, { userId: facts.userId, cause });
    return { plan };
  }
  const { protectedAs } = plan;
  const now = deps.clock.now();
  const ruling = await deps.ledger.judgeDeparture(
    lease,
    {
      userId: facts.userId,
      primaryEmail: user?.primaryEmail ?? facts.userId,
      ...(user?.unit === undefined ? {} : { unit: user.unit }),
      scopes: scopesOf(user?.unit),
      since: plus(now, -GUARD_WINDOW_MS),
      steps,
      cause,
    },
    (sight) =>
      judge(sight, { steps, now, ...(protectedAs === undefined ? {} : { protectedAs }) }, deps.policy.guard),
  );
  return ruled(deps, cause, plan, ruling, now);
}

function ruled(deps: ReconcileDeps, cause: Cause, plan: Plan, ruling: GuardRuling, now: Date): Judged {
  switch (ruling.kind) {
    case 'let-through':
      return { plan };
    case 'approved':
      return { plan, approval: { setId: ruling.setId, by: ruling.by } };
    case 'held':
    case 'held-otherwise':
    case 'still-held': {
      deps.log.warning('departures-held', {
        eventId: cause.eventId,
        userId: plan.userId,
        reason: ruling.reason,
      });
      return { plan: waitingFor(plan, ruling.reason, 'wait-for-approval', plus(now, LOOK_AT_HELD_MS)) };
    }
    case 'dismissed':
      return { plan: waitingFor(plan, ruling.reason, 'ask-guard-again', ruling.until) };
    default:
      return ruling satisfies never;
  }
}

function waitingFor(plan: Plan, reason: string, nextAction: NextAction, nextActionAt: Date): Plan {
  const held = withoutDepartures(plan, reason);
  return { ...held, verdict: { ...held.verdict, nextAction, nextActionAt } };
}

/**
 * A plan that takes nothing away ends a departure that stands, unless it proves nothing: nobody saw the user, their rule is
 * frozen, or a part of the departure still waits for Gmail.
 */
function isConcluded(deps: ReconcileDeps, facts: Facts, plan: Plan): boolean {
  if (plan.verdict.waits === true) return false;
  const { kind } = standingOf(facts, deps.policy);
  return kind === 'absent' ? plan.verdict.state === 'out' : kind !== 'frozen';
}
