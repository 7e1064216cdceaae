import type { DirectoryUser } from '../domain/directory-user.ts';
import type { DepartureRules, DepartureTerms, Policy, PolicyRule } from '../domain/policy.ts';
import type { Facts } from './facts.ts';
import {
  protectionLastSeen,
  protectionOf,
  ruleCovering,
  scopeName,
  vanishedExclusion,
  vanishedScope,
} from './scope.ts';

/** What directory and policy make of a user, before anything is compared with the ledger. */
export type Standing =
  | { readonly kind: 'covered'; readonly user: DirectoryUser; readonly rule: PolicyRule }
  | {
      readonly kind: 'suspended';
      readonly user: DirectoryUser;
      readonly rule: PolicyRule;
      readonly since: Date;
      readonly graceMs: number;
      readonly terms: DepartureTerms;
    }
  /** No rule covers them (any more), or they are archived, which counts as leaving. */
  | {
      readonly kind: 'outside';
      readonly user: DirectoryUser;
      readonly since: Date;
      readonly graceMs: number;
      readonly terms: DepartureTerms;
      readonly why: string;
    }
  /**
   * Who they are depends on a unit or group that the directory has no more. Nothing is concluded: nobody departs and
   * nobody joins until an admin activates a policy that names what there is.
   */
  | { readonly kind: 'frozen'; readonly user: DirectoryUser; readonly rule: PolicyRule; readonly why: string }
  | { readonly kind: 'deleted'; readonly since: Date; readonly graceMs: number }
  /** In no list. By itself this proves nothing and does nothing. */
  | { readonly kind: 'absent' };

export function standingOf(facts: Facts, policy: Policy): Standing {
  const { presence, ledger, now, place } = facts;
  if (presence.kind === 'absent') return { kind: 'absent' };
  if (presence.kind === 'deleted') {
    // Without a date the deletion counts as long past: a grace period must not lose a revocation.
    const since = presence.deletedAt ?? new Date(0);
    return { kind: 'deleted', since, graceMs: departureRules(facts, policy).grace.deleteMs };
  }
  const { user } = presence;
  const rule = ruleCovering(policy, user, place);
  const last = lastRule(policy, ledger.user?.ruleName);
  const { grace, onLeave, onArchive } = rule ?? last ?? policy.defaults;
  const since = ledger.user?.leftScopeAt ?? now;
  if (user.archived) {
    const why = 'the account is archived';
    return { kind: 'outside', user, since, graceMs: grace.archiveMs, terms: onArchive, why };
  }
  if (rule === undefined) {
    const gone = last === undefined ? undefined : vanishedScope(last, place);
    if (last !== undefined && gone !== undefined) return { kind: 'frozen', user, rule: last, why: gone };
    const why = notCovered(last, user);
    return { kind: 'outside', user, since, graceMs: grace.leaveMs, terms: onLeave, why };
  }
  if (user.suspended) {
    const suspendedAt = ledger.user?.suspendedAt ?? now;
    const { onSuspend: terms } = rule;
    return { kind: 'suspended', user, rule, since: suspendedAt, graceMs: grace.suspendMs, terms };
  }
  const unknown = rule === last ? undefined : vanishedExclusion(rule, place);
  if (unknown !== undefined) return { kind: 'frozen', user, rule, why: unknown };
  return { kind: 'covered', user, rule };
}

/** By whose terms a user departs: the rule that covered them last. */
export function departureRules(facts: Facts, policy: Policy): DepartureRules {
  return lastRule(policy, facts.ledger.user?.ruleName) ?? policy.defaults;
}

/** Why this account's departures wait for a human; undefined when they do not. */
export function protectionIn(
  facts: Pick<Facts, 'userId' | 'presence' | 'place' | 'ledger' | 'formerAddresses'>,
  policy: Policy,
): string | undefined {
  const { presence, place } = facts;
  if (presence.kind === 'present') return protectionOf(policy, presence.user, place);
  const last = presence.kind === 'deleted' ? presence.primaryEmail : undefined;
  const seen = facts.ledger.user?.primaryEmail;
  const [primaryEmail = '', ...aliases] = [last ?? [], seen ?? [], facts.formerAddresses].flat();
  return (
    protectionOf(policy, { userId: facts.userId, primaryEmail, aliases }, nowhere) ??
    protectionLastSeen(policy, facts.ledger.user?.protectedBy ?? [])
  );
}

/** Whoever is gone is in no unit and no group: by those, and as super admins, they are protected as they were last seen. */
const nowhere = { unitIds: [], groupIds: new Set<string>(), vanishedIds: new Set<string>() };

/**
 * The rule in force for the user where it only observes: the covering one, or the one they leave. Where that one is gone from a policy
 * whose rules all observe, any of them: to rename a rule is no wish that its leavers lose something.
 */
export function observingRule(standing: Standing, facts: Facts, policy: Policy): PolicyRule | undefined {
  if (standing.kind === 'covered' || standing.kind === 'suspended') return observed(standing.rule);
  const last = lastRule(policy, facts.ledger.user?.ruleName);
  if (last !== undefined) return observed(last);
  return policy.rules.every(({ observeOnly }) => observeOnly === true) ? policy.rules[0] : undefined;
}

const observed = (rule: PolicyRule | undefined): PolicyRule | undefined =>
  rule?.observeOnly === true ? rule : undefined;

export const isObserveOnly = (standing: Standing, facts: Facts, policy: Policy): boolean =>
  observingRule(standing, facts, policy) !== undefined;

/**
 * The rule that wants certificates for this user: the one that covers them, or covered them last while nobody can say
 * that they left. Undefined for those who leave and for strangers.
 */
export function coveringRule(standing: Standing, facts: Facts, policy: Policy): PolicyRule | undefined {
  if (standing.kind === 'covered' || standing.kind === 'frozen') return standing.rule;
  const state = facts.ledger.user?.state;
  if (standing.kind !== 'absent' || state === 'leaving' || state === 'out') return undefined;
  return lastRule(policy, facts.ledger.user?.ruleName);
}

const notCovered = (last: PolicyRule | undefined, user: DirectoryUser): string =>
  last?.scope.kind === 'group'
    ? `no longer in ${scopeName(last)}, and no rule covers ${user.orgUnitPath}`
    : `no rule covers ${user.orgUnitPath}`;

function lastRule(policy: Policy, name: string | undefined): PolicyRule | undefined {
  return policy.rules.find((rule) => rule.name === name);
}
