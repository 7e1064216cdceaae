/**
 * A rule that covers nobody is a mistake more often than a wish: a unit with a similar name, a group that is empty, a rule
 * that others go before. `policy check --live` and `policy activate` refuse it; a policy that a function put in force when it started
 * nobody has compared with the directory, so the first whole sweep under it does, from what it made of everybody anyhow.
 */
import type { PolicyRule } from '../../domain/policy.ts';
import { scopeName } from '../../plan/scope.ts';
import type { SweepRecord } from '../../ports/ledger/sweeps.ts';
import type { SweepDeps, Tick } from './context.ts';

/**
 * After the end of a whole sweep that began under the policy in force; by the next one where this one does not know. A sweep has ended
 * whatever becomes of it.
 */
export async function tellEmptyRules({ deps, lease }: Tick, sweep: SweepRecord): Promise<void> {
  const { followed, noticed } = await deps.ledger.policyFollowing();
  if (followed === undefined || followed.activation !== deps.activation || followed.areRulesJudged) return;
  // Pages may have been judged by a policy that is about to be followed.
  if (noticed !== undefined || (sweep.startedAt ?? sweep.requestedAt) < followed.at) return;
  const { covering } = sweep;
  if (covering === undefined) {
    deps.log.warning('policy-rules-not-judged', {
      sweepId: String(sweep.sweepId),
      reason:
        'Whether every rule covers somebody the next sweep says: somebody was listed in a unit that came after the tree of units was read, or this sweep began before an update that counts it.',
    });
    return;
  }
  for (const rule of deps.policy.rules)
    if (!covering.includes(rule.name)) await tell(deps, rule, sweep, followed.activation);
  await deps.ledger.recordRulesJudged(lease, followed.activation);
}

async function tell(
  deps: SweepDeps,
  rule: PolicyRule,
  sweep: SweepRecord,
  activation: string,
): Promise<void> {
  const reason = `Rule "${rule.name}" covers nobody: ${scopeName(rule)} is empty, excluded, or covered by rules that go before it.`;
  deps.log.warning('policy-rule-empty', { rule: rule.name, activation, reason });
  await deps.ledger.audit({
    cause: { source: 'sweep', eventId: `sweep-${sweep.sweepId}`, event: 'policy' },
    step: 'policy-rule-empty',
    reason,
    // Nobody did anything, nor will: it is for an admin.
    outcome: 'ignored',
    details: { rule: rule.name, activation },
  });
}
