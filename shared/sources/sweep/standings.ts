/** What the policy makes of listed users. A list tells the org unit of each, and the policy's pins (`pins.ts`) their groups. */
import type { ListedUser } from '../../domain/directory-user.ts';
import {
  ARCHIVED_MARK,
  LISTED_WORDS,
  type ListedUsers,
  MARKS,
  PATH,
  SUSPENDED_MARK,
} from '../../domain/listed-users.ts';
import { isHashed } from '../../domain/packed-id.ts';
import type { Place } from '../../domain/place.ts';
import type { Policy, PolicyRule } from '../../domain/policy.ts';
import { ruleCovering, vanishedExclusion, vanishedScope } from '../../plan/scope.ts';
import { type LastRules, type ListedStanding, UNPLACED } from './compare.ts';
import { NamedUsers } from './named-users.ts';
import type { Pins } from './pins.ts';

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
 * Users are judged alike, and once, who are in the same unit and the same groups and whom no rule excludes by name. (Whom the policy protects
 * by name stands like anybody else: that their departure waits is the look's to know.) `pins`: undefined for a draft, which has none.
 */
export function standings(policy: Policy, pins: Pins | undefined): Judge {
  const named = new Set(policy.rules.flatMap(({ exclude }) => exclude.users));
  const kinds: ListedStanding[] = [];
  const gone = policy.rules.filter((rule) => vanishedScope(rule, pins) !== undefined);
  return {
    page: judgeOfPages(
      { standingOf: judgeOfUsers(policy, pins, named), named: new NamedUsers(named), pins },
      kinds,
    ),
    covering: () =>
      kinds.includes(UNPLACED)
        ? undefined
        : [
            ...gone.map(({ name }) => name),
            ...kinds.flatMap((kind) => ('ruleName' in kind ? kind.ruleName : [])),
          ],
  };
}

/** As `standingOf` (shared/plan/standing.ts), in its order; what depends on the ledger is left to the comparison. */
function judgeOfUsers(
  policy: Policy,
  pins: Pins | undefined,
  named: ReadonlySet<string>,
): (user: ListedUser) => ListedStanding {
  const ofEachRule = (standingUnder: (rule: PolicyRule) => ListedStanding) =>
    new Map(policy.rules.map((rule) => [rule.name, standingUnder(rule)]));
  const observes = ({ observeOnly }: PolicyRule) => observeOnly === true;
  const covered = (isUnsure: boolean) =>
    ofEachRule((rule) => ({ kind: 'covered', ruleName: rule.name, observes: observes(rule), isUnsure }));
  const [sure, unsure] = [covered(false), covered(true)];
  const suspended = ofEachRule((rule) => ({
    ...{ kind: 'suspended', ruleName: rule.name, observes: observes(rule) },
  }));
  const last = lastRulesOf(policy, pins);
  const outside: ListedStanding = { kind: 'outside', last };
  const archived: ListedStanding = { kind: 'archived', last };
  const known = new Map<string, ListedStanding>();

  /** Of somebody who is neither archived nor suspended. */
  const judge = (user: ListedUser, groups: number): ListedStanding => {
    const place = pins === undefined ? undefined : placeIn(pins, user.orgUnitPath, groups);
    // The list and the tree are of different moments; the next sweep has both anew.
    if (pins !== undefined && place === undefined) return UNPLACED;
    const rule = ruleCovering(policy, user, place);
    if (rule === undefined) return outside;
    const standings = vanishedExclusion(rule, place) === undefined ? sure : unsure;
    return standings.get(rule.name) ?? outside;
  };

  return (user) => {
    const groups = pins?.members.numberOfId(user.userId) ?? 0;
    const isNamed =
      named.size > 0 && [user.userId, user.primaryEmail, ...user.aliases].some((name) => named.has(name));
    const key = `${groups} ${user.orgUnitPath}`;
    const cached = isNamed ? undefined : known.get(key);
    const standing = cached ?? judge(user, groups);
    if (cached === undefined && !isNamed) known.set(key, standing);
    if (user.archived && standing !== UNPLACED) return archived;
    if (!user.suspended || standing.kind !== 'covered') return standing;
    return suspended.get(standing.ruleName) ?? standing;
  };
}

/** As `standingOf` and `observingRule` go by the rule that covered somebody last. */
function lastRulesOf(policy: Policy, pins: Pins | undefined): LastRules {
  const gone = new Set(
    policy.rules.flatMap((rule) => (vanishedScope(rule, pins) === undefined ? [] : rule.name)),
  );
  const observing = new Map(policy.rules.map(({ name, observeOnly }) => [name, observeOnly === true]));
  const doAllObserve = observing.size > 0 && [...observing.values()].every((observes) => observes);
  return {
    isGone: (ruleName) => gone.has(ruleName ?? ''),
    observes: (ruleName) => observing.get(ruleName ?? '') ?? doAllObserve,
  };
}

/**
 * Users alike in unit, groups, suspended and archived stand alike, unless a rule names them. Fills `kinds` with the standings that
 * somebody has.
 */
function judgeOfPages(
  {
    standingOf,
    named,
    pins,
  }: { standingOf: (user: ListedUser) => ListedStanding; named: NamedUsers; pins: Pins | undefined },
  kinds: ListedStanding[],
): (users: ListedUsers) => JudgedUsers {
  const numbers = new Map<ListedStanding, number>();
  const numberOf = (standing: ListedStanding): number => {
    const known = numbers.get(standing);
    if (known !== undefined) return known;
    numbers.set(standing, kinds.length);
    return kinds.push(standing) - 1;
  };
  const members = pins?.members;
  let paths: readonly string[] = [];
  /** By the number of the set of groups, then by path and marks. */
  let byPlace: (number | undefined)[][] = [];

  return (users) => {
    if (users.paths !== paths) {
      paths = users.paths;
      byPlace = [];
    }
    const { words, length } = users;
    const judged = new Uint16Array(length);
    const oddIds = new Map<number, string>();
    const sets =
      members === undefined || members.size === 0
        ? undefined
        : members.numbersOf(words, LISTED_WORDS, length);
    for (let position = 0; position < length; position += 1) {
      const at = position * LISTED_WORDS;
      if (isHashed(words, at)) oddIds.set(position, users.userIdAt(position));
      const marks = words[at + MARKS] ?? 0;
      if (named.mayHave(words, at)) {
        judged[position] = numberOf(standingOf(users.userAt(position)));
        continue;
      }
      const place = ((words[at + PATH] ?? 0) << 2) | (marks & (SUSPENDED_MARK | ARCHIVED_MARK));
      const groups = sets?.[position] ?? 0;
      const alike = byPlace[groups] ?? [];
      byPlace[groups] = alike;
      let number = alike[place];
      if (number === undefined) {
        number = numberOf(standingOf(users.userAt(position)));
        alike[place] = number;
      }
      judged[position] = number;
    }
    return { length, words, standings: judged, kinds, oddIds };
  };
}

function placeIn(
  { units, members, vanishedIds }: Pins,
  orgUnitPath: string,
  groups: number,
): Place | undefined {
  const unitIds = units.get(orgUnitPath.toLowerCase());
  return unitIds === undefined ? undefined : { unitIds, groupIds: members.groupsOf(groups), vanishedIds };
}
