/**
 * What the policy makes of listed users. A list tells the org unit of each; the tree of units and the members of the
 * groups that the policy names are read once, when a sweep takes up its work.
 */
import { addressDigest } from '../../domain/address-digest.ts';
import type { DirectoryUser } from '../../domain/directory-user.ts';
import {
  ALIASES_MARK,
  ARCHIVED_MARK,
  DIGEST,
  LISTED_WORDS,
  type ListedUsers,
  MARKS,
  PATH,
  SUSPENDED_MARK,
} from '../../domain/listed-users.ts';
import { ID_WORDS, isHashed, packIdText } from '../../domain/packed-id.ts';
import {
  groupReferences,
  type OrgUnit,
  type Place,
  pinnedGroupIds,
  pinnedUnitIds,
  unitReferences,
} from '../../domain/place.ts';
import type { Policy } from '../../domain/policy.ts';
import { ruleCovering, vanishedExclusion, vanishedScope } from '../../plan/scope.ts';
import type { Directory } from '../../ports/directory.ts';
import { type ListedStanding, OUTSIDE, UNDECIDED, UNPLACED } from './compare.ts';

/** What the policy's pins mean now; a draft without pins needs none of it. */
interface Pins {
  readonly units: ReadonlyMap<string, readonly string[]>;
  /** Ids of the members of each group that the directory still has. */
  readonly members: ReadonlyMap<string, ReadonlySet<string>>;
  readonly vanishedIds: ReadonlySet<string>;
}

/** The users of a page and what the policy makes of them; keeps nothing of the page itself. */
export interface JudgedUsers {
  readonly length: number;
  /** As `ListedUsers` has them. */
  readonly words: Int32Array;
  /** For each user the number of the standing among `kinds`. */
  readonly standings: Uint16Array;
  readonly kinds: readonly ListedStanding[];
  /** By position, of those whose words do not tell the id. */
  readonly oddIds: ReadonlyMap<number, string>;
}

export interface Judge {
  /** The standing of each user of a page; the same standing is always the same object. */
  readonly page: (users: ListedUsers) => JudgedUsers;
  /**
   * Names of the rules that cover somebody on the pages so far, or that nothing can be said of because their own unit or group is gone.
   * Undefined where somebody was listed whom any rule may cover.
   */
  readonly covering: () => readonly string[] | undefined;
}

/**
 * Users are judged alike, and once, who are in the same unit and the same groups and whom the policy does not name. Throws as
 * `Directory` does.
 */
export async function standings(
  directory: Pick<Directory, 'orgUnits' | 'group' | 'groupMembers'>,
  policy: Policy,
): Promise<Judge> {
  const pins = await readPins(directory, policy);
  const named = new Set([...policy.rules.flatMap(({ exclude }) => exclude.users), ...policy.protected.users]);
  const kinds: ListedStanding[] = [];
  const gone = policy.rules.filter((rule) => vanishedScope(rule, pins) !== undefined);
  return {
    page: judgeOfPages(judgeOfUsers(policy, pins, named), whoIsSpecial(pins, named), kinds),
    covering: () =>
      kinds.includes(UNPLACED)
        ? undefined
        : [
            ...gone.map(({ name }) => name),
            ...kinds.flatMap((kind) => ('ruleName' in kind ? kind.ruleName : [])),
          ],
  };
}

function judgeOfUsers(
  policy: Policy,
  pins: Pins | undefined,
  named: ReadonlySet<string>,
): (user: DirectoryUser) => ListedStanding {
  const ofKind = (kind: 'covered' | 'suspended' | 'undecided') =>
    new Map(policy.rules.map(({ name }): [string, ListedStanding] => [name, { kind, ruleName: name }]));
  const [covered, suspended, undecided] = [ofKind('covered'), ofKind('suspended'), ofKind('undecided')];
  const known = new Map<string, ListedStanding>();

  const judge = (user: DirectoryUser, groupIds: ReadonlySet<string>): ListedStanding => {
    const place = pins === undefined ? undefined : placeIn(pins, user.orgUnitPath, groupIds);
    // The list and the tree are of different moments; the next sweep has both anew.
    if (pins !== undefined && place === undefined) return UNPLACED;
    const rule = ruleCovering(policy, user, place);
    if (rule === undefined) return (place?.vanishedIds.size ?? 0) > 0 ? UNDECIDED : OUTSIDE;
    const standings = vanishedExclusion(rule, place) === undefined ? covered : undecided;
    return standings.get(rule.name) ?? OUTSIDE;
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
    if (!user.suspended || standing.kind !== 'covered') return standing;
    return suspended.get(standing.ruleName) ?? standing;
  };
}

/** Who may be in a group that the policy has, or be named by it: of them more is needed than their unit. */
interface Special {
  /** First words of ids, and digests of addresses. */
  readonly words: ReadonlySet<number>;
  /** An address that is named may be the alias of somebody. */
  readonly anyAlias: boolean;
}

function whoIsSpecial(pins: Pins | undefined, named: ReadonlySet<string>): Special {
  const words = new Set<number>();
  const id = new Int32Array(ID_WORDS);
  const add = (userId: string) => {
    packIdText(userId, id, 0);
    words.add(id[0] ?? 0);
  };
  for (const members of pins?.members.values() ?? []) for (const userId of members) add(userId);
  for (const name of named) {
    add(name);
    words.add(addressDigest(name, []));
  }
  return { words, anyAlias: named.size > 0 };
}

/** Users alike in unit, suspended and archived stand alike, unless they are special. Fills `kinds` with the standings that somebody has. */
function judgeOfPages(
  standingOf: (user: DirectoryUser) => ListedStanding,
  special: Special,
  kinds: ListedStanding[],
): (users: ListedUsers) => JudgedUsers {
  const numbers = new Map<ListedStanding, number>();
  const numberOf = (standing: ListedStanding): number => {
    const known = numbers.get(standing);
    if (known !== undefined) return known;
    numbers.set(standing, kinds.length);
    return kinds.push(standing) - 1;
  };
  const specialMarks = special.anyAlias ? ALIASES_MARK : 0;
  const hasSpecial = special.words.size > 0;
  let paths: readonly string[] = [];
  /** By path and marks. */
  let byPlace: (number | undefined)[] = [];

  return (users) => {
    if (users.paths !== paths) {
      paths = users.paths;
      byPlace = [];
    }
    const { words, length } = users;
    const judged = new Uint16Array(length);
    const oddIds = new Map<number, string>();
    for (let position = 0; position < length; position += 1) {
      const at = position * LISTED_WORDS;
      if (isHashed(words, at)) oddIds.set(position, users.userIdAt(position));
      const marks = words[at + MARKS] ?? 0;
      if (
        hasSpecial &&
        ((marks & specialMarks) !== 0 ||
          special.words.has(words[at] ?? 0) ||
          special.words.has(words[at + DIGEST] ?? 0))
      ) {
        judged[position] = numberOf(standingOf(users.userAt(position)));
        continue;
      }
      const place = ((words[at + PATH] ?? 0) << 2) | (marks & (SUSPENDED_MARK | ARCHIVED_MARK));
      let number = byPlace[place];
      if (number === undefined) {
        number = numberOf(standingOf(users.userAt(position)));
        byPlace[place] = number;
      }
      judged[position] = number;
    }
    return { length, words, standings: judged, kinds, oddIds };
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
