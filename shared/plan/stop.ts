import type { EmergencyStop } from '../domain/held.ts';
import { sentence } from '../domain/sentence.ts';
import type { Plan, Step } from '../domain/step.ts';

/** What the row of somebody who waits for the stop to end says it does next. */
export const WAIT_FOR_RESUME = 'wait-for-resume';

/**
 * Goes on under a stop: revoking a key that an admin reported as compromised. It can harm nobody but whoever has the key, and
 * whoever pulls the brake must not keep a stolen key good by it. Everything else waits, renewals too.
 */
export const goesOnUnderStop = (step: Step): boolean =>
  step.kind === 'revoke-leaf' && step.revocationReason === 'keyCompromise' && !step.departure;

/** The plan as far as a stop lets it. A plan that asks for nothing is as it was: there is nothing to stop. */
export function underStop(plan: Plan, stop: EmergencyStop | undefined): Plan {
  if (stop === undefined || plan.steps.every(goesOnUnderStop)) return plan;
  const leaving = plan.verdict.state === 'leaving' || plan.verdict.state === 'out';
  return {
    ...plan,
    steps: plan.steps.filter(goesOnUnderStop),
    verdict: {
      state: leaving ? 'leaving' : 'pending',
      reason: whyStopped(stop),
      nextAction: WAIT_FOR_RESUME,
    },
  };
}

export const whyStopped = ({ by, at, reason }: EmergencyStop): string =>
  `Stopped by ${by} at ${at.toISOString()}: ${sentence(reason)} Nothing is begun for anybody until an admin resumes.`;
