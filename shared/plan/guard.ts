/**
 * The guard: refuses mass harm. Departures of the last hour are counted together with the one at hand, for the tenant and
 * for each org unit the user belongs to, because a moved unit arrives as a thousand one-user plans. Passing a limit
 * *latches*: from then on all departures of that scope are held, however much time passes, until an admin has approved
 * or dismissed exactly what is held. A unit that latches takes what the units below it hold into its own set; and where the
 * second unit below it is about to latch, those count for it whom they hold: one moved unit is one decision, whatever its
 * sub-units. Pure; the ledger remembers.
 */
import type { CountedScope, DepartureStep, GuardRuling, GuardSight, ScopeCount } from '../domain/held.ts';
import type { Policy } from '../domain/policy.ts';
import type { Plan, Step } from '../domain/step.ts';
import { plus } from './timing.ts';

/** How long a dismissed departure is left alone before an admin is asked again: 24 hours. */
export const DISMISSED_MS = 86_400_000;

/** How long departures count: one hour. */
export const GUARD_WINDOW_MS = 3_600_000;

/** How often a held user is looked at without anybody asking, so that one who came back leaves the held set: 6 hours. */
export const LOOK_AT_HELD_MS = 6 * 3_600_000;

export function departureLimit(coveredUsers: number, limits: Policy['guard']): number {
  return Math.min(
    limits.maximumPerHour,
    Math.max(limits.minimumPerHour, Math.floor(coveredUsers * limits.shareOfCovered)),
  );
}

/**
 * What a user's departures are counted over, widest first: the tenant, then each org unit from the top down to their own.
 * Counting the units above as well, because a department of ten small teams is as much one unit as each team is.
 */
export function scopesOf(unit: string | undefined): readonly CountedScope[] {
  const segments = (unit ?? '').toLowerCase().split('/').filter(Boolean);
  return [
    'tenant',
    ...segments.map((_, index): CountedScope => `unit:/${segments.slice(0, index + 1).join('/')}`),
  ];
}

/** What a plan would take from its user, in its order. */
export function departureSteps(plan: Plan): readonly DepartureStep[] {
  return plan.steps.flatMap((step): DepartureStep[] => {
    if (!isDeparture(step)) return [];
    switch (step.kind) {
      case 'revoke-leaf':
        return [{ kind: step.kind, target: step.serialHex, revocationReason: step.revocationReason }];
      case 'delete-identity':
        return [{ kind: step.kind, target: step.address }];
      case 'disable-keypair':
        return [{ kind: step.kind, target: step.keypairId }];
      default:
        return step satisfies never;
    }
  });
}

type Taking = Extract<Step, { kind: DepartureStep['kind'] }>;

function isDeparture(step: Step): step is Taking {
  return 'departure' in step && step.departure;
}

/** The plan without what it would take away; `reason` and when to look again go into its verdict. */
export function withoutDepartures(plan: Plan, reason: string): Plan {
  return {
    ...plan,
    steps: plan.steps.filter((step) => !isDeparture(step)),
    verdict: { state: 'leaving', reason },
  };
}

export interface Proposal {
  readonly steps: readonly DepartureStep[];
  /** As what the account is protected, such as `a super admin`. */
  readonly protectedAs?: string;
  readonly now: Date;
}

/** Judges one departure. */
export function judge(sight: GuardSight, proposal: Proposal, limits: Policy['guard']): GuardRuling {
  const { standing } = sight;
  if (standing !== undefined) return judgeStanding(standing, proposal);
  if (proposal.protectedAs !== undefined) {
    const reason = `Held: the account is protected (${proposal.protectedAs}), so an admin has to approve its departure.`;
    return { kind: 'held', scope: 'protected', opening: 'Departures of protected accounts.', reason };
  }
  const [latch] = sight.latches;
  if (latch !== undefined) {
    return { kind: 'held', scope: latch.scope, opening: latch.reason, reason: `Held: ${latch.reason}` };
  }
  const passed = sight.counts.find(
    ({ departures, coveredUsers }) => departures + 1 > departureLimit(coveredUsers, limits),
  );
  const moved = movedUnit(sight.counts, passed, limits);
  if (moved !== undefined) return heldFor(moved.scope, whyMoved(moved, limits));
  if (passed !== undefined) return heldFor(passed.scope, whyLatched(passed, limits));
  const [tenant] = sight.counts;
  return {
    kind: 'let-through',
    reason: `Let through; ${tenant?.departures ?? 0} other users departed in the last hour.`,
  };
}

