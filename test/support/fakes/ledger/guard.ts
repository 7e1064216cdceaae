import { guardEntry } from '../../../../shared/adapters/ledger/guard.ts';
import type {
  CountedScope,
  FullHeldSet,
  GuardRuling,
  GuardSight,
  HeldDeparture,
  HeldScope,
  HeldSet,
  HeldState,
} from '../../../../shared/domain/held.ts';
import type { Cause } from '../../../../shared/domain/hint.ts';
import { permanent } from '../../../../shared/errors.ts';
import type { GuardLedger, ProposedDeparture } from '../../../../shared/ports/ledger/guard.ts';
import type { AuditEntry, JobProgress, Lease } from '../../../../shared/ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { holdLease, userSubject, wakeUsers } from './leases.ts';
import { byText, type Memory, present, type Rows } from './rows.ts';

type DepartureRow = Rows['departures'][number];

const STANDING: ReadonlySet<HeldState> = new Set(['held', 'approved', 'dismissed']);

const withState = (row: DepartureRow, changes: Partial<HeldDeparture>): DepartureRow => {
  const changed = { ...row, ...changes };
  return { ...(present(changed) as DepartureRow), isStanding: STANDING.has(changed.state) };
};

const departureOf = ({ isStanding: _, ...departure }: DepartureRow): HeldDeparture => departure;

function replace({ rows }: Memory, row: DepartureRow, changes: Partial<HeldDeparture>): void {
  const { departures } = rows.now;
  departures[departures.indexOf(row)] = withState(row, changes);
}

const standingRow = ({ rows }: Memory, userId: string): DepartureRow | undefined =>
  rows.now.departures.find((row) => row.isStanding && row.userId === userId);

function setOf({ rows }: Memory, setId: bigint): HeldSet {
  const set = rows.now.heldSets.get(setId);
  if (set === undefined) throw new Error('bug: a departure without its held set');
  return set;
}

const openSets = ({ rows }: Memory, scopes: readonly string[]): readonly HeldSet[] =>
  [...rows.now.heldSets.values()]
    .filter(({ state, scope }) => state === 'open' && scopes.includes(scope))
    .toSorted((left, right) => scopes.indexOf(left.scope) - scopes.indexOf(right.scope));

const TAKING = new Set(['revoke-leaf', 'delete-identity', 'disable-keypair']);

function isDeparture({ step, outcome, details }: AuditEntry): boolean {
  if (step === 'guard') return outcome === 'intended';
  if (!TAKING.has(step) || (outcome !== 'done' && outcome !== 'adopted')) return false;
  return details?.['heldSet'] === undefined && (details?.['departure'] ?? step !== 'revoke-leaf') === true;
}

const prefixOf = (scope: CountedScope): string =>
  scope === 'tenant' ? '' : `${scope.slice('unit:'.length).replace(/\/$/, '')}/`;

const isLatchedUnit = ({ state, scope }: HeldSet): boolean => state === 'open' && scope.startsWith('unit:');
const unitOf = ({ scope }: HeldSet): string => `${scope.slice('unit:'.length)}/`;

/** As `absorb` in `shared/adapters/ledger/guard.ts`. */
function absorb(memory: Memory, setId: bigint): void {
  const { heldSets, departures } = memory.rows.now;
  const { scope } = setOf(memory, setId);
  if (scope === 'protected' || scope === 'again') return;
  const narrower = [...heldSets.values()].filter(
    (set) => set.setId !== setId && isLatchedUnit(set) && unitOf(set).startsWith(prefixOf(scope)),
  );
  const moved = departures.filter(
    (row) => row.state === 'held' && narrower.some((set) => set.setId === row.setId),
  );
  for (const set of narrower) heldSets.set(set.setId, { ...set, state: 'absorbed', absorbedBy: setId });
  for (const row of moved.toSorted((one, other) => byText(one.userId, other.userId))) {
    replace(memory, row, { state: 'absorbed', detail: `Waits in held set ${setId} now, of a wider scope.` });
    join(memory, withState(row, { setId, state: 'held' }));
    const said = `Held: what held set ${row.setId} held is part of held set ${setId} now, whose scope includes it.`;
    insertAudit(memory, guardEntry({ ...row, cause: causeOfHolding(memory, row) }, 'refused', said, setId));
  }
}

function causeOfHolding({ rows }: Memory, { setId, userId }: DepartureRow): Cause {
  const said = rows.now.audit.filter(
    (entry) =>
      entry.userId === userId && entry.step === 'guard' && entry.details?.['heldSet'] === Number(setId),
  );
  const line = said[said.findLastIndex(({ outcome }) => outcome !== 'refused') + 1];
  if (line === undefined) throw new Error('bug: a held departure without its line in the trail');
  return line.cause;
}

function join(memory: Memory, row: DepartureRow): void {
  const { departures } = memory.rows.now;
  const known = departures.findIndex((one) => one.setId === row.setId && one.userId === row.userId);
  if (known === -1) departures.push(row);
  else departures[known] = row;
}

