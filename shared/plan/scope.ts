/**
 * Which rule covers somebody. In this order, the first that fits:
 *
 * 1. rules by group, in the order of the file;
 * 2. rules by org unit, the nearest unit first.
 *
 * A rule does not fit whoever it excludes; the next one is asked then. Units and groups are told apart by their pins,
 * so that a rename or a move changes nothing; a draft without pins goes by path, and by group it covers nobody.
 */
import type { DirectoryUser, ListedUser } from '../domain/directory-user.ts';
import { isWithin, segmentsOf } from '../domain/org-unit-path.ts';
import type { Place } from '../domain/place.ts';
import type { GroupReference, Policy, PolicyRule, Selection, UnitReference } from '../domain/policy.ts';

/** A rule that was asked, and why it fits or does not, in words for an admin. */
export interface Consideration {
  readonly rule: PolicyRule;
  readonly fits: boolean;
  readonly why: string;
}

/** The rule that covers a user. `place` may be absent only for a draft without pins. */
export function ruleCovering(
  policy: Policy,
  user: ListedUser,
  place: Place | undefined,
): PolicyRule | undefined {
  return inPrecedence(policy, user, place).find(
    (rule) => exclusionOf(rule.exclude, user, place) === undefined,
  );
}

const EXCLUDED = 'excluded: ';

/** Every rule of the policy, those that fit first, in the order in which they are asked. */
export function considerations(
  policy: Policy,
  user: DirectoryUser,
  place: Place | undefined,
): readonly Consideration[] {
  const reaching = inPrecedence(policy, user, place);
  return [
    ...reaching.map((rule): Consideration => {
      const excluded = exclusionOf(rule.exclude, user, place);
      return excluded === undefined
        ? { rule, fits: true, why: `${user.primaryEmail} is in ${scopeName(rule)}` }
        : { rule, fits: false, why: `${EXCLUDED}${excluded}` };
    }),
    ...policy.rules
      .filter((rule) => !reaching.includes(rule))
      .map((rule): Consideration => {
        const gone = vanishedScope(rule, place);
        const why = gone === undefined ? `not in ${scopeName(rule)}` : `${gone} is gone from the directory`;
        return { rule, fits: false, why };
      }),
  ];
}

/**
 * Of rules none of which fits, the one that comes nearest: one that reaches the user and excludes them; else the one of the unit that
 * has most of their unit's path in common; undefined where several have nothing in common with it.
 */
export function nearest(
  considered: readonly Consideration[],
  user: DirectoryUser,
): Consideration | undefined {
  const excluding = considered.find(({ why }) => why.startsWith(EXCLUDED));
  if (excluding !== undefined) return excluding;
  const common = ({ rule: { scope } }: Consideration): number =>
    scope.kind === 'org-unit' ? sharedSegments(scope.path, user.orgUnitPath) : 0;
  const [first, ...others] = considered.toSorted((left, right) => common(right) - common(left));
  return first === undefined || (common(first) === 0 && others.length > 0) ? undefined : first;
}

function sharedSegments(one: string, other: string): number {
  const [left, right] = [one, other].map((path) => path.toLowerCase().split('/').filter(Boolean));
  const differs = (left ?? []).findIndex((segment, index) => segment !== right?.[index]);
  return differs === -1 ? (left ?? []).length : differs;
}

/** How an admin knows the scope of a rule. */
export const scopeName = ({ scope }: PolicyRule): string =>
  scope.kind === 'org-unit' ? `org unit ${scope.path}` : `group ${scope.address}`;

/** The rule's own unit or group when the directory has it no more. */
export function vanishedScope(
  rule: PolicyRule,
  place: Pick<Place, 'vanishedIds'> | undefined,
): string | undefined {
  const pin = rule.scope.kind === 'org-unit' ? rule.scope.orgUnitId : rule.scope.groupId;
  if (pin === undefined || place?.vanishedIds.has(pin) !== true) return undefined;
  return `${scopeName(rule)} (${pin})`;
}

/** A group that a rule excludes and the directory has no more: who was in it, nobody knows. */
export function vanishedExclusion(rule: PolicyRule, place: Place | undefined): string | undefined {
  const gone = rule.exclude.groups.find(
    ({ groupId }) => groupId !== undefined && place?.vanishedIds.has(groupId) === true,
  );
  return gone === undefined ? undefined : `the excluded group ${gone.address} (${gone.groupId})`;
}

