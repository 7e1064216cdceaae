import { readPlace } from '../activation/places.ts';
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { Cause } from '../domain/hint.ts';
import type { Place } from '../domain/place.ts';
import type { PolicyRule } from '../domain/policy.ts';
import type { UserRecord, UserState } from '../domain/records.ts';
import type { Plan, Verdict } from '../domain/step.ts';
import { isSealwrightError, type SealwrightError } from '../errors.ts';
import type { Facts } from '../plan/facts.ts';
import { withoutDepartures } from '../plan/guard.ts';
import { planFor } from '../plan/plan.ts';
import { isProvenAbsent } from '../plan/rules/absence.ts';
import { withoutCardKeysWanted } from '../plan/rules/notices.ts';
import { observingRule, standingOf } from '../plan/standing.ts';
import { goesOnUnderStop, underStop } from '../plan/stop.ts';
import { plus, retryMs } from '../plan/timing.ts';
import type { AuditEntry, Lease } from '../ports/ledger.ts';
import { apply, type Stop } from './apply.ts';
import { nothingMade, type ReconcileDeps } from './context.ts';
import { judgePlan } from './judge.ts';
import { deletionBegun } from './leave.ts';
import { lookAt } from './look-at.ts';
import { observe } from './observe.ts';
import { doneUnderObserve, recordObserved, toldUnderObserve } from './observe-only.ts';
import { tellPutOff, tellTakenOver, tellUntold } from './owed-lines.ts';
import { tell } from './tell.ts';

/**
 * `busy`: somebody else works on this user and has been asked to look once more. `presence`: what the directory showed of them, in
 * the last round; absent where it would not say.
 */
export type RunOutcome =
  | { readonly kind: 'converged'; readonly verdict: Verdict; readonly presence: DirectoryPresence }
  | {
      readonly kind: 'stopped';
      readonly verdict: Verdict;
      readonly stops: readonly Stop[];
      readonly presence?: DirectoryPresence;
    }
  | { readonly kind: 'busy' };

/** A plan normally converges in two rounds (apply, confirm); more would be a rule that never settles. */
const MAX_ROUNDS = 6;

/**
 * The one loop: look at this user. Takes the user's lease, then observes, plans, guards and applies until nothing is
 * left to do, and records the state for an admin to see. A step that may succeed later makes this throw after the
 * state is recorded, so that the event is delivered again; a step that needs a human does not throw.
 */
export async function reconcile(deps: ReconcileDeps, userId: string, cause: Cause): Promise<RunOutcome> {
  const lease = await deps.ledger.acquireLease(`user:${userId}`, deps.leaseMs, cause);
  if (lease === undefined) return { kind: 'busy' };
  using heartbeat = beat(deps, lease);
  const untold: string[] = [];
  let whose = cause;
  try {
    await tellTakenOver(deps, userId, cause, lease);
    for (;;) {
      const outcome = await look({ deps, lease, userId, cause: whose, untold });
      heartbeat.check();
      await tellUntold(deps, userId, whose, untold);
      const released = await deps.ledger.releaseLease(lease);
      if (released === 'released') return outcome;
      whose = released.again ?? cause;
    }
  } catch (error) {
    await giveBack(deps, lease, { userId, cause, whose, untold }, error);
    throw error;
  }
}

/** What was begun: `cause` began it, `whose` is the look under way. */
interface Begun {
  readonly userId: string;
  readonly cause: Cause;
  readonly whose: Cause;
  readonly untold: string[];
}

/**
 * After a failure the first event is delivered again, which is one more look too: a request for one is answered by that. What that
 * look does has the first event for its cause, so the trail says who asked: whoever the look that failed was for, and who asked
 * meanwhile. What the trail is owed it gets before the lease is given back: where that cannot be written either, whoever takes the
 * lease over says that something may be missing.
 */
async function giveBack(
  deps: ReconcileDeps,
  lease: Lease,
  { userId, cause, whose, untold }: Begun,
  failure: unknown,
): Promise<void> {
  try {
    await tellUntold(deps, userId, whose, untold);
    for (let asked: Cause | undefined = whose; ; ) {
      await tellPutOff(deps, userId, cause, asked === undefined ? [] : [asked]);
      if (isSealwrightError(failure) && failure.code === 'lease-lost') return;
      const released = await deps.ledger.releaseLease(lease);
      if (released === 'released') return;
      asked = released.again;
    }
  } catch (error) {
    // The lease runs out by itself; what went wrong first is what the caller must hear.
    deps.log.warning('lease-not-released', { subject: lease.subject, message: String(error) });
  }
}

/** One look at one user: whose it is and what the trail is owed for it. */
interface Look {
  readonly deps: ReconcileDeps;
  readonly lease: Lease;
  readonly userId: string;
  readonly cause: Cause;
  readonly untold: string[];
}

async function look(looking: Look): Promise<RunOutcome> {
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const outcome = await lookOnce(looking);
    if (outcome !== 'again') return outcome;
  }
  throw new Error(`The plan for user ${looking.userId} did not settle in ${MAX_ROUNDS} rounds.`);
}

