import type { NextAction } from '../domain/next-action.ts';
import type { Policy, PolicyRule } from '../domain/policy.ts';
import { LOOK_AT_POLICY, type Plan, type Step, type Verdict } from '../domain/step.ts';
import type { Facts } from './facts.ts';
import { leafOf, liveLeaves, withoutLeaves } from './holdings.ts';
import { leaverOf, needsGmailToLeave, type Outcome, planLeaver } from './leaver.ts';
import { isProvenAbsent } from './rules/absence.ts';
import { issueForDevices } from './rules/devices.ts';
import { convergeGmail } from './rules/gmail.ts';
import { importSteps } from './rules/imports.ts';
import { issuance } from './rules/issuance.ts';
import { keyMoveSteps } from './rules/key-moves.ts';
import { awaitingRequests, hasRequests, keypairRequestSteps } from './rules/keypair-requests.ts';
import { nextDeviceWarningAt, nextWarningAt, noticesFor } from './rules/notices.ts';
import { retireReplaced, serialsRevokedBy, urgentRevocations } from './rules/retirement.ts';
import { coveringRule, isObserveOnly, protectionIn, type Standing, standingOf } from './standing.ts';
import { earliest, LOOK_FOR_ABSENT_MS, plus, renewalTime } from './timing.ts';
import { waitForGmail, waitForHolder } from './waiting.ts';

/**
 * From facts to steps. Pure: planning the facts that applying a plan leaves behind gives no steps. The certificate
 * chain comes first, the Gmail chain second; each is applied until its own first failure.
 */
export function planFor(facts: Facts, policy: Policy): Plan {
  const standing = standingOf(facts, policy);
  const { steps, verdict } = planStanding(facts, standing);
  const requested = [...keypairRequestSteps(facts), ...keyMoveSteps(facts), ...importSteps(facts, standing)];
  const protectedAs = protectionIn(facts, policy);
  const rule = coveringRule(standing, facts, policy);
  return {
    userId: facts.userId,
    steps: [...steps, ...requested],
    verdict: awaitingRequests(facts, warnInTime(facts, rule, verdict)),
    notices: noticesFor(facts, rule, steps),
    ...(protectedAs === undefined ? {} : { protectedAs }),
    ...(isObserveOnly(standing, facts, policy) ? { observeOnly: true } : {}),
  };
}

/** Somebody looks when the next warning falls due, however long the wait for anything else is. */
function warnInTime(facts: Facts, rule: PolicyRule | undefined, verdict: Verdict): Verdict {
  if (rule === undefined || verdict.nextActionAt === undefined || verdict.state === 'ready') return verdict;
  const warningAt = nextWarningAt(facts, rule);
  const nextActionAt = earliest(verdict.nextActionAt, warningAt);
  return nextActionAt === undefined ? verdict : { ...verdict, nextActionAt };
}

function planStanding(facts: Facts, standing: Standing): Outcome {
  switch (standing.kind) {
    case 'covered':
      return planCovered(facts, standing);
    case 'suspended':
    case 'outside':
    case 'deleted':
      return planLeaver(facts, leaverOf(standing));
    case 'frozen':
      return planFrozen(facts, standing);
    case 'absent':
      return isProvenAbsent(facts)
        ? planLeaver(facts, {
            dueAt: facts.now,
            revocationReason: 'cessationOfOperation',
            reason: 'The account is in no list of the directory, by two whole sweeps a day apart and a look',
            terms: undefined,
            until: 'until the account is found again',
          })
        : planAbsent(facts);
    default:
      return standing satisfies never;
  }
}

/** Only what was decided before goes on; the rest waits for an admin to activate a policy that names what there is. */
function planFrozen(facts: Facts, { rule, why }: Extract<Standing, { kind: 'frozen' }>): Outcome {
  const known = facts.ledger.user !== undefined;
  const retirement = earliest(...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt));
  return {
    steps: urgentRevocations(facts, false),
    verdict: {
      state: known ? 'blocked' : 'out',
      reason: `Rule "${rule.name}" cannot be judged: ${why} is gone from the directory. Nobody leaves and nobody joins under it until a policy is activated that names what there is.`,
      ...(known
        ? {
            nextAction: LOOK_AT_POLICY,
            nextActionAt: earliest(plus(facts.now, LOOK_FOR_ABSENT_MS), retirement) ?? facts.now,
          }
        : {}),
    },
  };
}

/**
 * In no list: by itself that proves nothing and departs nobody. What was decided before (an overlap that has ended, a
 * reported compromise) needs no directory and goes on, and somebody looks again. Who is out already, as the deleted are once
 * the directory lists them no more, is left as they are: a sweep finds whoever comes back.
 */
