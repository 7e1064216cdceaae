import type { DirectoryUser } from '../domain/directory-user.ts';
import type { Policy, PolicyRule } from '../domain/policy.ts';
import type { Facts } from './facts.ts';
import { ruleCovering } from './scope.ts';

/** What directory and policy make of a user, before anything is compared with the ledger. */
export type Standing =
  | { readonly kind: 'covered'; readonly user: DirectoryUser; readonly rule: PolicyRule }
  | {
      readonly kind: 'suspended';
      readonly user: DirectoryUser;
      readonly since: Date;
      readonly graceMs: number;
    }
  /** No rule covers them (any more), or they are archived, which counts as leaving. */
  | {
      readonly kind: 'outside';
      readonly user: DirectoryUser;
      readonly since: Date;
      readonly graceMs: number;
      readonly why: string;
    }
  | { readonly kind: 'deleted' }
  /** In no list. By itself this proves nothing and does nothing. */
  | { readonly kind: 'absent' };

export function standingOf(facts: Facts, policy: Policy): Standing {
  const { presence, ledger, now } = facts;
  if (presence.kind !== 'present') return { kind: presence.kind };
  const { user } = presence;
  const rule = ruleCovering(policy, user.orgUnitPath);
  const grace = (rule ?? lastRule(policy, ledger.user?.ruleName) ?? policy.defaults).grace;
  if (rule === undefined || user.archived) {
    return {
      kind: 'outside',
      user,
      since: ledger.user?.leftScopeAt ?? now,
      graceMs: grace.leaveMs,
      why: user.archived ? 'the account is archived' : `no rule covers ${user.orgUnitPath}`,
    };
  }
  if (user.suspended) {
    return { kind: 'suspended', user, since: ledger.user?.suspendedAt ?? now, graceMs: grace.suspendMs };
  }
  return { kind: 'covered', user, rule };
}

function lastRule(policy: Policy, name: string | undefined): PolicyRule | undefined {
  return policy.rules.find((rule) => rule.name === name);
}