/** As `shared/adapters/ledger/departures.ts`. */
function countByScope(
  { rows }: Memory,
  { userId, scopes, since }: Pick<ProposedDeparture, 'scopes' | 'since'> & { readonly userId?: string },
): GuardSight['counts'] {
  const departed = rows.now.audit
    .filter(
      (entry) => entry.at >= since && isDeparture(entry) && (userId === undefined || entry.userId !== userId),
    )
    .map((entry) => ({
      userId: entry.userId,
      unit: String(entry.details?.['unit'] ?? rows.now.users.get(entry.userId ?? '')?.unit ?? ''),
    }));
  const covered = [...rows.now.users.values()].filter(({ state }) => state !== 'out');
  const latched = [...rows.now.heldSets.values()].filter(isLatchedUnit);
  const held = rows.now.departures.flatMap((row) => {
    const set = latched.find(({ setId }) => setId === row.setId);
    return set === undefined || row.state !== 'held' || row.heldAt < since || row.userId === userId
      ? []
      : [{ userId: row.userId, unit: unitOf(set) }];
  });
  return scopes.map((scope) => {
    const prefix = prefixOf(scope);
    const heldBelow = held.filter(({ unit }) => unit.startsWith(prefix));
    const within = departed.filter(({ unit }) => `${unit}/`.startsWith(prefix));
    return {
      scope,
      departures: new Set(within.flatMap((one) => one.userId ?? [])).size,
      attempted: new Set([...within, ...heldBelow].flatMap((one) => one.userId ?? [])).size,
      latchedBelow: latched.filter((set) => unitOf(set).startsWith(prefix)).length,
      coveredUsers: covered.filter(({ unit }) => `${unit ?? ''}/`.startsWith(prefix)).length,
    };
  });
}

function sightOf(memory: Memory, departure: ProposedDeparture): GuardSight {
  const row = standingRow(memory, departure.userId);
  const latches = openSets(memory, departure.scopes);
  const counts = row === undefined && latches.length === 0 ? countByScope(memory, departure) : [];
  if (row === undefined) return { latches, counts };
  const { reason: opening, decided } = setOf(memory, row.setId);
  const standing = { ...departureOf(row), opening, ...(decided === undefined ? {} : { decided }) };
  return { standing, latches, counts };
}

function openSet({ rows, ...memory }: Memory, scope: HeldScope, reason: string): bigint {
  const [existing] = openSets({ rows, ...memory }, [scope]);
  if (existing !== undefined) return existing.setId;
  rows.now.last.set += 1n;
  const setId = rows.now.last.set;
  rows.now.heldSets.set(setId, { setId, scope, reason, openedAt: memory.clock.now(), state: 'open' });
  return setId;
}

function hold(
  memory: Memory,
  { userId, primaryEmail, unit, steps }: ProposedDeparture,
  ruling: Extract<GuardRuling, { kind: 'held' }>,
): bigint {
  const standing = standingRow(memory, userId);
  if (ruling.standing !== undefined && standing !== undefined)
    replace(memory, standing, { state: ruling.standing, detail: ruling.reason });
  const setId = openSet(memory, ruling.scope, ruling.opening);
  const row = withState(
    {
      ...(present({ setId, userId, primaryEmail, unit, steps, heldAt: memory.clock.now() }) as HeldDeparture),
      state: 'held',
      isStanding: true,
    },
    {},
  );
  join(memory, row);
  return setId;
}

function carryOut(
  memory: Memory,
  departure: ProposedDeparture & { readonly cause: Cause },
  ruling: GuardRuling,
): bigint | undefined {
  switch (ruling.kind) {
    case 'let-through':
      insertAudit(memory, guardEntry(departure, 'intended', ruling.reason));
      return undefined;
    case 'held': {
      const setId = hold(memory, departure, ruling);
      insertAudit(memory, guardEntry(departure, 'refused', ruling.reason, setId));
      absorb(memory, setId);
      return setId;
    }
    case 'held-otherwise': {
      const row = standingRow(memory, departure.userId);
      const { steps, primaryEmail } = departure;
      if (row?.state === 'held') replace(memory, row, { steps, primaryEmail, heldAt: memory.clock.now() });
      insertAudit(memory, guardEntry(departure, 'refused', ruling.reason, ruling.setId));
      return ruling.setId;
    }
    case 'still-held':
      return ruling.setId;
    case 'approved':
    case 'dismissed':
      return undefined;
    default:
      return ruling satisfies never;
  }
}

const CARRIED_OUT = new Set(['done', 'adopted', 'already']);

function conclude(memory: Memory, userId: string, cause: Cause): void {
  const row = standingRow(memory, userId);
  if (row === undefined) return;
  const isDone =
    row.state === 'approved' &&
    memory.rows.now.audit.some(
      (entry) =>
        entry.userId === userId &&
        entry.step !== 'guard' &&
        entry.details?.['heldSet'] === Number(row.setId) &&
        CARRIED_OUT.has(entry.outcome),
    );
  const state = isDone ? 'done' : row.state === 'held' ? 'withdrawn' : 'unneeded';
  const { decided } = setOf(memory, row.setId);
  const said = isDone
    ? `Carried out as ${decided?.by ?? 'an admin'} approved.`
    : 'Not carried out: the facts no longer ask for it.';
  replace(memory, row, { state, detail: said });
  insertAudit(memory, guardEntry({ userId, cause }, isDone ? 'done' : 'ignored', said, row.setId));
}

