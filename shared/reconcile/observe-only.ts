import type { Cause } from '../domain/hint.ts';
import type { PolicyRule } from '../domain/policy.ts';
import type { Plan, PlanNotices, Verdict } from '../domain/step.ts';
import type { Facts } from '../plan/facts.ts';
import { failWishes } from '../plan/rules/departure.ts';
import { EXPIRING_KINDS } from '../plan/rules/notices.ts';
import { goesOnUnderStop } from '../plan/stop.ts';
import { plus } from '../plan/timing.ts';
import type { ReconcileDeps } from './context.ts';

const OBSERVE_AGAIN_MS = 86_400_000;

/** The rule in force only observes: what would be done is recorded whenever it changes. */
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

/**
 * What is done all the same: what goes on under a stop, too. A re-key that was asked for comes true under no such rule, so it
 * ends and says why, after the revocation.
 */
export function doneUnderObserve(facts: Facts, plan: Plan, rule: PolicyRule): Plan {
  const reason = `Rule "${rule.name}" only observes: no key is made under it. Set it to act and ask again; a compromised certificate is revoked all the same, and replaced once the rule acts.`;
  return {
    ...plan,
    steps: [...plan.steps.filter(goesOnUnderStop), ...failWishes(facts.ledger.openWishes, reason)],
  };
}

/** Told under such a rule: whatever else is in Gmail is nobody's business yet, but a certificate's end comes all the same. */
export const toldUnderObserve = (found: PlanNotices | undefined): PlanNotices => ({
  kinds: EXPIRING_KINDS,
  notices: (found?.notices ?? []).filter(({ kind }) => EXPIRING_KINDS.some((one) => one === kind)),
});
