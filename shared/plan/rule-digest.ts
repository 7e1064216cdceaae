import { createHash } from 'node:crypto';
import type { PolicyRule } from '../domain/policy.ts';

const known = new WeakMap<PolicyRule, string>();

/**
 * Of what a look at somebody whom this rule covers would act on at once, or plan its next action by: twelve bytes in hex. Two
 * forms of a rule with one digest leave everybody who is ready as they are. What counts for the next key or certificate only
 * (key size, validity, subject, `renewKey`) is not in it, nor is whom the rule covers: that the sweep compares.
 */
export function ruleDigest(rule: PolicyRule): string {
  const before = known.get(rule);
  if (before !== undefined) return before;
  const { profile, keyServiceUrl, aliases, observeOnly, renewBeforeMs, renewSpreadMs } = rule;
  const parts = [
    profile,
    keyServiceUrl ?? 'smart-card',
    aliases === 'at-once',
    observeOnly,
    renewBeforeMs,
    renewSpreadMs,
  ];
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);
  known.set(rule, digest);
  return digest;
}
