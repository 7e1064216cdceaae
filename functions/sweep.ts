/**
 * Schedule, every minute → the sweep of the directory: begins one when it is due, goes on with the one under way, lets
 * a minute's worth of waiting hints out. Nothing here acts on anybody (`shared/sources/sweep`).
 */
import { type ActivePolicySource, activationKey } from '../shared/activation/active-policy.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { SweepDeps } from '../shared/sources/sweep/context.ts';
import { tick } from '../shared/sources/sweep/tick.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import type { HttpHandler } from './wire/http.ts';

export interface SweepFunctionDeps extends Omit<SweepDeps, 'policy' | 'activation'> {
  readonly policies: ActivePolicySource;
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

export function createSweep(deps: SweepFunctionDeps): HttpHandler {
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const { policy, digest, pins } = await deps.policies.current();
    const activation = activationKey(digest, pins);
    const report = await tick({ ...deps, policy, activation });
    await measureRollout(deps);
    return { status: 200, body: report };
  };
}

/** One line of numbers for the metrics (terraform/monitoring-sources.tf). */
async function measureRollout({ clock, ledger, log }: SweepFunctionDeps): Promise<void> {
  const { waiting, waitingSince, late } = await ledger.rolloutOverview();
  const oldestMs = waitingSince === undefined ? 0 : clock.now().getTime() - waitingSince.getTime();
  log.info('rollout', { waiting, oldestWaitingSeconds: Math.round(oldestMs / 1000), late });
}