/** Observe, plan, guard, apply. `again`: something was done, and only another round shows whether anything is left. */
async function lookOnce(looking: Look): Promise<RunOutcome | 'again'> {
  const { deps, lease, cause, untold } = looking;
  let seen: Awaited<ReturnType<typeof askDirectory>>;
  try {
    seen = await askDirectory(looking);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return await unseen(looking, error);
  }
  const { presence, place } = seen;
  const { facts, gmailFailure } = await observe(deps, lease, cause, presence, place);
  const whole = planFor(facts, deps.policy);
  const observing = observingRule(standingOf(facts, deps.policy), facts, deps.policy);
  const wanted = observing === undefined ? whole : await observedPart(deps, facts, whole, observing);
  if (observing !== undefined && wanted.steps.length === 0) {
    const verdict = await recordObserved(deps, facts, cause, whole);
    return await converged(looking, facts, { ...wanted, verdict });
  }
  const { plan, approval } =
    observing === undefined ? await judgePlan(deps, lease, cause, facts, wanted) : { plan: wanted };
  if (plan.steps.length === 0 && gmailFailure === undefined) {
    const outcome = await converged(looking, facts, plan);
    const { lookAt: others } = plan.verdict;
    if (others !== undefined) await lookAt({ deps, cause }, others, 'address-wanted');
    return outcome;
  }
  const mailbox =
    presence.kind === 'present' ? presence.user.primaryEmail : (facts.ledger.user?.primaryEmail ?? '');
  const context = {
    ...{ deps, lease, cause, facts, mailbox, untold },
    made: nothingMade(),
    isJudged: true,
    ...(approval === undefined ? {} : { approval }),
  };
  if (observing === undefined) await comeBack(deps, lease, facts, plan.verdict);
  const stops: Stop[] = [...(await apply(plan, context))];
  // A stop that came in the middle: the next round writes down that the user waits for its end.
  if (stops.some(({ error }) => error.code === 'stopped')) return 'again';
  if (gmailFailure !== undefined) stops.push({ chain: 'gmail', step: 'read-gmail', error: gmailFailure });
  return stops.length === 0 ? 'again' : await stoppedAt(looking, facts, plan, stops);
}

async function askDirectory({
  deps,
  userId,
}: Look): Promise<{ readonly presence: DirectoryPresence; readonly place: Place | undefined }> {
  const presence = await deps.directory.presence(userId);
  // After the user: a unit renamed in between is then looked for under a name it no longer has, and found missing.
  const place =
    presence.kind === 'present' ? await readPlace(deps.directory, deps.policy, presence.user) : undefined;
  return { presence, place };
}

async function converged(
  { deps, lease, cause }: Look,
  facts: Facts,
  { verdict, notices }: Pick<Plan, 'verdict' | 'notices'>,
): Promise<RunOutcome> {
  await settle(deps, lease, cause, facts, verdict);
  await tell({ deps, lease, cause }, facts, notices);
  return { kind: 'converged', verdict, presence: facts.presence };
}

/** Steps failed, or Gmail could not be read: the user is told what is known, and it is tried again. */
async function stoppedAt(
  { deps, lease, cause, userId }: Look,
  facts: Facts,
  plan: Plan,
  stops: readonly Stop[],
): Promise<RunOutcome> {
  const noCard = stops.some(({ step }) => step === 'take-card-key');
  const notices = noCard || plan.notices === undefined ? plan.notices : withoutCardKeysWanted(plan.notices);
  await tell({ deps, lease, cause }, facts, notices);
  const { user } = facts.ledger;
  const leaving =
    facts.presence.kind === 'deleted' || user?.leftScopeAt !== undefined || user?.suspendedAt !== undefined;
  const begun = await deletionBegun(deps, facts, cause);
  const outcome = await stop(deps, lease, userId, user, stops, leaving ? 'leaving' : undefined, begun);
  return { ...outcome, presence: facts.presence };
}

/** What is done under a rule that only observes; while everything is stopped, of that only what goes on then too. */
async function observedPart(deps: ReconcileDeps, facts: Facts, whole: Plan, rule: PolicyRule): Promise<Plan> {
  const wanted = { ...doneUnderObserve(facts, whole, rule), notices: toldUnderObserve(whole.notices) };
  return underStop(wanted, wanted.steps.length === 0 ? undefined : await deps.ledger.currentStop());
}

/**
 * Whoever was out and is given something again is out no more, from before the first step on: this process may die in the
 * middle, and no sweep misses those who are out.
 */
async function comeBack(
  deps: ReconcileDeps,
  lease: Lease,
  { ledger }: Facts,
  verdict: Verdict,
): Promise<void> {
  const { user } = ledger;
  if (user?.state !== 'out' || verdict.state === 'out') return;
  await deps.ledger.recordState(lease, {
    ...{ userId: user.userId, failures: user.failures, state: 'pending' },
    reason: 'They were out and are in scope again; what that takes is under way.',
    ...{ nextAction: 'resume', nextActionAt: plus(deps.clock.now(), deps.leaseMs) },
  });
}

