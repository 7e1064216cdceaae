/**
 * What a draft policy would do to the tenant as it is: the plan of each user under the policy in force and under the
 * draft, compared. Nothing is written and Gmail is not asked (`ledger-facts.ts`).
 */
import { readPlace, readPlaces } from '../activation/places.ts';
import type { DirectoryPresence, DirectoryUser } from '../domain/directory-user.ts';
import type { Cause } from '../domain/hint.ts';
import type { Policy } from '../domain/policy.ts';
import { type IssuerRecord, UNKNOWN_USER, type UserLedger } from '../domain/records.ts';
import type { Plan, Step } from '../domain/step.ts';
import { invalidInput } from '../errors.ts';
import { departureLimit, departureSteps, scopesOf } from '../plan/guard.ts';
import { planFor } from '../plan/plan.ts';
import { type Standing, standingOf } from '../plan/standing.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { Ledger } from '../ports/ledger.ts';
import { factsByLedger } from './ledger-facts.ts';

export interface WhatIfDeps {
  readonly directory: Directory;
  readonly ledger: Pick<Ledger, 'users' | 'issuers' | 'auditTrail'>;
  readonly clock: Clock;
}

/** Beyond this a comparison takes longer than a request may. */
const MAX_USERS = 50_000;
const PAGE = 500;

export type Change = 'joins' | 'leaves' | 'other-rule' | 'held' | 'steps' | 'unchanged';

/** One step as it is shown; serials and ids of what is there, never of what would be made. */
export interface StepView {
  readonly kind: Step['kind'];
  readonly reason: string;
}

export interface UserForecast {
  readonly userId: string;
  readonly user: string;
  readonly orgUnit: string;
  readonly change: Change;
  /** The rule in force and the draft's, by name; absent where none covers the user. */
  readonly from?: string;
  readonly to?: string;
  readonly reason: string;
  readonly steps: readonly StepView[];
  /** What a grace period puts off. */
  readonly later?: { readonly at: Date; readonly steps: readonly StepView[] };
  /** Something would be taken that the policy in force does not take. */
  readonly departs: boolean;
  readonly protectedAs?: string;
  readonly observeOnly?: true;
  /** The recorded event that would have brought it about. */
  readonly event?: RecordedEvent;
}

export interface RecordedEvent {
  readonly at: Date;
  readonly source: Cause['source'];
  readonly event: string;
}

export interface GuardForecast {
  /** `tenant`, or `unit:` and a path. */
  readonly scope: string;
  readonly covered: number;
  readonly departing: number;
  /** Departures an hour. */
  readonly limit: number;
  readonly held: boolean;
}

export interface WhatIf {
  readonly users: number;
  readonly changes: Readonly<Record<Change, number>>;
  /** Users covered by each rule of the draft, by name, none left out. */
  readonly coveredByRule: Readonly<Record<string, number>>;
  /** At once, by kind of step. */
  readonly steps: Readonly<Record<string, number>>;
  /** After grace periods, by kind of step. */
  readonly later: Readonly<Record<string, number>>;
  /** Scopes in which anybody departs, the tenant first. */
  readonly guard: readonly GuardForecast[];
  /** Only those of whom something changes, by address. */
  readonly forecasts: readonly UserForecast[];
}

export interface Drafts {
  /** In force, pinned; undefined when none is. */
  readonly before: Policy | undefined;
  /** Pinned. */
  readonly draft: Policy;
}

/** Answers for everybody in the directory, or only for those whom an event of the record named since `since`. */
export async function whatIf(deps: WhatIfDeps, { before, draft }: Drafts, since?: Date): Promise<WhatIf> {
  const events = since === undefined ? undefined : await recordedEvents(deps.ledger, since);
  const known = await ledgerUsers(deps.ledger);
  const issuers = await deps.ledger.issuers();
  const issuerStates = new Map(issuers.map(({ issuerId, state }) => [issuerId, state] as const));
  const placesBefore = before === undefined ? undefined : await readPlaces(deps.directory, before);
  const placesDraft = await readPlaces(deps.directory, draft);
  const now = deps.clock.now();
  const forecasts: UserForecast[] = [];
  for await (const user of deps.directory.usersUnder('/')) {
    const event = events?.get(user.userId);
    if (events !== undefined && event === undefined) continue;
    if (forecasts.length >= MAX_USERS) throw tooMany();
    const ledger = known.get(user.userId) ?? UNKNOWN_USER;
    const draftView = await view(deps, draft, placesDraft, { user, ledger, now, issuerStates });
    const beforeView =
      before === undefined || placesBefore === undefined
        ? undefined
        : await view(deps, before, placesBefore, { user, ledger, now, issuerStates });
    forecasts.push(forecast(user, beforeView, draftView, event));
  }
  return summary(forecasts, draft, known);
}