function judgeStanding(standing: NonNullable<GuardSight['standing']>, { steps, now }: Proposal): GuardRuling {
  const { setId, decided } = standing;
  const asShown = steps.every((step) => standing.steps.some((shown) => isSame(step, shown)));
  if (standing.state === 'held') {
    const reason = `Held: ${standing.opening} Waits for an admin's decision on held set ${setId}.`;
    const same = asShown && steps.length === standing.steps.length;
    return { kind: same ? 'still-held' : 'held-otherwise', setId, reason };
  }
  if (decided === undefined) throw new Error(`Held set ${setId} was decided and nobody knows by whom.`);
  const again = 'Departures that were decided before and are asked for again.';
  if (standing.state === 'approved') {
    if (asShown) return { kind: 'approved', setId, by: decided.by };
    const reason = `Held: what would be done is no longer what ${decided.by} approved in held set ${setId}.`;
    return { kind: 'held', scope: 'again', opening: again, reason, standing: 'changed' };
  }
  const until = plus(decided.at, DISMISSED_MS);
  if (!asShown) {
    const reason = `Held: what would be done is no longer what ${decided.by} dismissed in held set ${setId}.`;
    return { kind: 'held', scope: 'again', opening: again, reason, standing: 'changed' };
  }
  if (now.getTime() >= until.getTime()) {
    const reason = `Held: ${decided.by} dismissed it on ${decided.at.toISOString()} in held set ${setId}, and the directory still asks for it.`;
    return { kind: 'held', scope: 'again', opening: again, reason, standing: 'lapsed' };
  }
  const reason = `${decided.by} dismissed the departure in held set ${setId}; nothing is taken away before ${until.toISOString()}, when it is held again.`;
  return { kind: 'dismissed', setId, reason, until };
}

const heldFor = (scope: CountedScope, opening: string): GuardRuling => ({
  kind: 'held',
  scope,
  opening,
  reason: `Held: ${opening}`,
});

/**
 * The narrowest unit with two latched units below it, the one whose limit is passed now among them, and whose own limit is passed
 * when those count whom its units hold. Never the tenant, which is no unit that moves and latches by what departs alone.
 */
function movedUnit(
  counts: readonly ScopeCount[],
  passed: ScopeCount | undefined,
  limits: Policy['guard'],
): ScopeCount | undefined {
  const around = passed === undefined ? counts : counts.slice(0, counts.indexOf(passed));
  const about = passed === undefined ? 0 : 1;
  return around.findLast(
    ({ scope, attempted, coveredUsers, latchedBelow }) =>
      scope !== 'tenant' && latchedBelow + about >= 2 && attempted + 1 > departureLimit(coveredUsers, limits),
  );
}

const isSame = (one: DepartureStep, other: DepartureStep): boolean =>
  one.kind === other.kind && one.target === other.target && one.revocationReason === other.revocationReason;

function whyMoved({ scope, attempted, coveredUsers }: ScopeCount, limits: Policy['guard']): string {
  const limit = departureLimit(coveredUsers, limits);
  return `${attempted} users departed from ${scope.slice('unit:'.length)} or are held in units below it since an hour ago, and the limit for ${coveredUsers} covered users is ${limit}.`;
}

function whyLatched({ scope, departures, coveredUsers }: ScopeCount, limits: Policy['guard']): string {
  const limit = departureLimit(coveredUsers, limits);
  const where = scope === 'tenant' ? 'the tenant' : scope.slice('unit:'.length);
  return `${departures} users departed from ${where} in the last hour, and the limit for ${coveredUsers} covered users is ${limit}.`;
}
