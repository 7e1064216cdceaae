/** Where people are among the units and groups of a pinned policy: one person now, or everybody. */
import type { DirectoryUser } from '../domain/directory-user.ts';
import { type Place, pinnedGroupIds, placeOf, unitIdsAbove, vanishedUnitIds } from '../domain/place.ts';
import type { Policy } from '../domain/policy.ts';
import { isPinned } from '../domain/policy-pins.ts';
import { retryable } from '../errors.ts';
import { ruleCovering } from '../plan/scope.ts';
import type { Directory } from '../ports/directory.ts';

/**
 * The place of one user who was just read. The tree may be a little old as long as it finds a rule; before anybody
 * counts as uncovered it is read again. Undefined for a draft without pins. Throws `directory-unavailable` when the
 * user's unit is in no tree: the directory's answers are of different moments.
 */
export async function readPlace(
  directory: Pick<Directory, 'orgUnits' | 'isMember'>,
  policy: Policy,
  user: DirectoryUser,
): Promise<Place | undefined> {
  if (!isPinned(policy)) return undefined;
  const containing = new Set<string>();
  const vanished = new Set<string>();
  for (const groupId of pinnedGroupIds(policy)) {
    const answer = await directory.isMember(groupId, user.userId);
    if (answer === 'no-such-group') vanished.add(groupId);
    else if (answer) containing.add(groupId);
  }
  const groups = { containing, vanished };
  const quick = placeOf(user, await directory.orgUnits(), groups, policy);
  if (quick !== undefined && ruleCovering(policy, user, quick) !== undefined) return quick;
  const place = placeOf(user, await directory.orgUnits({ fresh: true }), groups, policy);
  if (place === undefined) throw unitNotListed(user);
  return place;
}

/**
 * Answers where each user is, after one reading of the whole tree and of each group's members. Made for whoever goes
 * through the whole directory; read the tree before the users. The function it answers gives undefined for a draft
 * without pins, and for a user whose unit came after the tree.
 */
export async function readPlaces(
  directory: Pick<Directory, 'orgUnits' | 'group' | 'groupMembers'>,
  policy: Policy,
): Promise<(user: DirectoryUser) => Place | undefined> {
  if (!isPinned(policy)) return () => undefined;
  const members = new Map<string, ReadonlySet<string>>();
  const vanished = new Set<string>();
  for (const groupId of pinnedGroupIds(policy)) {
    if ((await directory.group(groupId)) === undefined) vanished.add(groupId);
    else members.set(groupId, await collected(directory.groupMembers(groupId)));
  }
  const tree = await directory.orgUnits({ fresh: true });
  const vanishedIds = new Set([...vanishedUnitIds(tree, policy), ...vanished]);
  // Everybody of one unit has the same units above them; a large company has many people and many units.
  const above = new Map<string, readonly string[] | undefined>();
  return (user) => {
    const path = user.orgUnitPath;
    if (!above.has(path)) above.set(path, unitIdsAbove(path, tree));
    const unitIds = above.get(path);
    if (unitIds === undefined) return undefined;
    const containing = [...members].filter(([, ids]) => ids.has(user.userId)).map(([groupId]) => groupId);
    return { unitIds, groupIds: new Set(containing), vanishedIds };
  };
}

const unitNotListed = (user: DirectoryUser) =>
  retryable(
    'directory-unavailable',
    `The directory has ${user.primaryEmail} in ${user.orgUnitPath} and lists no such org unit. Nothing is concluded from it.`,
  );

async function collected(ids: AsyncIterable<string>): Promise<ReadonlySet<string>> {
  const all = new Set<string>();
  for await (const id of ids) all.add(id);
  return all;
}
