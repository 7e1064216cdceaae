import type { Cause } from '../domain/hint.ts';
import type { Plan, Verdict } from '../domain/step.ts';
import { isSealwrightError } from '../errors.ts';
import type { Facts } from '../plan/facts.ts';
import { type GuardVerdict, guard } from '../plan/guard.ts';
import { planFor } from '../plan/plan.ts';
import { plus, slowRetryMs } from '../plan/timing.ts';
import type { Lease } from '../ports/ledger.ts';
import { apply, type Stop } from './apply.ts';
import type { ReconcileDeps } from './context.ts';
import { observe } from './observe.ts';

/** `busy`: somebody else works on this user and has been asked to look once more. */
export type RunOutcome =
  | { readonly kind: 'converged'; readonly verdict: Verdict }
  | { readonly kind: 'stopped'; readonly verdict: Verdict; readonly stops: readonly Stop[] }
  | { readonly kind: 'busy' };

/** A plan normally converges in two rounds (apply, confirm); more would be a rule that never settles. */
const MAX_ROUNDS = 6;
const HOUR_MS = 3_600_000;

/**
 * The one loop: look at this user. Takes the user's lease, then observes, plans, guards and applies until nothing is
 * left to do, and records the state for an admin to see. A step that may succeed later makes this throw after the
 * state is recorded, so that the event is delivered again; a step that needs a human does not throw.
 */
export async function reconcile(deps: ReconcileDeps, userId: string, cause: Cause): Promise<RunOutcome> {
  const lease = await deps.ledger.acquireLease(`user:${userId}`, deps.leaseMs);
  if (lease === undefined) return { kind: 'busy' };
  using heartbeat = beat(deps, lease);
  try {
    let outcome: RunOutcome;
    do {
      outcome = await look(deps, lease, userId, cause);
      heartbeat.check();
    } while ((await deps.ledger.releaseLease(lease)) === 'look-again');
    return outcome;
  } catch (error) {
    await giveBack(deps, lease, error);
    throw error;
  }
}

/** After a failure the event is delivered again, which is one more look too: a request for one is answered by that. */
async function giveBack(deps: ReconcileDeps, lease: Lease, failure: unknown): Promise<void> {
  if (isSealwrightError(failure) && failure.code === 'lease-lost') return;
  try {
    if ((await deps.ledger.releaseLease(lease)) === 'look-again') await deps.ledger.releaseLease(lease);
  } catch (error) {
    // The lease runs out by itself; what went wrong first is what the caller must hear.
    deps.log.warning('lease-not-released', { subject: lease.subject, message: String(error) });
  }
}

async function look(deps: ReconcileDeps, lease: Lease, userId: string, cause: Cause): Promise<RunOutcome> {
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const facts = await observe(deps, lease, userId);
    const judged = await judge(deps, planFor(facts, deps.policy));
    const { plan } = judged;
    if (judged.kind === 'held') {
      deps.log.warning('departures-held', { eventId: cause.eventId, userId, reason: judged.reason });
      await deps.ledger.audit({ userId, cause, step: 'guard', reason: judged.reason, outcome: 'refused' });
    }
    if (plan.steps.length === 0) {
      const verdict =
        judged.kind === 'held'
          ? { ...plan.verdict, nextAction: 'ask-guard-again', nextActionAt: plus(facts.now, HOUR_MS) }
          : plan.verdict;
      await settle(deps, lease, facts, verdict);
      return { kind: 'converged', verdict };
    }
    const mailbox =
      facts.presence.kind === 'present'
        ? facts.presence.user.primaryEmail
        : (facts.ledger.user?.primaryEmail ?? '');
    const stops = await apply(plan, { deps, lease, cause, facts, mailbox, made: {} });
    const worst = stops.find((stop) => stop.error.kind === 'retryable') ?? stops[0];
    if (worst !== undefined) return await stop(deps, lease, facts, stops, worst);
  }
  throw new Error(`The plan for user ${userId} did not settle in ${MAX_ROUNDS} rounds.`);
}

async function judge(deps: ReconcileDeps, plan: Plan): Promise<GuardVerdict> {
  const since = plus(deps.clock.now(), -HOUR_MS);
  const departs = plan.steps.some((step) => 'departure' in step && step.departure);
  // Counting reads the audit trail; most plans hurt nobody and need no count.
  if (!departs) return { kind: 'allowed', plan };
  return guard(plan, await deps.ledger.departuresSince(since), deps.policy.guard);
}

/** Nothing left to do. Somebody no rule ever covered gets no row. */
async function settle(deps: ReconcileDeps, lease: Lease, facts: Facts, verdict: Verdict): Promise<void> {
  if (facts.ledger.user === undefined) return;
  const waits = verdict.state === 'pending' || verdict.state === 'blocked';
  await deps.ledger.recordState(lease, {
    userId: facts.userId,
    failures: waits ? facts.ledger.user.failures + 1 : 0,
    ...verdict,
  });
}

async function stop(
  deps: ReconcileDeps,
  lease: Lease,
  facts: Facts,
  stops: readonly Stop[],
  worst: Stop,
): Promise<RunOutcome> {
  const failures = (facts.ledger.user?.failures ?? 0) + 1;
  const now = deps.clock.now();
  const retryable = worst.error.kind === 'retryable';
  const leaving = facts.ledger.user?.leftScopeAt !== undefined || facts.presence.kind === 'deleted';
  const delayMs = Math.max(slowRetryMs(failures, retryable ? 0 : HOUR_MS), worst.error.retryAfterMs ?? 0);
  const verdict: Verdict = {
    state: leaving ? 'leaving' : retryable ? 'pending' : 'blocked',
    reason: stops.map(({ step, error }) => `${step}: ${error.message}`).join(' '),
    nextAction: `retry-${worst.step}`,
    nextActionAt: plus(now, delayMs),
  };
  if (facts.ledger.user !== undefined) {
    await deps.ledger.recordState(lease, { userId: facts.userId, failures, ...verdict });
  }
  if (retryable) throw worst.error;
  return { kind: 'stopped', verdict, stops };
}

interface Heartbeat extends Disposable {
  /** Throws when a renewal failed: the lease may belong to somebody else by now. */
  check(): void;
}

/** Renews the lease every third of its length until disposed. */
function beat(deps: ReconcileDeps, lease: Lease): Heartbeat {
  let failure: unknown;
  const timer = setInterval(() => {
    deps.ledger.renewLease(lease, deps.leaseMs).catch((error: unknown) => {
      failure = error;
    });
  }, deps.leaseMs / 3);
  return {
    check() {
      if (failure !== undefined) throw failure;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}
