/**
 * A rule that covers nobody is a mistake more often than a wish: a unit with a similar name, a group that is empty, a rule
 * that others go before. `policy check --live` and `policy activate` refuse it; a policy that a function put in force when it started
 * nobody has compared with the directory, so the first whole sweep under it does.
 */
import { readPlaces } from '../../activation/places.ts';
import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import { isPinned } from '../../domain/policy-pins.ts';
import { isSealwrightError } from '../../errors.ts';
import { ruleCovering, scopeName } from '../../plan/scope.ts';
import type { SweepRecord } from '../../ports/ledger/sweeps.ts';
import { LEASE_MS, type SweepDeps, type Tick } from './context.ts';

/** Fifty thousand users of a unit, two hundred members of a group: a rule that covers none of so many is left unjudged. */
const MAX_PAGES = 100;
const MAX_MEMBERS = 200;

/** At the end of the first whole sweep that began under the policy in force; `lastWhole` is the one before. */
export async function tellEmptyRules(
  tick: Tick,
  sweep: SweepRecord,
  lastWhole: SweepRecord | undefined,
): Promise<void> {
  const { deps } = tick;
  const { followed } = await deps.ledger.policyFollowing();
  if (followed === undefined || followed.activation !== deps.activation) return;
  const began = sweep.startedAt ?? sweep.requestedAt;
  if (began < followed.at || (lastWhole?.startedAt ?? new Date(0)) >= followed.at) return;
  try {
    for (const rule of await emptyRules(tick)) await tell(deps, rule, sweep, followed.activation);
  } catch (error) {
    if (!isSealwrightError(error) || !error.code.startsWith('directory-')) throw error;
    // The sweep is whole all the same.
    deps.log.warning('policy-rules-not-judged', { code: error.code, message: error.message });
  }
}

async function tell(
  deps: SweepDeps,
  rule: PolicyRule,
  sweep: SweepRecord,
  activation: string,
): Promise<void> {
  const reason = `Rule "${rule.name}" covers nobody: ${scopeName(rule)} is empty, excluded, or covered by rules that go before it.`;
  deps.log.warning('policy-rule-empty', { rule: rule.name, activation, reason });
  await deps.ledger.audit({
    cause: { source: 'sweep', eventId: `sweep-${sweep.sweepId}`, event: 'policy' },
    step: 'policy-rule-empty',
    reason,
    outcome: 'done',
    details: { rule: rule.name, activation },
  });
}

async function emptyRules(tick: Tick): Promise<readonly PolicyRule[]> {
  const { directory, policy } = tick.deps;
  const placeOf = await readPlaces(directory, policy);
  const paths = new Map((await directory.orgUnits()).map(({ orgUnitId, path }) => [orgUnitId, path]));
  const covers = (rule: PolicyRule, user: DirectoryUser) => {
    const place = placeOf(user);
    // Their unit came after the tree was read: whoever may be covered makes no rule an empty one.
    if (place === undefined && isPinned(policy)) return true;
    return ruleCovering(policy, user, place)?.name === rule.name;
  };
  const empty: PolicyRule[] = [];
  for (const rule of policy.rules) {
    const { scope } = rule;
    const isEmpty =
      scope.kind === 'group'
        ? await isEmptyGroup(tick, scope.groupId, (user) => covers(rule, user))
        : await isEmptyUnit(
            tick,
            scope.orgUnitId === undefined ? scope.path : paths.get(scope.orgUnitId),
            (user) => covers(rule, user),
          );
    if (isEmpty) empty.push(rule);
  }
  return empty;
}

type Covers = (user: DirectoryUser) => boolean;

/** A unit that is gone freezes its rule, and whoever it covered says so. */
async function isEmptyUnit(
  { deps, lease }: Tick,
  path: string | undefined,
  covers: Covers,
): Promise<boolean> {
  let pageToken: string | undefined;
  for (let pages = 0; path !== undefined && pages < MAX_PAGES; pages += 1) {
    const asked = pageToken === undefined ? {} : { pageToken };
    const { users, nextPageToken } = await deps.directory.livingPage({ orgUnitPath: path, ...asked });
    for (let position = 0; position < users.length; position += 1)
      if (covers(users.userAt(position))) return false;
    if (nextPageToken === undefined) return true;
    pageToken = nextPageToken;
    await deps.ledger.renewLease(lease, LEASE_MS);
  }
  return false;
}

async function isEmptyGroup({ deps }: Tick, groupId: string | undefined, covers: Covers): Promise<boolean> {
  if (groupId === undefined || (await deps.directory.group(groupId)) === undefined) return false;
  let members = 0;
  for await (const userId of deps.directory.groupMembers(groupId)) {
    members += 1;
    if (members > MAX_MEMBERS) return false;
    const presence = await deps.directory.presence(userId);
    if (presence.kind === 'present' && covers(presence.user)) return false;
  }
  return true;
}
