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
  readonly heldAtMs: number;
}

const isIn = (unit: string, scope: CountedScope) =>
  scope === 'tenant' || `${unit}/`.startsWith(`${scope.slice('unit:'.length)}/`);

const isOpenUnit = ({ state, scope }: HeldSet) => state === 'open' && scope.startsWith('unit:');

class Memory {
  nowMs = 0;
  readonly limits: Policy['guard'];

  private readonly units: readonly string[];

  constructor(limits: Policy['guard'] = LIMITS, units: readonly string[] = UNITS) {
    this.limits = limits;
    this.units = units;
  }

  private unitOf(user: number): string {
    return this.units[Math.floor(user / PER_UNIT)] ?? '/d';
  }

  readonly sets: (HeldSet & { state: HeldSet['state'] })[] = [];
  readonly standing = new Map<number, Standing>();
  readonly out = new Set<number>();
  readonly departed: Departed[] = [];
  readonly everShown: { user: number; steps: readonly DepartureStep[] }[] = [];
  generation = 0;

  covered(scope: CountedScope): number {
    return Array.from({ length: USERS }, (_, user) => user).filter(
      (user) => !this.out.has(user) && isIn(this.unitOf(user), scope),
    ).length;
  }

  private count(scope: CountedScope, user: number): GuardSight['counts'][number] {
    const departed = this.departed
      .filter((one) => !one.approved && one.user !== user && isIn(one.unit, scope))
      .filter((one) => one.at >= this.nowMs - GUARD_WINDOW_MS)
      .map((one) => one.user);
    const below = this.sets.filter((set) => isOpenUnit(set) && isIn(set.scope.slice('unit:'.length), scope));
    const held = [...this.standing]
      .filter(([, { setId, state }]) => state === 'held' && below.some((set) => set.setId === setId))
      .filter(([one, { heldAtMs }]) => one !== user && heldAtMs >= this.nowMs - GUARD_WINDOW_MS)
      .map(([one]) => one);
    return {
      scope,
      departures: new Set(departed).size,
      coveredUsers: this.covered(scope),
      attempted: new Set([...departed, ...held]).size,
      latchedBelow: below.length,
    };
  }

  /** What a set that was just joined takes in. */
  private absorb(setId: bigint): void {
    const { scope } = this.sets.find((set) => set.setId === setId) ?? expect.unreachable();
    if (scope === 'again' || scope === 'protected') return;
    for (const [index, set] of this.sets.entries()) {
      if (!isOpenUnit(set) || set.setId === setId || !isIn(set.scope.slice('unit:'.length), scope)) continue;
      this.sets[index] = { ...set, state: 'absorbed', absorbedBy: setId };
      for (const [user, standing] of this.standing)
        if (standing.setId === set.setId && standing.state === 'held')
          this.standing.set(user, { ...standing, setId });
    }
  }

  /** A look at somebody who has left. */
  depart(user: number, generation: number): GuardRuling['kind'] | 'out' {
    if (this.out.has(user)) return 'out';
    const unit = this.unitOf(user);
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
          full === undefined && latches.length === 0 ? scopes.map((scope) => this.count(scope, user)) : [],
      },
      { steps, now: new Date(this.nowMs) },
      this.limits,
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
        this.standing.set(user, {
          setId: this.openSet(ruling.scope, ruling.opening),
          ...{ steps, state: 'held', heldAtMs: this.nowMs },
        });
        this.absorb(this.standing.get(user)?.setId ?? 0n);
        return;
      case 'held-otherwise':
        this.standing.set(user, { setId: ruling.setId, steps, state: 'held', heldAtMs: this.nowMs });
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

/** Open sets whose scope lies in that of another one. */
function nested(sets: readonly HeldSet[]): readonly string[] {
  const open = sets.filter(({ state }) => state === 'open');
  return open.flatMap((one) =>
    open
      .filter(({ scope }) => scope === 'tenant' || scope.startsWith('unit:'))
      .filter((other) => other !== one && isOpenUnit(one))
      .filter(({ scope }) => isIn(one.scope.slice('unit:'.length), scope as CountedScope))
      .map(({ scope }) => `${one.scope} in ${scope}`),
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

  test('has one open set for each latched scope, and none inside another one', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (steps) => {
        expect(nested(runOf(steps).sets)).toEqual([]);
      }),
      { numRuns: 800 },
    );
  });

  test('has one open set and one digest in the end for a unit that moves with its units, in whatever order', () => {
    const moved = Array.from({ length: 3 * PER_UNIT }, (_, one) => one);
    const order = fc.shuffledSubarray(moved, { minLength: moved.length, maxLength: moved.length });
    const shares = fc.constantFrom(0.05, 0.1, 0.15, 0.2, 0.3);
    fc.assert(
      fc.property(order, shares, fc.integer({ min: 1, max: 3 }), (users, shareOfCovered, minimumPerHour) => {
        const memory = new Memory({ shareOfCovered, minimumPerHour, maximumPerHour: 100 }, [
          '/a/b',
          '/a/bc',
          '/a/d',
          '/e',
        ]);
        for (const one of users) memory.depart(one, 0);
        const open = memory.sets.filter(({ state }) => state === 'open');
        expect(open.length).toBeLessThanOrEqual(1);
        const waiting = [...memory.standing.values()].map(({ setId }) => setId);
        expect(new Set(waiting)).toEqual(new Set(open.map(({ setId }) => setId)));
      }),
      { numRuns: 500 },
    );
  });

  test('is checked by a checker that catches a set inside another one', () => {
    const set = (scope: HeldScope, state: HeldSet['state'] = 'open') =>
      ({ ...{ setId: 1n, reason: '', openedAt: new Date(0) }, scope, state }) as const;
    expect(nested([set('unit:/a/b'), set('unit:/a/bc'), set('unit:/d'), set('again')])).toEqual([]);
    expect(nested([set('unit:/a', 'absorbed'), set('unit:/a/b')])).toEqual([]);
    expect(nested([set('unit:/a'), set('unit:/a/b')])).toEqual(['unit:/a/b in unit:/a']);
    expect(nested([set('tenant'), set('unit:/d')])).toEqual(['unit:/d in tenant']);
    expect(nested([set('unit:/d'), set('unit:/d')])).toHaveLength(2);
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
