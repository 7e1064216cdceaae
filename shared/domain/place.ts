import type { DirectoryUser } from './directory-user.ts';
import type { Policy, Selection } from './policy.ts';

/** An org unit as the directory has it now. */
export interface OrgUnit {
  /** Stable through renames and moves; begins with `id:`. */
  readonly orgUnitId: string;
  readonly path: string;
  /** Absent for the root only. */
  readonly parentId?: string;
}

/** Where a user is among the units and groups that a pinned policy names. */
export interface Place {
  /** Ids of the user's own unit, the one above it, and so on to the root. */
  readonly unitIds: readonly string[];
  /** Ids of the policy's groups that contain the user, directly or through other groups. */
  readonly groupIds: ReadonlySet<string>;
  /** Pins of units and groups that the directory has no more. */
  readonly vanishedIds: ReadonlySet<string>;
}

/**
 * The place of a user, from the whole tree and what is known of the policy's groups. Undefined when the user's own
 * unit is not in the tree: the two answers of the directory are of different moments, and nothing follows from them.
 */
export function placeOf(
  user: DirectoryUser,
  units: readonly OrgUnit[],
  groups: { readonly containing: ReadonlySet<string>; readonly vanished: ReadonlySet<string> },
  policy: Policy,
): Place | undefined {
  const unitIds = unitIdsAbove(user.orgUnitPath, units);
  if (unitIds === undefined) return undefined;
  const vanishedIds = new Set([...vanishedUnitIds(units, policy), ...groups.vanished]);
  return { unitIds, groupIds: groups.containing, vanishedIds };
}

/** Ids of the unit at a path and of those above it, nearest first; undefined when the tree does not have the path. */
export function unitIdsAbove(path: string, units: readonly OrgUnit[]): readonly string[] | undefined {
  const byId = new Map(units.map((unit) => [unit.orgUnitId, unit]));
  const wanted = path.toLowerCase();
  let unit = units.find((candidate) => candidate.path.toLowerCase() === wanted);
  if (unit === undefined) return undefined;
  const unitIds: string[] = [];
  while (unit !== undefined && !unitIds.includes(unit.orgUnitId)) {
    unitIds.push(unit.orgUnitId);
    unit = unit.parentId === undefined ? undefined : byId.get(unit.parentId);
  }
  return unitIds;
}

/** Pins of units that the tree does not have. */
export function vanishedUnitIds(units: readonly OrgUnit[], policy: Policy): readonly string[] {
  const ids = new Set(units.map(({ orgUnitId }) => orgUnitId));
  return pinnedUnitIds(policy).filter((id) => !ids.has(id));
}

/** Pins of every unit the policy names, each once. */
export const pinnedUnitIds = (policy: Policy): readonly string[] => [
  ...new Set(unitReferences(policy).flatMap(({ orgUnitId }) => (orgUnitId === undefined ? [] : [orgUnitId]))),
];

/** Pins of every group the policy names, each once. */
export const pinnedGroupIds = (policy: Policy): readonly string[] => [
  ...new Set(groupReferences(policy).flatMap(({ groupId }) => (groupId === undefined ? [] : [groupId]))),
];

/** Every unit the policy names, in the order of the file. */
export const unitReferences = (policy: Policy) => [
  ...policy.rules.flatMap(({ scope, exclude }) => [
    ...(scope.kind === 'org-unit' ? [scope] : []),
    ...exclude.orgUnits,
  ]),
  ...policy.protected.orgUnits,
];

/** Every group the policy names, in the order of the file. */
export const groupReferences = (policy: Policy) => [
  ...policy.rules.flatMap(({ scope, exclude }) => [
    ...(scope.kind === 'group' ? [scope] : []),
    ...exclude.groups,
  ]),
  ...policy.protected.groups,
];

export const EMPTY_SELECTION: Selection = { orgUnits: [], groups: [], users: [] };