interface Seen {
  readonly user: DirectoryUser;
  readonly ledger: UserLedger;
  readonly now: Date;
  readonly issuerStates: ReadonlyMap<string, IssuerRecord['state']>;
}

interface View {
  readonly standing: Standing;
  readonly plan: Plan;
  /** The plan when the grace period ends, where one runs. */
  readonly later?: { readonly at: Date; readonly plan: Plan };
}

async function view(
  deps: WhatIfDeps,
  policy: Policy,
  placeOf: Awaited<ReturnType<typeof readPlaces>>,
  { user, ledger, now, issuerStates }: Seen,
): Promise<View> {
  const place = placeOf(user) ?? (await readPlace(deps.directory, policy, user));
  const presence: DirectoryPresence = { kind: 'present', user };
  const facts = factsByLedger(user.userId, now, presence, place, ledger, issuerStates);
  const standing = standingOf(facts, policy);
  const plan = planFor(facts, policy);
  const at = graceEnd(standing);
  if (at === undefined || at.getTime() <= now.getTime()) return { standing, plan };
  // The same facts when the grace period is over; since when somebody leaves, the ledger may not know yet.
  const left = facts.ledger.user === undefined ? undefined : { ...facts.ledger.user, ...marks(standing) };
  const then = { ...facts, now: at, ledger: { ...facts.ledger, user: left } };
  return { standing, plan, later: { at, plan: planFor(then, policy) } };
}

const graceEnd = (standing: Standing): Date | undefined =>
  standing.kind === 'outside' || standing.kind === 'suspended'
    ? new Date(standing.since.getTime() + standing.graceMs)
    : undefined;

const marks = (standing: Standing) =>
  standing.kind === 'outside'
    ? { leftScopeAt: standing.since }
    : standing.kind === 'suspended'
      ? { suspendedAt: standing.since }
      : {};

function forecast(
  user: DirectoryUser,
  before: View | undefined,
  draft: View,
  event: RecordedEvent | undefined,
): UserForecast {
  const from = ruleOf(before?.standing);
  const to = ruleOf(draft.standing);
  const steps = draft.plan.steps.map(shown);
  const later = draft.later?.plan.steps.map(shown) ?? [];
  const departs = takes(draft) && !(before !== undefined && takes(before));
  const { protectedAs, observeOnly, verdict } = draft.plan;
  return {
    userId: user.userId,
    user: user.primaryEmail,
    orgUnit: user.orgUnitPath,
    change: changeOf(draft, from, to, [...steps, ...later].length),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    reason: verdict.reason,
    steps,
    ...(draft.later === undefined || later.length === 0
      ? {}
      : { later: { at: draft.later.at, steps: later } }),
    departs,
    ...(protectedAs === undefined ? {} : { protectedAs }),
    ...(observeOnly === undefined ? {} : { observeOnly }),
    ...(event === undefined ? {} : { event }),
  };
}

const ruleOf = (standing: Standing | undefined): string | undefined =>
  standing?.kind === 'covered' || standing?.kind === 'suspended' ? standing.rule.name : undefined;

const takes = ({ plan, later }: View): boolean =>
  departureSteps(plan).length > 0 || (later !== undefined && departureSteps(later.plan).length > 0);

const shown = ({ kind, reason }: Step): StepView => ({ kind, reason });

function changeOf(draft: View, from: string | undefined, to: string | undefined, steps: number): Change {
  if (draft.standing.kind === 'frozen') return 'held';
  if (from === undefined && to !== undefined) return 'joins';
  if (from !== undefined && to === undefined) return 'leaves';
  if (from !== to) return 'other-rule';
  return steps > 0 ? 'steps' : 'unchanged';
}

