/** Sums over forecasts, one at a time: what it holds does not grow with the number of users. */
import type { Policy } from '../domain/policy.ts';
import { departureLimit, scopesOf } from '../plan/guard.ts';
import type { Change, GuardForecast, UserForecast, WhatIf } from './what-if.ts';

/** Of each kind of change so many users are shown: as JSON a few megabytes in all, where an answer may have 32. */
export const SHOWN_OF_EACH_CHANGE = 2_000;

export interface Tally {
  /** `unit`: where the user was last seen covered. */
  add(forecast: UserForecast, unit: string | undefined): void;
  /** `coveredByUnit` as the ledger counts it. */
  sum(coveredByUnit: ReadonlyMap<string, number>): Omit<WhatIf, 'notKnown' | 'next'>;
}

export function tally(draft: Policy, shownOfEach = SHOWN_OF_EACH_CHANGE): Tally {
  const changes: Record<Change, number> = {
    ...{ joins: 0, leaves: 0, 'other-rule': 0, held: 0, steps: 0, unchanged: 0 },
  };
  const coveredByRule: Record<string, number> = Object.fromEntries(draft.rules.map(({ name }) => [name, 0]));
  const steps: Record<string, number> = {};
  const later: Record<string, number> = {};
  const departing = new Map<string, number>();
  const shown: UserForecast[] = [];
  let users = 0;
  let notShown = 0;
  return {
    add: (forecast, unit) => {
      const { change, to } = forecast;
      users += 1;
      changes[change] += 1;
      if (to !== undefined) coveredByRule[to] = (coveredByRule[to] ?? 0) + 1;
      if (change !== 'unchanged') {
        if (changes[change] <= shownOfEach) shown.push(forecast);
        else notShown += 1;
      }
      if (forecast.observeOnly === true) return;
      for (const { kind } of forecast.steps) steps[kind] = (steps[kind] ?? 0) + 1;
      for (const { kind } of forecast.later?.steps ?? []) later[kind] = (later[kind] ?? 0) + 1;
      if (!forecast.departs) return;
      for (const scope of scopesOf(unit)) departing.set(scope, (departing.get(scope) ?? 0) + 1);
    },
    sum: (coveredByUnit) => ({
      ...{ users, changes, coveredByRule, steps, later },
      guard: guardForecast(departing, coveredByUnit, draft),
      forecasts: shown.toSorted((left, right) => (left.user < right.user ? -1 : 1)),
      notShown,
    }),
  };
}

/** The guard's own counting, as if all of them departed within one hour: within a grace period's spread they may not. */
function guardForecast(
  departing: ReadonlyMap<string, number>,
  coveredByUnit: ReadonlyMap<string, number>,
  draft: Policy,
): readonly GuardForecast[] {
  const covered = new Map<string, number>();
  for (const [unit, count] of coveredByUnit) {
    for (const scope of scopesOf(unit)) covered.set(scope, (covered.get(scope) ?? 0) + count);
  }
  return [...departing].map(([scope, count]) => {
    const limit = departureLimit(covered.get(scope) ?? 0, draft.guard);
    return { scope, covered: covered.get(scope) ?? 0, departing: count, limit, held: count > limit };
  });
}