function planAbsent(facts: Facts): Outcome {
  const { user } = facts.ledger;
  const isOut = user === undefined || user.state === 'out';
  const nextActionAt = earliest(
    isOut ? undefined : plus(facts.now, LOOK_FOR_ABSENT_MS),
    ...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt),
  );
  return {
    steps: urgentRevocations(facts, false),
    verdict: {
      state: user?.state ?? 'out',
      reason:
        user?.state === 'out'
          ? user.reason
          : 'No list of the directory names this user; two whole sweeps and a day decide, not one look.',
      ...(user === undefined || nextActionAt === undefined
        ? {}
        : { nextAction: 'look-for-user', nextActionAt }),
    },
  };
}

function planCovered(facts: Facts, standing: Extract<Standing, { kind: 'covered' }>): Outcome {
  const { user, rule } = standing;
  const lost = serialsRevokedBy(urgentRevocations(facts, false));
  const remaining = withoutLeaves(facts, lost);
  // A device needs nothing of Gmail.
  const forDevices = issueForDevices(facts, user, rule);
  const { steps: issuing, currents } = issuance(remaining, user, rule);
  const waits = facts.namedByOthers.length > 0 && issuing.length + forDevices.length > 0;
  const revocations = urgentRevocations(facts, !waits && facts.gmail.kind === 'observed');
  if (waits) return { steps: revocations, verdict: waitForHolder(facts) };
  if (facts.gmail.kind !== 'observed')
    return { steps: [...revocations, ...forDevices], verdict: waitForGmail(facts) };

  const steps = [
    ...revocations,
    ...issuing,
    ...retireReplaced(remaining, user, rule, currents),
    ...forDevices,
    ...convergeGmail(facts, facts.gmail, user, currents),
    ...facts.ledger.openWishes.map(
      (wish): Step => ({
        kind: 'fulfil-wish',
        chain: 'gmail',
        wishId: wish.wishId,
        reason: 'The identity uses the new key.',
      }),
    ),
  ];
  if (steps.length > 0) {
    return {
      steps,
      verdict: {
        state: 'pending',
        reason: steps[0]?.reason ?? '',
        nextAction: 'apply',
        nextActionAt: facts.now,
      },
    };
  }
  const renewals = [...currents.values()].flatMap((current) => {
    const leaf = leafOf(facts, current);
    return leaf === undefined ? [] : [renewalTime(leaf, rule)];
  });
  return { steps, verdict: readyVerdict(facts, rule, renewals) };
}

function readyVerdict(facts: Facts, rule: PolicyRule, renewals: readonly Date[]): Verdict {
  const retirement = earliest(...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt));
  const warning = nextDeviceWarningAt(facts);
  const nextActionAt = earliest(...renewals, retirement, warning);
  return {
    state: 'ready',
    reason: `Rule "${rule.name}" covers the user; certificate, key pair and identity are in place.`,
    ...(nextActionAt === undefined
      ? {}
      : { nextAction: nextActionOf(nextActionAt, { retirement, warning }), nextActionAt }),
  };
}

const nextActionOf = (
  at: Date,
  { retirement, warning }: { readonly retirement: Date | undefined; readonly warning: Date | undefined },
): NextAction => (at === retirement ? 'revoke-replaced' : at === warning ? 'warn' : 'renew');

/**
 * True when a plan needs Gmail's view of this user: they are covered, or leaving, their grace period is over and policy
 * has something done in Gmail; or an admin asked for something to be done to one of their key pairs.
 */
export function needsGmail(facts: Facts, policy: Policy): boolean {
  if (hasRequests(facts)) return true;
  const standing = standingOf(facts, policy);
  if (standing.kind === 'covered') return true;
  if (standing.kind !== 'outside' && standing.kind !== 'suspended') return false;
  if (facts.ledger.keypairs.length === 0 || facts.ledger.user?.state === 'out') return false;
  const leaver = leaverOf(standing);
  return needsGmailToLeave(leaver) && facts.now.getTime() >= leaver.dueAt.getTime();
}

/**
 * True for somebody who is out and has since left in another way, at whose end policy takes something in Gmail that nobody has
 * looked at: whoever was deleted and is undeleted outside every rule, or was suspended for good and then moved away. A grace period
 * in between would have made them leave; this is for where there is none, or it is long over.
 */
export function leavesOnceMore(facts: Facts, policy: Policy): boolean {
  const { user, keypairs } = facts.ledger;
  if (user?.state !== 'out' || keypairs.length === 0) return false;
  const standing = standingOf(facts, policy);
  if (standing.kind !== 'outside' && standing.kind !== 'suspended') return false;
  const leaver = leaverOf(standing);
  const isOver = facts.now.getTime() >= leaver.dueAt.getTime();
  return isOver && standing.since.getTime() > user.since.getTime() && needsGmailToLeave(leaver);
}
