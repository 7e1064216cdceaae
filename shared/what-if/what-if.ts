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
import { invalidInput, retryable } from '../errors.ts';
import { departureSteps } from '../plan/guard.ts';
import { planFor } from '../plan/plan.ts';
import { type Standing, standingOf } from '../plan/standing.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { Ledger } from '../ports/ledger.ts';
import { factsByLedger } from './ledger-facts.ts';
import { tally } from './tally.ts';

export interface WhatIfDeps {
  readonly directory: Directory;
  readonly ledger: Pick<Ledger, 'readUsers' | 'coveredByUnit' | 'issuers' | 'auditTrail' | 'passedOver'>;
  readonly clock: Clock;
  /** What a comparison may take, milliseconds; default 100,000, because a request to `admin` ends after 120 seconds. */
  readonly forecastWithinMs?: number;
}

const FORECAST_WITHIN_MS = 100_000;
/** Rows of the trail. */
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
  /** Those of whom something changes, by address; of each kind of change at most the first 2,000 of the directory. */
  readonly forecasts: readonly UserForecast[];
  /** So many more change. They are in every number above. */
  readonly notShown: number;
  /** What a comparison cannot know and a look would, in sentences. */
  readonly notKnown: readonly string[];
  /** The time was over: all of the above is of a part of the directory, and the next part begins here. */
  readonly next?: string;
}

const ROUND =
  'The pages of the directory’s users go round in a circle; nothing is said of anybody. Ask again.';
const GMAIL_BY_LEDGER =
  'Gmail is taken to be as the ledger left it: what was changed there by hand is not seen.';
const ADDRESSES =
  'Addresses that changed hands between two users are not looked up, nor former ones by which a deleted account is protected.';
const DELETED = 'Deleted accounts are compared only where recorded events are asked about (--since).';
const LIKE_TODAY = 'Everybody is compared as they are today, and not as they were when the event came.';

export interface Drafts {
  /** In force, pinned; undefined when none is. */
  readonly before: Policy | undefined;
  /** Pinned. */
  readonly draft: Policy;
}

/** Of whom an answer is wanted. */
export type Asked =
  | { readonly kind: 'everybody' }
  /** Those whom an event of the record named since then, the deleted among them. */
  | { readonly kind: 'named-since'; readonly since: Date }
  /** As many as there is time for, at least a page; `from` is the `next` of the part before. */
  | { readonly kind: 'part'; readonly from?: string };

/**
 * Users are read, compared and counted a page at a time, so that what is held does not grow with the tenant; of those whom events
 * named it grows with these. Throws `request-too-large` when it takes longer than a request may and no part was asked for, and
 * `page-token-expired` where a part would begin that the directory no longer knows.
 */
export async function whatIf(
  deps: WhatIfDeps,
  { before, draft }: Drafts,
  asked: Asked = { kind: 'everybody' },
): Promise<WhatIf> {
  const inTime = timeLimit(deps.forecastWithinMs ?? FORECAST_WITHIN_MS);
  const events =
    asked.kind === 'named-since' ? await recordedEvents(deps.ledger, asked.since, inTime.orThrow) : undefined;
  const issuers = await deps.ledger.issuers();
  const issuerStates = new Map(issuers.map(({ issuerId, state }) => [issuerId, state] as const));
  const placesBefore = before === undefined ? undefined : await readPlaces(deps.directory, before);
  const placesDraft = await readPlaces(deps.directory, draft);
  const now = deps.clock.now();
  const sums = tally(draft);
  const met = new Set<string>();
  let compared = 0;
  const compare = async (presence: Exclude<DirectoryPresence, { kind: 'absent' }>, ledger: UserLedger) => {
    const seen = { presence, ledger, now, issuerStates };
    const user =
      presence.kind === 'present' ? presence.user : { ...presence, orgUnitPath: ledger.user?.unit ?? '' };
    const draftView = await view(deps, draft, placesDraft, seen);
    const beforeView =
      before === undefined || placesBefore === undefined
        ? undefined
        : await view(deps, before, placesBefore, seen);
    sums.add(forecast(user, beforeView, draftView, events?.get(user.userId)), ledger.user?.unit);
  };
  let next = asked.kind === 'part' ? asked.from : undefined;
  const tokens = new Set([next]);
  for (;;) {
    const page = await deps.directory.fullPage({
      orgUnitPath: '/',
      ...(next === undefined ? {} : { pageToken: next }),
    });
    const users = events === undefined ? page.users : page.users.filter(({ userId }) => events.has(userId));
    const ledgers = users.length === 0 ? [] : await deps.ledger.readUsers(users.map(({ userId }) => userId));
    for (const [index, user] of users.entries()) {
      await compare({ kind: 'present', user }, ledgers[index] ?? UNKNOWN_USER);
      if (events !== undefined) met.add(user.userId);
    }
    compared += users.length;
    next = page.nextPageToken;
    if (next === undefined) break;
    if (tokens.has(next)) throw retryable('directory-unavailable', ROUND);
    tokens.add(next);
    if (asked.kind !== 'part') inTime.orThrow(compared);
    else if (inTime.isOver()) break;
  }
  let nowhere = 0;
  for (const userId of events?.keys() ?? []) {
    if (met.has(userId)) continue;
    inTime.orThrow(compared);
    // Present: created, brought back or moved to another page while the pages were read.
    const presence = await deps.directory.presence(userId);
    if (presence.kind === 'absent') {
      nowhere += 1;
      continue;
    }
    const [ledger = UNKNOWN_USER] = await deps.ledger.readUsers([userId]);
    await compare(presence, ledger);
    compared += 1;
  }
  const notKnown = [
    ...[GMAIL_BY_LEDGER, ADDRESSES],
    ...(events === undefined ? [DELETED] : [LIKE_TODAY, ...(nowhere === 0 ? [] : [inNoList(nowhere)])]),
  ];
  return {
    ...sums.sum(await deps.ledger.coveredByUnit()),
    notKnown,
    ...(next === undefined ? {} : { next }),
  };
}

