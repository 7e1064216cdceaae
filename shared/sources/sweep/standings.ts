/**
 * What the policy makes of listed users. A list tells the org unit of each; the tree of units and the members of the
 * groups that the policy names are read once, when a sweep takes up its work.
 */
import type { DirectoryUser } from '../../domain/directory-user.ts';
import {
  groupReferences,
  type OrgUnit,
  type Place,
  pinnedGroupIds,
  pinnedUnitIds,
  unitReferences,
} from '../../domain/place.ts';
import type { Policy } from '../../domain/policy.ts';
import { ruleCovering, vanishedExclusion } from '../../plan/scope.ts';
import type { Directory } from '../../ports/directory.ts';
import { type ListedStanding, OUTSIDE, SUSPENDED, UNDECIDED } from './compare.ts';

/** What the policy's pins mean now; a draft without pins needs none of it. */
interface Pins {
  readonly units: ReadonlyMap<string, readonly string[]>;
  /** Ids of the members of each group that the directory still has. */
  readonly members: ReadonlyMap<string, ReadonlySet<string>>;
  readonly vanishedIds: ReadonlySet<string>;
}

/**
 * Answers the standing of each user of a list; the same standing is always the same object. Users are judged alike, and
 * once, who are in the same unit and the same groups and whom the policy does not name. Throws as `Directory` does.
 */
export async function standings(
  directory: Pick<Directory, 'orgUnits' | 'group' | 'groupMembers'>,
  policy: Policy,
): Promise<(user: DirectoryUser) => ListedStanding> {
  const pins = await readPins(directory, policy);
  const named = new Set([...policy.rules.flatMap(({ exclude }) => exclude.users), ...policy.protected.users]);
  const covered = new Map(
    policy.rules.map(({ name }): [string, ListedStanding] => [name, { kind: 'covered', ruleName: name }]),
  );
  const known = new Map<string, ListedStanding>();

  const judge = (user: DirectoryUser, groupIds: ReadonlySet<string>): ListedStanding => {
    const place = pins === undefined ? undefined : placeIn(pins, user.orgUnitPath, groupIds);
    // The list and the tree are of different moments; the next sweep has both anew.
    if (pins !== undefined && place === undefined) return UNDECIDED;
    const rule = ruleCovering(policy, user, place);
    if (rule === undefined) return (place?.vanishedIds.size ?? 0) > 0 ? UNDECIDED : OUTSIDE;
    return vanishedExclusion(rule, place) === undefined ? (covered.get(rule.name) ?? OUTSIDE) : UNDECIDED;
  };

  return (user) => {
    const groupIds = groupsOf(pins, user.userId);
    const isNamed =
      named.size > 0 && [user.userId, user.primaryEmail, ...user.aliases].some((name) => named.has(name));
    const key = groupIds.size === 0 ? user.orgUnitPath : `${user.orgUnitPath}\n${[...groupIds].join('\n')}`;
    const cached = isNamed ? undefined : known.get(key);
    const standing = cached ?? judge(user, groupIds);
    if (cached === undefined && !isNamed) known.set(key, standing);
    if (user.archived && standing.kind !== 'undecided') return OUTSIDE;
    return user.suspended && standing.kind === 'covered' ? SUSPENDED : standing;
  };
}

const NO_GROUPS: ReadonlySet<string> = new Set();

function groupsOf(pins: Pins | undefined, userId: string): ReadonlySet<string> {
  if (pins === undefined || pins.members.size === 0) return NO_GROUPS;
  const groupIds = new Set<string>();
  for (const [groupId, members] of pins.members) if (members.has(userId)) groupIds.add(groupId);
  return groupIds.size === 0 ? NO_GROUPS : groupIds;
}

function placeIn(pins: Pins, orgUnitPath: string, groupIds: ReadonlySet<string>): Place | undefined {
  const unitIds = pins.units.get(orgUnitPath.toLowerCase());
  return unitIds === undefined ? undefined : { unitIds, groupIds, vanishedIds: pins.vanishedIds };
}

async function readPins(
  directory: Pick<Directory, 'orgUnits' | 'group' | 'groupMembers'>,
  policy: Policy,
): Promise<Pins | undefined> {
  const isPinned =
    unitReferences(policy).some(({ orgUnitId }) => orgUnitId !== undefined) ||
    groupReferences(policy).some(({ groupId }) => groupId !== undefined);
  if (!isPinned) return undefined;
  const tree = await directory.orgUnits();
  const ids = new Set(tree.map(({ orgUnitId }) => orgUnitId));
  const vanished = new Set(pinnedUnitIds(policy).filter((id) => !ids.has(id)));
  const members = new Map<string, ReadonlySet<string>>();
  for (const groupId of pinnedGroupIds(policy)) {
    if ((await directory.group(groupId)) === undefined) vanished.add(groupId);
    else members.set(groupId, await membersOf(directory, groupId));
  }
  return { units: lineages(tree), members, vanishedIds: vanished };
}

async function membersOf(
  directory: Pick<Directory, 'groupMembers'>,
  groupId: string,
): Promise<ReadonlySet<string>> {
  const members = new Set<string>();
  for await (const userId of directory.groupMembers(groupId)) members.add(userId);
  return members;
}

/** For each path, in lower case, the ids from the unit itself to the root. */
function lineages(tree: readonly OrgUnit[]): ReadonlyMap<string, readonly string[]> {
  const byId = new Map(tree.map((unit) => [unit.orgUnitId, unit]));
  return new Map(
    tree.map((unit): [string, readonly string[]] => {
      const unitIds: string[] = [];
      for (
        let at: OrgUnit | undefined = unit;
        at !== undefined && !unitIds.includes(at.orgUnitId);
        at = at.parentId === undefined ? undefined : byId.get(at.parentId)
      )
        unitIds.push(at.orgUnitId);
      return [unit.path.toLowerCase(), unitIds];
    }),
  );
}
