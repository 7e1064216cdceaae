import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { EMPTY_SELECTION } from '../../shared/domain/place.ts';
import type { DepartureRules, Policy, PolicyRule } from '../../shared/domain/policy.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The documented defaults, written out: tests of the parser compare against them. */
export const DEPARTURES: DepartureRules = {
  grace: {
    leaveMs: 24 * HOUR_MS,
    suspendMs: 30 * DAY_MS,
    archiveMs: 24 * HOUR_MS,
    deleteMs: 0,
    supersededMs: 72 * HOUR_MS,
    wrappedKeysMs: undefined,
  },
  onLeave: { identity: 'delete', keypair: 'keep' },
  onSuspend: { identity: 'keep', keypair: 'keep' },
  onArchive: { identity: 'delete', keypair: 'keep' },
};

/** A rule for `/Staff` with the documented defaults. */
export const policyRule = (changes: Partial<PolicyRule> = {}): PolicyRule => ({
  name: 'staff',
  scope: { kind: 'org-unit', path: '/Staff' },
  exclude: EMPTY_SELECTION,
  profile: 'dual-use',
  modulusBits: 3072,
  validityDays: 365,
  renewBeforeMs: 30 * DAY_MS,
  renewSpreadMs: 10 * DAY_MS,
  renewKey: 'new',
  keyServiceUrl: 'https://kacls.acme.example',
  aliases: 'no',
  observeOnly: false,
  ...DEPARTURES,
  ...changes,
});

export const policyOf = (rules: readonly PolicyRule[], changes: Partial<Policy> = {}): Policy => ({
  rules,
  defaults: DEPARTURES,
  protected: { ...EMPTY_SELECTION, superAdmins: false },
  guard: { minimumPerHour: 5, shareOfCovered: 0.05, maximumPerHour: 200 },
  ...changes,
});

/** A policy in force from the start, as it is. */
export const inForce = (policy: Policy): ActivePolicySource => ({
  current: async () => ({ policy, digest: '0'.repeat(64), pins: { units: {}, groups: {} } }),
});