function summary(
  forecasts: readonly UserForecast[],
  draft: Policy,
  known: ReadonlyMap<string, UserLedger>,
): WhatIf {
  const changes: Record<Change, number> = {
    joins: 0,
    leaves: 0,
    'other-rule': 0,
    held: 0,
    steps: 0,
    unchanged: 0,
  };
  const coveredByRule: Record<string, number> = Object.fromEntries(draft.rules.map(({ name }) => [name, 0]));
  const steps: Record<string, number> = {};
  const later: Record<string, number> = {};
  for (const { change, to, ...entry } of forecasts) {
    changes[change] += 1;
    if (to !== undefined) coveredByRule[to] = (coveredByRule[to] ?? 0) + 1;
    if (entry.observeOnly === true) continue;
    for (const { kind } of entry.steps) steps[kind] = (steps[kind] ?? 0) + 1;
    for (const { kind } of entry.later?.steps ?? []) later[kind] = (later[kind] ?? 0) + 1;
  }
  return {
    users: forecasts.length,
    changes,
    coveredByRule,
    steps,
    later,
    guard: guardForecast(forecasts, draft, known),
    forecasts: forecasts
      .filter(({ change }) => change !== 'unchanged')
      .toSorted((left, right) => (left.user < right.user ? -1 : 1)),
  };
}

/** The guard's own counting, as if all of them departed within one hour: within a grace period's spread they may not. */
function guardForecast(
  forecasts: readonly UserForecast[],
  draft: Policy,
  known: ReadonlyMap<string, UserLedger>,
): readonly GuardForecast[] {
  const covered = new Map<string, number>();
  for (const { user } of known.values()) {
    if (user === undefined || user.state === 'out') continue;
    for (const scope of scopesOf(user.unit)) covered.set(scope, (covered.get(scope) ?? 0) + 1);
  }
  const departing = new Map<string, number>();
  for (const { userId, departs, observeOnly } of forecasts) {
    if (!departs || observeOnly === true) continue;
    for (const scope of scopesOf(known.get(userId)?.user?.unit))
      departing.set(scope, (departing.get(scope) ?? 0) + 1);
  }
  return [...departing].map(([scope, count]) => {
    const limit = departureLimit(covered.get(scope) ?? 0, draft.guard);
    return { scope, covered: covered.get(scope) ?? 0, departing: count, limit, held: count > limit };
  });
}

async function ledgerUsers(ledger: Pick<Ledger, 'users'>): Promise<ReadonlyMap<string, UserLedger>> {
  const known = new Map<string, UserLedger>();
  let afterUserId: string | undefined;
  for (;;) {
    const page = await ledger.users({ limit: PAGE, ...(afterUserId === undefined ? {} : { afterUserId }) });
    for (const entry of page) if (entry.user !== undefined) known.set(entry.user.userId, entry);
    if (known.size > MAX_USERS) throw tooMany();
    afterUserId = page.at(-1)?.user?.userId;
    if (page.length < PAGE || afterUserId === undefined) return known;
  }
}

/** The first event since an instant that made somebody look at each user; looks that the clock brought are left out. */
async function recordedEvents(
  ledger: Pick<Ledger, 'auditTrail'>,
  since: Date,
): Promise<ReadonlyMap<string, RecordedEvent>> {
  const events = new Map<string, RecordedEvent>();
  let afterId: bigint | undefined;
  for (;;) {
    const page = await ledger.auditTrail({ limit: PAGE, ...(afterId === undefined ? {} : { afterId }) });
    for (const { at, userId, cause } of page) {
      if (userId === undefined || cause.source === 'due' || at.getTime() < since.getTime()) continue;
      if (!events.has(userId)) events.set(userId, { at, source: cause.source, event: cause.event });
    }
    afterId = page.at(-1)?.id;
    if (page.length < PAGE || afterId === undefined) return events;
  }
}

const tooMany = () =>
  invalidInput(
    'request-too-large',
    `A comparison of more than ${MAX_USERS.toLocaleString('en-US')} users takes longer than a request may.`,
  );
