import type { Cause } from '../domain/hint.ts';
import type { Plan, Verdict } from '../domain/step.ts';
import type { Facts } from '../plan/facts.ts';
import { plus } from '../plan/timing.ts';
import type { ReconcileDeps } from './context.ts';

const OBSERVE_AGAIN_MS = 86_400_000;

/** The rule in force only observes: what would be done is recorded whenever it changes, and nothing of it is done. */
export async function recordObserved(
  deps: Pick<ReconcileDeps, 'ledger'>,
  facts: Facts,
  cause: Cause,
  plan: Plan,
): Promise<Verdict> {
  const { user, leaves } = facts.ledger;
  const would = plan.steps.map(({ kind, reason }) => `${kind} (${reason})`).join(', ');
  const verdict: Verdict = {
    state: leaves.length === 0 || user === undefined ? 'out' : user.state,
    reason: `The rule only observes. Would be done: ${would === '' ? 'nothing' : would}.`,
    nextAction: 'observe-again',
    nextActionAt: plus(facts.now, OBSERVE_AGAIN_MS),
  };
  if (user !== undefined && user.reason !== verdict.reason) {
    const steps = plan.steps.map(({ kind }) => kind).join(' ');
    const entry = { userId: facts.userId, cause, step: 'plan-observed', details: { steps } };
    await deps.ledger.audit({ ...entry, reason: verdict.reason, outcome: 'ignored' });
  }
  return verdict;
}
