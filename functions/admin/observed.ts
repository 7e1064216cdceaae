import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import type { UserRecord } from '../../shared/domain/records.ts';
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

/** The same of somebody the ledger knows, by the rule that covers them or covered them last. */
export const refuseForObserved = (policy: Policy, user: UserRecord): void =>
  refuseUnderObserve(
    policy.rules.find(({ name }) => name === user.ruleName),
    user.primaryEmail,
  );