const inNoList = (users: number): string =>
  `${users === 1 ? 'One whom an event named is' : `${users} whom an event named are`} in no list of the directory any more, and nothing is said of them.`;

interface Seen {
  readonly presence: DirectoryPresence;
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
  { presence, ledger, now, issuerStates }: Seen,
): Promise<View> {
  const user = presence.kind === 'present' ? presence.user : undefined;
  const userId = presence.kind === 'present' ? presence.user.userId : presence.userId;
  const place =
    user === undefined ? undefined : (placeOf(user) ?? (await readPlace(deps.directory, policy, user)));
  const facts = factsByLedger(userId, now, presence, place, ledger, issuerStates);
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
  standing.kind === 'outside' || standing.kind === 'suspended' || standing.kind === 'deleted'
    ? new Date(standing.since.getTime() + standing.graceMs)
    : undefined;

const marks = (standing: Standing) =>
  standing.kind === 'outside'
    ? { leftScopeAt: standing.since }
    : standing.kind === 'suspended'
      ? { suspendedAt: standing.since }
      : {};

function forecast(
  user: Pick<DirectoryUser, 'userId' | 'primaryEmail' | 'orgUnitPath'>,
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

/**
 * The first event since an instant that made somebody look at each user, or of those whom no rule covered the last one;
 * looks that the clock brought are left out.
 */
async function recordedEvents(
  ledger: Pick<Ledger, 'auditTrail' | 'passedOver'>,
  since: Date,
  inTime: (compared: number) => void,
): Promise<ReadonlyMap<string, RecordedEvent>> {
  const events = new Map<string, RecordedEvent>();
  let afterId: bigint | undefined;
  for (;;) {
    inTime(0);
    const page = await ledger.auditTrail({ limit: PAGE, ...(afterId === undefined ? {} : { afterId }) });
    for (const { at, userId, cause } of page) {
      if (userId === undefined || cause.source === 'due' || at.getTime() < since.getTime()) continue;
      if (!events.has(userId)) events.set(userId, { at, source: cause.source, event: cause.event });
    }
    afterId = page.at(-1)?.id;
    if (page.length < PAGE || afterId === undefined) break;
  }
  let after = '';
  for (;;) {
    inTime(0);
    const page = await ledger.passedOver({ since, after, limit: PAGE });
    for (const { userId, ...event } of page) {
      const known = events.get(userId);
      if (known === undefined || known.at > event.at) events.set(userId, event);
    }
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return events;
    after = last.userId;
  }
}

interface TimeLimit {
  readonly isOver: () => boolean;
  /** Throws once the time is over; told how many users were compared until then. */
  readonly orThrow: (compared: number) => void;
}

function timeLimit(withinMs: number): TimeLimit {
  const began = performance.now();
  const isOver = () => performance.now() - began >= withinMs;
  return {
    isOver,
    orThrow: (compared) => {
      if (!isOver()) return;
      throw invalidInput(
        'request-too-large',
        `Comparing everybody takes longer than a request may: after ${withinMs / 1000} seconds ${compared.toLocaleString('en-US')} users were compared. Ask for everybody in parts (sealwright policy what-if does, or "inParts": true).`,
      );
    },
  };
}