/** Nothing left to do. Somebody no rule ever covered gets no row among the users; that an event named them is kept for a while. */
async function settle(
  deps: ReconcileDeps,
  lease: Lease,
  cause: Cause,
  facts: Facts,
  verdict: Verdict,
): Promise<void> {
  const { user } = facts.ledger;
  if (user === undefined) return await passOver(deps, facts, cause);
  // Of those who are present the sighting has written it.
  const audit = await deletionBegun(deps, facts, cause);
  const failures = verdict.waits === true ? user.failures + 1 : 0;
  const forgetsLeaving = facts.presence.kind === 'deleted';
  const saysTheSame = isWrittenDown(user, verdict) && user.failures === failures;
  // Since when they are deleted is written with the state.
  const deleted = forgetsLeaving || (facts.presence.kind === 'absent' && isProvenAbsent(facts));
  if (saysTheSame && audit === undefined && !deleted) return;
  await deps.ledger.recordState(lease, {
    userId: facts.userId,
    failures,
    ...verdict,
    forgetsLeaving,
    deleted,
    ...(audit === undefined ? {} : { audit }),
  });
}

/** What most looks find: nothing has become of this user since the last one. */
const isWrittenDown = (user: UserRecord, { state, reason, nextAction, nextActionAt }: Verdict): boolean =>
  user.state === state &&
  user.reason === reason &&
  user.nextAction === nextAction &&
  user.nextActionAt?.getTime() === nextActionAt?.getTime();

/** A policy that would cover them can be tried on the events that were heard. Looks that the clock brought are none. */
async function passOver(deps: ReconcileDeps, { presence, userId }: Facts, cause: Cause): Promise<void> {
  if (presence.kind !== 'present' || cause.source === 'due') return;
  await deps.ledger.recordPassedOver({ userId, source: cause.source, event: cause.event });
}

/**
 * The directory would not say who this is. Revocations that were decided or reported before need no directory and go
 * on; otherwise nothing is known to have changed, and what is written down is why nobody looked and when somebody will.
 * Departures wait for the directory: whether an account is protected only it can say, and who has gained an address is
 * certified for it only afterwards.
 * Without a row there is nowhere to write it: then the event must come again.
 */
async function unseen(looking: Look, error: SealwrightError): Promise<RunOutcome> {
  const { deps, lease, userId, cause, untold } = looking;
  const observed = await observe(deps, lease, cause, { kind: 'absent', userId });
  // Nobody was asked and found absent: what sweeps say of this user decides nothing without the directory's own 404.
  const { absence: _undecided, ...ledger } = observed.facts.ledger;
  const facts: Facts = { ...observed.facts, ledger };
  const { user } = facts.ledger;
  if (user === undefined) throw error;
  const stops: Stop[] = [{ chain: 'certificate', step: 'read-directory', error }];
  const mailbox = user.primaryEmail;
  const context = { deps, lease, cause, facts, mailbox, made: nothingMade(), untold, isJudged: false };
  const whole = planFor(facts, deps.policy);
  const kept = withoutDepartures(whole, error.message);
  const allowed =
    whole.observeOnly === true
      ? {
          ...kept,
          steps: kept.steps.filter(goesOnUnderStop),
          notices: toldUnderObserve(whole.notices),
        }
      : kept;
  const plan = underStop(allowed, await deps.ledger.currentStop());
  stops.push(...(await apply(plan, context)));
  await tell(context, facts, plan.notices);
  const state = user.state === 'leaving' || user.state === 'out' ? user.state : undefined;
  return await stop(deps, lease, userId, user, stops, state);
}

/**
 * Records what stopped and when it is tried again. `state` is the user's; undefined lets the worst failure decide. One that passes
 * says nothing about what somebody is *blocked* by: they stay so, since the same time, until a look gets through.
 */
async function stop(
  deps: ReconcileDeps,
  lease: Lease,
  userId: string,
  user: UserRecord | undefined,
  stops: readonly Stop[],
  state: UserState | undefined,
  audit?: AuditEntry,
): Promise<Extract<RunOutcome, { kind: 'stopped' }>> {
  const [first] = stops;
  const worst = stops.find(({ error }) => error.kind === 'retryable') ?? first;
  if (worst === undefined) throw new Error('A run cannot stop without a reason.');
  const failures = (user?.failures ?? 0) + 1;
  const retryable = worst.error.kind === 'retryable';
  const delayMs = Math.max(retryMs(failures), worst.error.retryAfterMs ?? 0);
  const verdict: Verdict = {
    state: state ?? (retryable && user?.state !== 'blocked' ? 'pending' : 'blocked'),
    reason: stops.map(({ step, error }) => `${step}: ${error.message}`).join(' '),
    nextAction: `retry-${worst.step}`,
    nextActionAt: plus(deps.clock.now(), delayMs),
  };
  if (user !== undefined) {
    const begun = audit === undefined ? {} : { audit };
    await deps.ledger.recordState(lease, { userId, failures, ...verdict, ...begun });
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