/** Why the departures of an account wait for a human; undefined when they do not. */
export function protectionOf(
  policy: Policy,
  user: Pick<DirectoryUser, 'userId' | 'primaryEmail'> & Partial<DirectoryUser>,
  place: Place | undefined,
): string | undefined {
  if (policy.protected.superAdmins && user.superAdmin === true) return 'a super admin';
  return exclusionOf(policy.protected, user, place);
}

const SUPER_ADMINS = 'super-admins';
const unitKey = (unit: UnitReference): string => `org-unit ${unit.orgUnitId ?? unit.path.toLowerCase()}`;
const groupKey = (group: GroupReference): string => `group ${group.groupId ?? group.address}`;

/**
 * What but a name protects an account, for the ledger: only the directory can say it, and only of whoever is in it. All of it,
 * and by ids, so that it holds under a policy that names a unit otherwise, or protects by one of them no more.
 */
export function protections(
  policy: Policy,
  user: DirectoryUser,
  place: Place | undefined,
): readonly string[] {
  const { superAdmins, orgUnits, groups } = policy.protected;
  return [
    ...(superAdmins && user.superAdmin === true ? [SUPER_ADMINS] : []),
    ...orgUnits.filter((unit) => isIn(unit, user.orgUnitPath, place)).map(unitKey),
    ...groups.filter((group) => isMember(group, place)).map(groupKey),
  ];
}

/** As what the policy protects an account that was last seen with these protections; undefined when it protects none of them. */
export function protectionLastSeen(policy: Policy, protectedBy: readonly string[]): string | undefined {
  const { superAdmins, orgUnits, groups } = policy.protected;
  if (superAdmins && protectedBy.includes(SUPER_ADMINS)) return 'a super admin when last seen';
  const unit = orgUnits.find((candidate) => protectedBy.includes(unitKey(candidate)));
  if (unit !== undefined) return `the org unit ${unit.path} when last seen`;
  const group = groups.find((candidate) => protectedBy.includes(groupKey(candidate)));
  return group === undefined ? undefined : `the group ${group.address} when last seen`;
}

/** What of a selection names the user. */
function exclusionOf(
  selection: Selection,
  user: Pick<DirectoryUser, 'userId' | 'primaryEmail'> & Partial<DirectoryUser>,
  place: Place | undefined,
): string | undefined {
  const names = new Set([user.userId, user.primaryEmail, ...(user.aliases ?? [])]);
  const name = selection.users.find((candidate) => names.has(candidate));
  if (name !== undefined) return `the user ${name}`;
  const unit = selection.orgUnits.find((candidate) => isIn(candidate, user.orgUnitPath, place));
  if (unit !== undefined) return `the org unit ${unit.path}`;
  const group = selection.groups.find((candidate) => isMember(candidate, place));
  return group === undefined ? undefined : `the group ${group.address}`;
}

/** Rules whose scope holds the user, in the order in which they are asked. */
function inPrecedence(policy: Policy, user: ListedUser, place: Place | undefined): readonly PolicyRule[] {
  const byGroup: PolicyRule[] = [];
  const byUnit: { readonly rule: PolicyRule; readonly distance: number }[] = [];
  for (const rule of policy.rules) {
    if (rule.scope.kind === 'group') {
      if (isMember(rule.scope, place)) byGroup.push(rule);
      continue;
    }
    const distance = distanceTo(rule.scope, user.orgUnitPath, place);
    if (distance !== undefined) byUnit.push({ rule, distance });
  }
  const nearestFirst = byUnit.toSorted((left, right) => left.distance - right.distance);
  return [...byGroup, ...nearestFirst.map(({ rule }) => rule)];
}

const isIn = (unit: UnitReference, path: string | undefined, place: Place | undefined): boolean =>
  path !== undefined && distanceTo(unit, path, place) !== undefined;

/** How many units above the user's own it is; undefined when it is not above. */
function distanceTo(unit: UnitReference, path: string, place: Place | undefined): number | undefined {
  if (unit.orgUnitId === undefined) {
    return isWithin(path, unit.path) ? segmentsOf(path).length - segmentsOf(unit.path).length : undefined;
  }
  const index = placed(place).unitIds.indexOf(unit.orgUnitId);
  return index === -1 ? undefined : index;
}

const isMember = ({ groupId }: GroupReference, place: Place | undefined): boolean =>
  groupId !== undefined && placed(place).groupIds.has(groupId);

/** A pinned policy cannot be judged without the user's place, and guessing one would make somebody leave. */
function placed(place: Place | undefined): Place {
  if (place === undefined)
    throw new Error('A pinned policy was asked about a user whose place is not known.');
  return place;
}
