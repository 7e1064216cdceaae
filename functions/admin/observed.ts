import type { PolicyRule } from '../../shared/domain/policy.ts';
import { permanent } from '../../shared/errors.ts';

/** Under a rule that only observes nothing would come of what an admin asks. Throws `conflict`, naming the rule and what to do. */
export function refuseUnderObserve(rule: PolicyRule | undefined, user: string): void {
  if (rule?.observeOnly !== true) return;
  throw permanent(
    'conflict',
    `Nothing is done for ${user}: rule "${rule.name}" only observes. Set it to "mode: act" first. Only the report of a compromised key is carried out under it.`,
    { details: { field: 'user' } },
  );
}
