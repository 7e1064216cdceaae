import type { Policy } from '../domain/policy.ts';
import type { Plan, Step, Verdict } from '../domain/step.ts';
import type { Facts } from './facts.ts';
import { gmailLeaves, liveLeaves, newestFirst } from './holdings.ts';
import { isProvenAbsent } from './rules/absence.ts';
import { deleteIdentities, failWishes, revokeAll } from './rules/departure.ts';
import { issueForDevices } from './rules/devices.ts';
import { convergeGmail } from './rules/gmail.ts';
import { issuance } from './rules/issuance.ts';
import { retireReplaced, serialsRevokedBy, urgentRevocations } from './rules/retirement.ts';
import { isObserveOnly, protectionIn, type Standing, standingOf } from './standing.ts';
import { earliest, LOOK_FOR_ABSENT_MS, PATIENCE_MS, plus, renewalTime, slowRetryMs } from './timing.ts';

/**
 * From facts to steps. Pure: planning the facts that applying a plan leaves behind gives no steps. The certificate
 * chain comes first, the Gmail chain second; each is applied until its own first failure.
 */
export function planFor(facts: Facts, policy: Policy): Plan {
  const standing = standingOf(facts, policy);
  const { steps, verdict } = planStanding(facts, standing);
  const protectedAs = protectionIn(facts, policy);
  return {
    userId: facts.userId,
    steps,
    verdict,
    ...(protectedAs === undefined ? {} : { protectedAs }),
    ...(isObserveOnly(standing, facts, policy) ? { observeOnly: true } : {}),
  };
}

