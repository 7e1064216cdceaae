/**
 * Whatever the order and the timing: in no hour do more users of a scope depart than its limit, except those whose
 * departure an admin approved as it was shown. The guard's rulings are carried out on a memory that is far simpler than
 * the ledger, and a checker that knows nothing of latches reads what happened.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  CountedScope,
  DepartureStep,
  GuardRuling,
  GuardSight,
  HeldScope,
  HeldSet,
} from '../../shared/domain/held.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { departureLimit, GUARD_WINDOW_MS, judge, scopesOf } from '../../shared/plan/guard.ts';

const LIMITS: Policy['guard'] = { minimumPerHour: 2, shareOfCovered: 0.1, maximumPerHour: 4 };
const UNITS = ['/a', '/a/b', '/a/bc', '/d'] as const;
const USERS = 32;
const PER_UNIT = USERS / UNITS.length;

interface Departed {
  readonly user: number;
  readonly unit: string;
  readonly at: number;
  readonly approved: boolean;
  /** Covered users of each scope when it departed. */
  readonly covered: ReadonlyMap<CountedScope, number>;
}

interface Standing {
  readonly setId: bigint;
  readonly steps: readonly DepartureStep[];
  readonly state: 'held' | 'approved' | 'dismissed';
}

const unitOf = (user: number): string => UNITS[Math.floor(user / PER_UNIT)] ?? '/d';
const isIn = (unit: string, scope: CountedScope) =>
  scope === 'tenant' || `${unit}/`.startsWith(`${scope.slice('unit:'.length)}/`);

class Memory {
  nowMs = 0;
  readonly sets: (HeldSet & { state: HeldSet['state'] })[] = [];
  readonly standing = new Map<number, Standing>();
  readonly out = new Set<number>();
  readonly departed: Departed[] = [];
  readonly everShown: { user: number; steps: readonly DepartureStep[] }[] = [];
  generation = 0;

  covered(scope: CountedScope): number {
    return Array.from({ length: USERS }, (_, user) => user).filter(
      (user) => !this.out.has(user) && isIn(unitOf(user), scope),
    ).length;
  }

  /** A look at somebody who has left. */
  depart(user: number, generation: number): GuardRuling['kind'] | 'out' {
    if (this.out.has(user)) return 'out';
    const unit = unitOf(user);
    const steps: readonly DepartureStep[] = [{ kind: 'revoke-leaf', target: `${user}.${generation}` }];
    const scopes = scopesOf(unit);
    const standing = this.standing.get(user);
    const latches = scopes.flatMap((scope) =>
      this.sets.filter((set) => set.state === 'open' && set.scope === scope),
    );
    const set = this.sets.find(({ setId }) => setId === standing?.setId);
    const full: GuardSight['standing'] = standing && {
      ...standing,
      userId: String(user),
      primaryEmail: '',
      heldAt: new Date(0),
      opening: set?.reason ?? '',
    };
    const ruling = judge(
      {
        ...(full === undefined
          ? {}
          : { standing: { ...full, ...(set?.decided === undefined ? {} : { decided: set.decided }) } }),
        latches,
        counts:
          full === undefined && latches.length === 0
            ? scopes.map((scope) => ({
                scope,
                departures: new Set(
                  this.departed
                    .filter((one) => !one.approved && one.user !== user && isIn(one.unit, scope))
                    .filter((one) => one.at >= this.nowMs - GUARD_WINDOW_MS)
                    .map((one) => one.user),
                ).size,
                coveredUsers: this.covered(scope),
              }))
            : [],
      },
      { steps, now: new Date(this.nowMs) },
      LIMITS,
    );
    this.carryOut(user, unit, steps, ruling);
    return ruling.kind;
  }

  private carryOut(user: number, unit: string, steps: readonly DepartureStep[], ruling: GuardRuling): void {
    switch (ruling.kind) {
      case 'let-through':
      case 'approved':
        this.departed.push({
          user,
          unit,
          at: this.nowMs,
          approved: ruling.kind === 'approved',
          covered: new Map(scopesOf(unit).map((scope) => [scope, this.covered(scope)])),
        });
        if (ruling.kind === 'approved') expect(this.everShown).toContainEqual({ user, steps });
        this.out.add(user);
        this.standing.delete(user);
        return;
      case 'held':
        this.standing.set(user, { setId: this.openSet(ruling.scope, ruling.opening), steps, state: 'held' });
        return;
      case 'held-otherwise':
        this.standing.set(user, { setId: ruling.setId, steps, state: 'held' });
        return;
      case 'still-held':
      case 'dismissed':
        return;
      default:
        ruling satisfies never;
    }
  }

  private openSet(scope: HeldScope, reason: string): bigint {
    const open = this.sets.find((set) => set.state === 'open' && set.scope === scope);
    if (open !== undefined) return open.setId;
    const setId = BigInt(this.sets.length + 1);
    this.sets.push({ setId, scope, reason, openedAt: new Date(this.nowMs), state: 'open' });
    return setId;
  }

