import type { Policy, PolicyRule } from '../domain/policy.ts';

/**
 * The rule that covers an org unit: the one whose unit is nearest above it. Segments compare without regard to case,
 * and `/A` is not a parent of `/AB`.
 */
export function ruleCovering(policy: Policy, orgUnitPath: string): PolicyRule | undefined {
  return policy.rules
    .filter((rule) => isWithin(orgUnitPath, rule.orgUnit))
    .toSorted((left, right) => segments(right.orgUnit).length - segments(left.orgUnit).length)[0];
}

/** True when `path` is the unit `ancestor` or lies below it. */
export function isWithin(path: string, ancestor: string): boolean {
  const below = segments(path);
  return segments(ancestor).every((segment, index) => below[index] === segment);
}

const segments = (path: string): readonly string[] => path.toLowerCase().split('/').filter(Boolean);
