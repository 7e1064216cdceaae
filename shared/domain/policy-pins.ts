import type { GroupReference, Policy, Selection, UnitReference } from './policy.ts';

/** The directory's own ids of what a policy names. */
export interface PolicyPins {
  /** By path, lower case. */
  readonly units: Readonly<Record<string, string>>;
  /** By address, lower case. */
  readonly groups: Readonly<Record<string, string>>;
}

/** The policy with every unit and group pinned. Throws a plain Error for one that has no pin: pins are made for a text. */
export function pinnedPolicy(policy: Policy, pins: PolicyPins): Policy {
  const unit = <T extends UnitReference>(reference: T): T => ({
    ...reference,
    orgUnitId: pinOf(pins.units, reference.path),
  });
  const group = <T extends GroupReference>(reference: T): T => ({
    ...reference,
    groupId: pinOf(pins.groups, reference.address),
  });
  const selection = <T extends Selection>(named: T): T => ({
    ...named,
    orgUnits: named.orgUnits.map(unit),
    groups: named.groups.map(group),
  });
  return {
    ...policy,
    rules: policy.rules.map((rule) => ({
      ...rule,
      scope: rule.scope.kind === 'org-unit' ? unit(rule.scope) : group(rule.scope),
      exclude: selection(rule.exclude),
    })),
    protected: selection(policy.protected),
  };
}

/** Whether the policy's units and groups have pins; one without any of either is a draft too. */
export const isPinned = (policy: Policy): boolean =>
  policy.rules.some(
    ({ scope }) => (scope.kind === 'org-unit' ? scope.orgUnitId : scope.groupId) !== undefined,
  );

function pinOf(pins: Readonly<Record<string, string>>, name: string): string {
  const pin = pins[name.toLowerCase()];
  if (pin === undefined) throw new Error(`The activation has no pin for ${name}.`);
  return pin;
}