  decide(which: number, state: 'approved' | 'dismissed'): void {
    const open = this.sets.filter((set) => set.state === 'open');
    const set = open[which % Math.max(open.length, 1)];
    if (set === undefined) return;
    this.sets[Number(set.setId) - 1] = {
      ...set,
      state,
      decided: { by: 'admin', at: new Date(this.nowMs), digest: '' },
    };
    for (const [user, standing] of this.standing) {
      if (standing.setId !== set.setId || standing.state !== 'held') continue;
      this.standing.set(user, { ...standing, state });
      if (state === 'approved') this.everShown.push({ user, steps: standing.steps });
    }
  }

  /** Back in scope, with a new certificate when they had departed. */
  comeBack(user: number): void {
    this.out.delete(user);
    this.standing.delete(user);
  }
}

type Command =
  | { readonly do: 'depart'; readonly user: number; readonly changed: boolean }
  | { readonly do: 'move-unit-out'; readonly unit: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'decide'; readonly which: number; readonly state: 'approved' | 'dismissed' }
  | { readonly do: 'come-back'; readonly user: number };

const user = fc.nat(USERS - 1);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('depart' as const), user, changed: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('move-unit-out' as const), unit: fc.nat(UNITS.length - 1) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(
        fc.constantFrom(1, GUARD_WINDOW_MS - 1, GUARD_WINDOW_MS, GUARD_WINDOW_MS + 1, 24 * GUARD_WINDOW_MS),
        fc.nat(2 * GUARD_WINDOW_MS),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      which: fc.nat(3),
      state: fc.constantFrom('approved' as const, 'dismissed' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('come-back' as const), user }) },
);

function carry(memory: Memory, step: Command): void {
  switch (step.do) {
    case 'depart':
      if (step.changed) memory.generation += 1;
      memory.depart(step.user, memory.generation);
      return;
    case 'move-unit-out':
      for (let one = 0; one < PER_UNIT; one += 1)
        memory.depart(step.unit * PER_UNIT + one, memory.generation);
      return;
    case 'wait':
      memory.nowMs += step.ms;
      return;
    case 'decide':
      memory.decide(step.which, step.state);
      return;
    case 'come-back':
      memory.comeBack(step.user);
      return;
    default:
      step satisfies never;
  }
}

/** The hour that ends with each departure, for each scope of it. */
function overLimit(departed: readonly Departed[]): readonly string[] {
  return departed.flatMap((last) =>
    last.approved
      ? []
      : scopesOf(last.unit).flatMap((scope) => {
          const users = new Set(
            departed
              .filter((one) => !one.approved && isIn(one.unit, scope))
              .filter((one) => one.at <= last.at && one.at >= last.at - GUARD_WINDOW_MS)
              .filter((one) => departed.indexOf(one) <= departed.indexOf(last))
              .map((one) => one.user),
          );
          const limit = departureLimit(last.covered.get(scope) ?? 0, LIMITS);
          return users.size > limit ? [`${users.size} of ${scope} by ${last.at}, limit ${limit}`] : [];
        }),
  );
}

const runOf = (steps: readonly Command[]): Memory => {
  const memory = new Memory();
  for (const step of steps) carry(memory, step);
  return memory;
};

describe('the guard, whatever the order and the timing,', () => {
  test('never lets more users of a scope depart in an hour than its limit without an approval', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (steps) => {
        expect(overLimit(runOf(steps).departed)).toEqual([]);
      }),
      { numRuns: 1500 },
    );
  });

  test('lets nobody of a latched scope through before a decision, however much time passes', () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 60 }),
        fc.nat(1000),
        fc.array(user),
        (steps, hours, late) => {
          const memory = runOf(steps);
          const latched = memory.sets.filter(({ state }) => state === 'open').map(({ scope }) => scope);
          memory.nowMs += hours * GUARD_WINDOW_MS;
          const before = memory.departed.length;
          for (const one of late) memory.depart(one, memory.generation);
          for (const { unit, approved } of memory.departed.slice(before)) {
            const through = scopesOf(unit).filter((scope) => (latched as readonly string[]).includes(scope));
            expect(approved ? [] : through).toEqual([]);
          }
        },
      ),
      { numRuns: 800 },
    );
  });

  test('has as many open sets as scopes that are latched, each with one number', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (steps) => {
        const open = runOf(steps).sets.filter(({ state }) => state === 'open');
        expect(new Set(open.map(({ scope }) => scope)).size).toBe(open.length);
      }),
      { numRuns: 300 },
    );
  });

  test('is checked by a checker that catches one departure too many', () => {
    const covered = new Map<CountedScope, number>([
      ['tenant', 20],
      ['unit:/d', 8],
    ]);
    const at = (user: number, ms: number): Departed => ({
      user,
      unit: '/d',
      at: ms,
      approved: false,
      covered,
    });
    expect(overLimit([at(24, 0), at(25, 1)])).toEqual([]);
    expect(overLimit([at(24, 0), at(25, 1), at(26, GUARD_WINDOW_MS + 1)])).toEqual([]);
    expect(overLimit([at(24, 0), at(25, 1), at(26, GUARD_WINDOW_MS)])).not.toEqual([]);
  });
});
