import { describe, expect, test } from 'vitest';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { ruleDigest } from '../../shared/plan/rule-digest.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { DAY_MS, directoryUser, KEY_SERVICE, settled } from './facts.ts';

const RULE = policyRule({ keyServiceUrl: KEY_SERVICE });
const { keyServiceUrl: _, ...WITHOUT_SERVICE } = RULE;
/** Somebody who is ready, with an alias that the certificate does not name. */
const user = directoryUser({ aliases: ['ana.a@acme.example'] });
const planUnder = (rule: PolicyRule) => {
  const { steps, verdict, observeOnly } = planFor(
    settled({ presence: { kind: 'present', user } }),
    policyOf([rule]),
  );
  return { steps, verdict, observeOnly };
};

/** Fields of a rule, each changed so that it means something else; `satisfies` names one that is forgotten. */
const CHANGED = {
  name: { name: 'employees' },
  scope: { scope: { kind: 'org-unit', path: '/' } },
  exclude: { exclude: { orgUnits: [], groups: [], users: ['zoe@acme.example'] } },
  profile: { profile: 'split' },
  modulusBits: { modulusBits: 4096 },
  validityDays: { validityDays: 90 },
  subject: { subject: { commonName: '{address}', organization: 'Acme' } as never },
  renewBeforeMs: { renewBeforeMs: 60 * DAY_MS },
  renewSpreadMs: { renewSpreadMs: 0 },
  renewKey: { renewKey: 'same' },
  keySource: { keySource: 'supplied' },
  keyServiceUrl: { keyServiceUrl: 'https://kacls.new.example/v1' },
  aliases: { aliases: 'at-once' },
  observeOnly: { observeOnly: true },
  grace: { grace: { ...RULE.grace, leaveMs: 0 } },
  onLeave: { onLeave: { identity: 'keep', keypair: 'disable' } },
  onSuspend: { onSuspend: { identity: 'delete', keypair: 'disable' } },
  onArchive: { onArchive: { identity: 'keep', keypair: 'disable' } },
} as const satisfies { readonly [Field in keyof Required<PolicyRule>]: Partial<PolicyRule> };

describe('the digest of a rule', () => {
  test.each(Object.entries(CHANGED).filter(([field]) => field !== 'name'))(
    'changes with %s exactly where somebody who is ready would be planned otherwise',
    (_field, change) => {
      const changed: PolicyRule = { ...RULE, ...change };
      const isPlannedAlike = JSON.stringify(planUnder(changed)) === JSON.stringify(planUnder(RULE));
      expect(ruleDigest(changed) === ruleDigest(RULE)).toBe(isPlannedAlike);
    },
  );

  test('changes where keys move to smart cards, and is the same for two rules that say the same', () => {
    expect(ruleDigest({ ...WITHOUT_SERVICE, keySource: 'smart-card' })).not.toBe(ruleDigest(RULE));
    expect(ruleDigest(policyRule({ keyServiceUrl: KEY_SERVICE, name: 'other' }))).toBe(ruleDigest(RULE));
  });

  test('does not change between aliases that are named never and in the next certificate', () => {
    expect(ruleDigest({ ...RULE, aliases: 'next' })).toBe(ruleDigest(RULE));
  });
});