const fullSet = (memory: Memory, setId: bigint): FullHeldSet | undefined => {
  const set = memory.rows.now.heldSets.get(setId);
  if (set === undefined) return undefined;
  const departures = memory.rows.now.departures
    .filter((row) => row.setId === setId)
    .toSorted((left, right) => byText(left.userId, right.userId))
    .map(departureOf);
  return { ...set, departures };
};

function decide(
  memory: Memory,
  setId: bigint,
  [decideOn, audit]: readonly [
    Parameters<GuardLedger['decideHeldSet']>[1],
    Parameters<GuardLedger['decideHeldSet']>[2],
  ],
): Awaited<ReturnType<GuardLedger['decideHeldSet']>> {
  const set = fullSet(memory, setId);
  if (set === undefined) return undefined;
  const { decision, by, digest, paceMs } = decideOn(set);
  if (set.state !== 'open')
    throw permanent('conflict', `The ledger refuses a change: held set ${setId} is decided.`);
  const at = memory.clock.now();
  const jobId = decision === 'approved' ? memory.randomId() : undefined;
  const held = memory.rows.now.departures.filter((row) => row.setId === setId && row.state === 'held');
  const userIds = held.map(({ userId }) => userId).toSorted(byText);
  const nextAction = decision === 'approved' ? 'depart' : 'ask-guard-again';
  const entry = audit(set);
  wakeUsers(memory, userIds, at, paceMs, nextAction, entry.cause);
  for (const row of held) replace(memory, row, { state: decision });
  const { departures: _, ...before } = set;
  const decided = { by, at, digest, ...(jobId === undefined ? {} : { jobId }) };
  const after: HeldSet = { ...before, state: decision, decided };
  memory.rows.now.heldSets.set(setId, after);
  insertAudit(memory, entry);
  return { set: after, userIds };
}

/** Progress of an approved set, as `shared/adapters/ledger/departure-job.ts`. */
export function departureJob(memory: Memory, jobId: string): JobProgress | undefined {
  const set = [...memory.rows.now.heldSets.values()].find(({ decided }) => decided?.jobId === jobId);
  if (set === undefined) return undefined;
  const states: Partial<Record<HeldState, JobProgress['users'][number]['state']>> = {
    approved: 'waiting',
    done: 'done',
    unneeded: 'done',
  };
  const users = memory.rows.now.departures
    .filter((row) => row.setId === set.setId && row.state !== 'withdrawn')
    .toSorted((left, right) => byText(left.primaryEmail, right.primaryEmail))
    .map(({ primaryEmail: user, state, detail, userId }) => ({
      user,
      state: states[state] ?? ('failed' as const),
      detail: (state === 'approved' ? memory.rows.now.users.get(userId)?.reason : detail) ?? '',
    }));
  const count = (state: string) => users.filter((user) => user.state === state).length;
  return {
    jobId,
    kind: 'departures',
    state: count('waiting') > 0 ? 'running' : count('failed') > 0 ? 'failed' : 'done',
    total: users.length,
    done: count('done'),
    failed: count('failed'),
    users,
  };
}

export const guard = (memory: Memory): GuardLedger => ({
  departuresSince: async (since) => {
    const [tenant] = countByScope(memory, { scopes: ['tenant'], since });
    return { departures: tenant?.departures ?? 0, coveredUsers: tenant?.coveredUsers ?? 0 };
  },
  judgeDeparture: async (lease: Lease, departure, judge) => {
    holdLease(memory, lease, userSubject(departure.userId));
    const ruling = judge(sightOf(memory, departure));
    const heldIn = carryOut(memory, departure, ruling);
    return { ...ruling, ...(heldIn === undefined ? {} : { heldIn }) };
  },
  concludeDeparture: async (lease, { userId, cause }) => {
    holdLease(memory, lease, userSubject(userId));
    conclude(memory, userId, cause);
  },
  latchGuard: async ({ scope, reason, cause }) => {
    if (openSets(memory, [scope]).length > 0) return 'already';
    const setId = openSet(memory, scope, reason);
    const details = { scope, heldSet: Number(setId) };
    insertAudit(memory, { cause, step: 'guard', reason, outcome: 'refused', details });
    return 'latched';
  },
  heldSets: async ({ state }) =>
    [...memory.rows.now.heldSets.values()]
      .filter((set) => state === 'any' || set.state === state)
      .toSorted((left, right) => Number(right.setId - left.setId))
      .map((set) => ({
        ...set,
        held: memory.rows.now.departures.filter(
          (row) =>
            row.setId === set.setId &&
            (row.state === 'held' || (set.state !== 'open' && row.state !== 'withdrawn')),
        ).length,
      })),
  readHeldSet: async (setId) => fullSet(memory, setId),
  decideHeldSet: async (setId, decideOn, audit) => decide(memory, setId, [decideOn, audit]),
});