interface Outcome {
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

function planStanding(facts: Facts, standing: Standing): Outcome {
  switch (standing.kind) {
    case 'covered':
      return planCovered(facts, standing);
    case 'suspended':
      return planLeaver(facts, {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'privilegeWithdrawn',
        reason: 'The account is suspended',
        identities: standing.terms.identity === 'keep' ? 'park' : 'delete',
      });
    case 'outside':
      return planLeaver(facts, {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'affiliationChanged',
        reason: `Left the scope: ${standing.why}`,
        identities: standing.terms.identity === 'keep' ? 'park' : 'delete',
      });
    case 'deleted':
      return planLeaver(facts, {
        dueAt: plus(standing.since, standing.graceMs),
        revocationReason: 'cessationOfOperation',
        reason: 'The account was deleted',
        identities: 'gone',
      });
    case 'frozen':
      return planFrozen(facts, standing);
    case 'absent':
      return isProvenAbsent(facts)
        ? planLeaver(facts, {
            dueAt: facts.now,
            revocationReason: 'cessationOfOperation',
            reason: 'The account is in no list of the directory, by two whole sweeps a day apart and a look',
            identities: 'gone',
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
    steps: urgentRevocations(facts),
    verdict: {
      state: known ? 'blocked' : 'out',
      reason: `Rule "${rule.name}" cannot be judged: ${why} is gone from the directory. Nobody leaves and nobody joins under it until a policy is activated that names what there is.`,
      ...(known
        ? {
            nextAction: 'look-at-policy',
            nextActionAt: earliest(plus(facts.now, LOOK_FOR_ABSENT_MS), retirement) ?? facts.now,
          }
        : {}),
    },
  };
}

/**
 * In no list: by itself that proves nothing and departs nobody. What was decided before (an overlap that has ended, a
 * reported compromise) needs no directory and goes on, and somebody looks again.
 */
function planAbsent(facts: Facts): Outcome {
  const nextActionAt = earliest(
    plus(facts.now, LOOK_FOR_ABSENT_MS),
    ...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt),
  );
  return {
    steps: urgentRevocations(facts),
    verdict: {
      state: facts.ledger.user?.state ?? 'out',
      reason: 'No list of the directory names this user; two whole sweeps and a day decide, not one look.',
      ...(facts.ledger.user === undefined || nextActionAt === undefined
        ? {}
        : { nextAction: 'look-for-user', nextActionAt }),
    },
  };
}

function planCovered(facts: Facts, standing: Extract<Standing, { kind: 'covered' }>): Outcome {
  const { user, rule } = standing;
  const revocations = urgentRevocations(facts);
  if (facts.gmail.kind !== 'observed') {
    // A device needs nothing of Gmail.
    const steps = [...revocations, ...issueForDevices(facts, user, rule)];
    return { steps, verdict: waitForGmail(facts) };
  }

  const revokedHere = serialsRevokedBy(revocations);
  const remaining = withoutLeaves(facts, revokedHere);
  const { steps: issuing, current } = issuance(remaining, user, rule);
  const steps = [
    ...revocations,
    ...issuing,
    ...retireReplaced(remaining, user, rule, current),
    ...issueForDevices(facts, user, rule),
    ...convergeGmail(facts, facts.gmail, user, current),
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
  return { steps, verdict: readyVerdict(facts, standing) };
}

function readyVerdict(facts: Facts, { rule }: Extract<Standing, { kind: 'covered' }>): Verdict {
  const current = newestFirst(gmailLeaves(facts)).find((leaf) => leaf.retirement === undefined);
  const renewal = current === undefined ? undefined : renewalTime(current, rule);
  const retirement = earliest(...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt));
  const nextActionAt = earliest(renewal, retirement);
  return {
    state: 'ready',
    reason: `Rule "${rule.name}" covers the user; certificate, key pair and identity are in place.`,
    ...(nextActionAt === undefined
      ? {}
      : { nextAction: nextActionAt === retirement ? 'revoke-replaced' : 'renew', nextActionAt }),
  };
}

/** Slow retries for up to 24 hours, then *blocked*, which still looks again once a day. Nothing is revoked. */
function waitForGmail(facts: Facts): Verdict {
  const previous = facts.ledger.user;
  const waiting = previous?.state === 'pending' || previous?.state === 'blocked';
  const waitedMs = waiting ? facts.now.getTime() - previous.since.getTime() : 0;
  const blocked = previous?.state === 'blocked' || waitedMs >= PATIENCE_MS;
  const why = facts.gmail.kind === 'unavailable' ? facts.gmail.message : 'Gmail was not asked';
  return {
    state: blocked ? 'blocked' : 'pending',
    reason: `Waits for Gmail: ${why}`,
    waits: true,
    nextAction: 'ask-gmail-again',
    nextActionAt: plus(facts.now, slowRetryMs(previous?.failures ?? 0, blocked ? PATIENCE_MS : waitedMs)),
  };
}

interface Leaver {
  readonly dueAt: Date;
  readonly revocationReason: 'affiliationChanged' | 'privilegeWithdrawn' | 'cessationOfOperation';
  readonly reason: string;
  /** `park`: kept until restored; `gone`: deleted with the account. */
  readonly identities: 'delete' | 'park' | 'gone';
}

function planLeaver(facts: Facts, leaver: Leaver): Outcome {
  const urgent = urgentRevocations(facts);
  if (facts.ledger.leaves.length === 0) {
    const steps = failWishes(facts, `${leaver.reason}.`);
    return { steps, verdict: { state: 'out', reason: `${leaver.reason}.` } };
  }
  if (facts.now.getTime() < leaver.dueAt.getTime()) {
    return {
      steps: urgent,
      verdict: {
        state: 'leaving',
        reason: `${leaver.reason}; the certificate is revoked when the grace period ends.`,
        nextAction: 'revoke',
        nextActionAt:
          earliest(leaver.dueAt, ...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt)) ?? leaver.dueAt,
      },
    };
  }
  const reason = `${leaver.reason}.`;
  const revokedHere = serialsRevokedBy(urgent);
  const steps = [
    ...urgent,
    ...revokeAll(withoutLeaves(facts, revokedHere), leaver.revocationReason, reason),
    ...failWishes(facts, reason),
    ...(leaver.identities === 'delete' ? deleteIdentities(facts, reason) : []),
  ];
  return {
    steps,
    verdict: leaver.identities === 'delete' ? afterLeaving(facts, reason) : { state: 'out', reason },
  };
}

/** Out, unless Gmail would not say whether the identity is gone: then that part is parked and tried again. */
function afterLeaving(facts: Facts, reason: string): Verdict {
  if (facts.gmail.kind !== 'unavailable') return { state: 'out', reason };
  const { user } = facts.ledger;
  const waitedMs =
    user?.state === 'leaving' && user.failures > 0 ? facts.now.getTime() - user.since.getTime() : 0;
  return {
    state: 'leaving',
    reason: `${reason} The certificate is revoked; deleting the identity is parked: ${facts.gmail.message}`,
    waits: true,
    nextAction: 'delete-identity',
    nextActionAt: plus(facts.now, slowRetryMs(facts.ledger.user?.failures ?? 0, waitedMs)),
  };
}

function withoutLeaves(facts: Facts, serials: ReadonlySet<string>): Facts {
  if (serials.size === 0) return facts;
  const leaves = facts.ledger.leaves.filter((leaf) => !serials.has(leaf.serialHex));
  // The keys stay used: a compromised key must not be mistaken for one that has no leaf yet.
  const dropped = new Set(
    facts.ledger.leaves.filter((leaf) => serials.has(leaf.serialHex)).map((leaf) => leaf.keyId),
  );
  const keys = facts.ledger.keys.filter((key) => !dropped.has(key.keyId));
  return { ...facts, ledger: { ...facts.ledger, leaves, keys } };
}

/** True when a plan needs Gmail's view of this user: they are covered, or leaving and their grace period is over. */
export function needsGmail(facts: Facts, policy: Policy): boolean {
  const standing = standingOf(facts, policy);
  if (standing.kind === 'covered') return true;
  if (standing.kind !== 'outside' || facts.ledger.keypairs.length === 0) return false;
  const graceOver = facts.now.getTime() >= plus(standing.since, standing.graceMs).getTime();
  return graceOver && facts.ledger.user?.state !== 'out';
}
