import type { Policy } from '../domain/policy.ts';
import type { Plan, Step } from '../domain/step.ts';

/** What the ledger says of the last hour. */
export interface RecentDepartures {
  /** Distinct other users that departed in the last hour, or were let through and are about to. */
  readonly departures: number;
  readonly coveredUsers: number;
}

export type GuardVerdict =
  | { readonly kind: 'allowed'; readonly plan: Plan }
  /** The steps that hurt nobody go on; departures are held, and the refusal names the limit. */
  | { readonly kind: 'held'; readonly plan: Plan; readonly held: readonly Step[]; readonly reason: string };

/**
 * Refuses mass harm. Departures of the last hour are counted together with this plan, because a moved unit arrives
 * as a thousand one-user plans. The limit is `max(minimum, share of covered users)`, at most `maximum`.
 */
export function guard(plan: Plan, recent: RecentDepartures, limits: Policy['guard']): GuardVerdict {
  const held = plan.steps.filter(isDeparture);
  if (held.length === 0) return { kind: 'allowed', plan };
  const limit = departureLimit(recent.coveredUsers, limits);
  if (recent.departures + 1 <= limit) return { kind: 'allowed', plan };
  const reason = `Held: ${recent.departures} users departed in the last hour and the limit for ${recent.coveredUsers} covered users is ${limit}.`;
  return {
    kind: 'held',
    held,
    reason,
    plan: {
      ...plan,
      steps: plan.steps.filter((step) => !isDeparture(step)),
      verdict: { ...plan.verdict, state: 'leaving', reason },
    },
  };
}

export function departureLimit(coveredUsers: number, limits: Policy['guard']): number {
  return Math.min(
    limits.maximumPerHour,
    Math.max(limits.minimumPerHour, Math.floor(coveredUsers * limits.shareOfCovered)),
  );
}

function isDeparture(step: Step): boolean {
  return (step.kind === 'revoke-leaf' || step.kind === 'delete-identity') && step.departure;
}
