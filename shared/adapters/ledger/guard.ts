/**
 * The guard's memory. One row, `job:guard` among the leases, is locked by every judgement and every decision, always
 * before anything else, so that they take turns; nobody ever holds it as a lease.
 */
import type {
  DepartureStep,
  FullHeldSet,
  GuardRuling,
  GuardSight,
  HeldDeparture,
  HeldScope,
  HeldSet,
  HeldState,
  RecentDepartures,
} from '../../domain/held.ts';
import type { Cause } from '../../domain/hint.ts';
import type { Clock } from '../../ports/clock.ts';
import type { GuardLedger, ProposedDeparture } from '../../ports/ledger/guard.ts';
import type { AuditEntry } from '../../ports/ledger.ts';
import { CAUSE_COLUMNS, type CauseRow, causeOf, insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import type { Database, Queries, TransactionQueries } from './database.ts';
import { countByScope, countDepartures, prefixOf } from './departures.ts';
import { holdLease, userSubject } from './leases.ts';
import { wakeUsers } from './wake.ts';

interface SetRow {
  readonly set_id: bigint;
  readonly scope: HeldScope;
  readonly reason: string;
  readonly opened_at: Date;
  readonly state: HeldSet['state'];
  readonly digest: string | null;
  readonly decided_by: string | null;
  readonly decided_at: Date | null;
  readonly job_id: string | null;
  readonly absorbed_by: bigint | null;
}

const SET_COLUMNS =
  'set_id, scope, reason, opened_at, state, digest, decided_by, decided_at, job_id, absorbed_by';

const setOf = (row: SetRow): HeldSet => ({
  setId: row.set_id,
  scope: row.scope,
  reason: row.reason,
  openedAt: row.opened_at,
  state: row.state,
  ...optional('absorbedBy', row.absorbed_by),
  ...(row.decided_by === null || row.decided_at === null || row.digest === null
    ? {}
    : {
        decided: {
          by: row.decided_by,
          at: row.decided_at,
          digest: row.digest,
          ...optional('jobId', row.job_id),
        },
      }),
});

interface DepartureRow {
  readonly set_id: bigint;
  readonly user_id: string;
  readonly primary_email: string;
  readonly unit: string | null;
  readonly steps: readonly DepartureStep[];
  readonly held_at: Date;
  readonly state: HeldState;
  readonly detail: string | null;
}

const DEPARTURE_COLUMNS = 'set_id, user_id, primary_email, unit, steps, held_at, state, detail';
const STANDING = "state IN ('held', 'approved', 'dismissed')";

const departureOf = (row: DepartureRow): HeldDeparture => ({
  setId: row.set_id,
  userId: row.user_id,
  primaryEmail: row.primary_email,
  steps: row.steps,
  heldAt: row.held_at,
  state: row.state,
  ...optional('unit', row.unit),
  ...optional('detail', row.detail),
});

const GUARD = 'job:guard';

/** Whoever is in `work` is alone in it, among all processes. */
const inTurn = <T>(database: Database, work: (queries: TransactionQueries) => Promise<T>): Promise<T> =>
  database.transaction(async (queries) => {
    await queries.query(
      'INSERT INTO leases (subject, fence, expires_at) VALUES ($1, 1, now()) ON CONFLICT (subject) DO NOTHING',
      [GUARD],
    );
    await queries.query('SELECT fence FROM leases WHERE subject = $1 FOR UPDATE', [GUARD]);
    return await work(queries);
  });

const readSet = async (queries: Queries, setId: bigint): Promise<FullHeldSet | undefined> => {
  const [set] = await queries.query<SetRow>(`SELECT ${SET_COLUMNS} FROM held_sets WHERE set_id = $1`, [
    setId,
  ]);
  if (set === undefined) return undefined;
  const departures = await queries.query<DepartureRow>(
    `SELECT ${DEPARTURE_COLUMNS} FROM held_departures WHERE set_id = $1 ORDER BY user_id`,
    [setId],
  );
  return { ...setOf(set), departures: departures.map(departureOf) };
};

const openSets = async (queries: Queries, scopes: readonly string[]): Promise<readonly HeldSet[]> => {
  const rows = await queries.query<SetRow>(
    `SELECT ${SET_COLUMNS} FROM held_sets WHERE state = 'open' AND scope = ANY($1)`,
    [scopes],
  );
  return rows.map(setOf).toSorted((left, right) => scopes.indexOf(left.scope) - scopes.indexOf(right.scope));
};

/** The user's departure that stands, with the decision on its set. */
const standingOf = async (queries: Queries, userId: string): Promise<GuardSight['standing']> => {
  const [row] = await queries.query<DepartureRow>(
    `SELECT ${DEPARTURE_COLUMNS} FROM held_departures WHERE user_id = $1 AND ${STANDING}`,
    [userId],
  );
  if (row === undefined) return undefined;
  const [set] = await queries.query<SetRow>(`SELECT ${SET_COLUMNS} FROM held_sets WHERE set_id = $1`, [
    row.set_id,
  ]);
  if (set === undefined) throw new Error('bug: a departure without its held set');
  const { decided, reason: opening } = setOf(set);
  return { ...departureOf(row), opening, ...(decided === undefined ? {} : { decided }) };
};

const sightOf = async (queries: Queries, departure: ProposedDeparture): Promise<GuardSight> => {
  const standing = await standingOf(queries, departure.userId);
  const latches = await openSets(queries, departure.scopes);
  const counts = standing === undefined && latches.length === 0 ? await countByScope(queries, departure) : [];
  return { ...(standing === undefined ? {} : { standing }), latches, counts };
};

const openSet = async (queries: Queries, scope: HeldScope, reason: string, now: Date): Promise<bigint> => {
  const [existing] = await openSets(queries, [scope]);
  if (existing !== undefined) return existing.setId;
  const [row] = await queries.query<{ set_id: bigint }>(
    'INSERT INTO held_sets (scope, reason, opened_at) VALUES ($1, $2, $3) RETURNING set_id',
    [scope, reason, now],
  );
  if (row === undefined) throw new Error('bug: an INSERT answered no row');
  return row.set_id;
};

const closeStanding = (queries: Queries, userId: string, state: HeldState, detail: string, now: Date) =>
  queries.query<DepartureRow>(
    `UPDATE held_departures SET state = $2, detail = $3, closed_at = $4
      WHERE user_id = $1 AND ${STANDING} RETURNING ${DEPARTURE_COLUMNS}`,
    [userId, state, detail, now],
  );

/** Puts a departure into the open set of a scope. */
const hold = async (
  queries: Queries,
  departure: ProposedDeparture,
  ruling: Extract<GuardRuling, { kind: 'held' }>,
  now: Date,
): Promise<bigint> => {
  if (ruling.standing !== undefined) {
    await closeStanding(queries, departure.userId, ruling.standing, ruling.reason, now);
  }
  const setId = await openSet(queries, ruling.scope, ruling.opening, now);
  await join(queries, setId, departure, now);
  return setId;
};

const join = async (
  queries: Queries,
  setId: bigint,
  departure: Pick<ProposedDeparture, 'userId' | 'primaryEmail' | 'unit' | 'steps'>,
  heldAt: Date,
): Promise<void> => {
  await queries.query(
    `INSERT INTO held_departures AS known (set_id, user_id, primary_email, unit, steps, held_at, state)
     VALUES ($1, $2, $3, $4, $5::jsonb, $6, 'held')
     ON CONFLICT (set_id, user_id) DO UPDATE SET
       primary_email = excluded.primary_email, unit = excluded.unit, steps = excluded.steps,
       held_at = excluded.held_at, state = 'held', detail = NULL, closed_at = NULL`,
    [
      setId,
      departure.userId,
      departure.primaryEmail,
      departure.unit ?? null,
      JSON.stringify(departure.steps),
      heldAt,
    ],
  );
};

/** Takes what the units below a scope that is latched hold into its set, and closes theirs. */
const absorb = async (
  queries: Queries,
  into: { readonly setId: bigint; readonly scope: HeldScope },
  now: Date,
): Promise<void> => {
  const { scope, setId } = into;
  if (scope === 'protected' || scope === 'again') return;
  const narrower = await queries.query(
    `UPDATE held_sets SET absorbed_by = $1
      WHERE state = 'open' AND set_id <> $1 AND scope LIKE 'unit:/%'
        AND starts_with(substr(scope, length('unit:') + 1) || '/', $2)
      RETURNING set_id`,
    [setId, prefixOf(scope)],
  );
  if (narrower.length === 0) return;
  const detail = `Waits in held set ${setId} now, of a wider scope.`;
  const moved = await queries.query<DepartureRow>(
    `UPDATE held_departures SET state = 'absorbed', detail = $2, closed_at = $3
      WHERE state = 'held' AND set_id IN (SELECT set_id FROM held_sets WHERE absorbed_by = $1)
      RETURNING ${DEPARTURE_COLUMNS}`,
    [setId, detail, now],
  );
  for (const departure of moved.map(departureOf).toSorted((one, other) => byId(one.userId, other.userId))) {
    await join(queries, setId, departure, departure.heldAt);
    const cause = await causeOfHolding(queries, departure);
    const said = `Held: what held set ${departure.setId} held is part of held set ${setId} now, whose scope includes it.`;
    await insertAudit(queries, now, guardEntry({ ...departure, cause }, 'refused', said, setId));
  }
};

/**
 * The event that had the user held in this set, since they were last taken out of it: what somebody else did moves them to another set
 * and is no cause in their chain.
 */
const causeOfHolding = async (queries: Queries, { setId, userId }: HeldDeparture): Promise<Cause> => {
  const [row] = await queries.query<CauseRow>(
    `WITH said AS (SELECT id, outcome, ${CAUSE_COLUMNS} FROM audit
                    WHERE user_id = $1 AND step = 'guard' AND (details ->> 'heldSet')::bigint = $2)
     SELECT ${CAUSE_COLUMNS} FROM said
      WHERE outcome = 'refused' AND id > coalesce((SELECT max(id) FROM said WHERE outcome <> 'refused'), 0)
      ORDER BY id LIMIT 1`,
    [userId, setId],
  );
  if (row === undefined) throw new Error('bug: a held departure without its line in the trail');
  return causeOf(row);
};

const byId = (one: string, other: string): number => (one < other ? -1 : 1);

/** The guard's line of the audit trail about one user. */
export const guardEntry = (
  { userId, unit, cause }: { userId: string; unit?: string; cause: Cause },
  outcome: AuditEntry['outcome'],
  reason: string,
  heldSet?: bigint,
): AuditEntry => ({
  userId,
  cause,
  step: 'guard',
  reason,
  outcome,
  details: {
    ...(unit === undefined ? {} : { unit }),
    ...(heldSet === undefined ? {} : { heldSet: Number(heldSet) }),
  },
});

const carryOut = async (
  queries: Queries,
  departure: ProposedDeparture & { readonly cause: Cause },
  ruling: GuardRuling,
  now: Date,
): Promise<bigint | undefined> => {
  switch (ruling.kind) {
    case 'let-through':
      await insertAudit(queries, now, guardEntry(departure, 'intended', ruling.reason));
      return undefined;
    case 'held': {
      const setId = await hold(queries, departure, ruling, now);
      await insertAudit(queries, now, guardEntry(departure, 'refused', ruling.reason, setId));
      await absorb(queries, { setId, scope: ruling.scope }, now);
      return setId;
    }
    case 'held-otherwise':
      await queries.query(
        `UPDATE held_departures SET steps = $2::jsonb, primary_email = $3, held_at = $4
          WHERE user_id = $1 AND state = 'held'`,
        [departure.userId, JSON.stringify(departure.steps), departure.primaryEmail, now],
      );
      await insertAudit(queries, now, guardEntry(departure, 'refused', ruling.reason, ruling.setId));
      return ruling.setId;
    case 'still-held':
      return ruling.setId;
    case 'approved':
    case 'dismissed':
      return undefined;
    default:
      return ruling satisfies never;
  }
};

/** Something of it was done under its approval; a user who came back before that has it withdrawn. */
const isCarriedOut = async (queries: Queries, { setId, userId, state }: HeldDeparture): Promise<boolean> => {
  if (state !== 'approved') return false;
  const done = await queries.query(
    `SELECT id FROM audit
      WHERE user_id = $1 AND (details ->> 'heldSet')::bigint = $2 AND step <> 'guard'
        AND outcome IN ('done', 'adopted', 'already') LIMIT 1`,
    [userId, setId],
  );
  return done.length > 0;
};

export const guard = (database: Database, clock: Clock, randomId: () => string): GuardLedger => ({
  departuresSince: (since): Promise<RecentDepartures> => countDepartures(database, since),

  judgeDeparture: (lease, departure, judge) =>
    inTurn(database, async (queries) => {
      await holdLease(queries, lease, userSubject(departure.userId));
      const ruling = judge(await sightOf(queries, departure));
      const heldIn = await carryOut(queries, departure, ruling, clock.now());
      return { ...ruling, ...(heldIn === undefined ? {} : { heldIn }) };
    }),

  concludeDeparture: (lease, { userId, cause }) =>
    inTurn(database, async (queries) => {
      await holdLease(queries, lease, userSubject(userId));
      const standing = await standingOf(queries, userId);
      if (standing === undefined) return;
      const state = (await isCarriedOut(queries, standing))
        ? 'done'
        : standing.state === 'held'
          ? 'withdrawn'
          : 'unneeded';
      const now = clock.now();
      const said =
        state === 'done'
          ? `Carried out as ${standing.decided?.by ?? 'an admin'} approved.`
          : 'Not carried out: the facts no longer ask for it.';
      await closeStanding(queries, userId, state, said, now);
      await insertAudit(
        queries,
        now,
        guardEntry({ userId, cause }, state === 'done' ? 'done' : 'ignored', said, standing.setId),
      );
    }),

  latchGuard: ({ scope, reason, cause }) =>
    inTurn(database, async (queries) => {
      const [existing] = await openSets(queries, [scope]);
      if (existing !== undefined) return 'already';
      const now = clock.now();
      const setId = await openSet(queries, scope, reason, now);
      await insertAudit(queries, now, {
        cause,
        step: 'guard',
        reason,
        outcome: 'refused',
        details: { scope, heldSet: Number(setId) },
      });
      return 'latched';
    }),

  heldSets: async ({ state }) => {
    const rows = await database.query<SetRow & { held: number }>(
      `SELECT ${SET_COLUMNS},
              (SELECT count(*)::int FROM held_departures AS one
                WHERE one.set_id = held_sets.set_id
                  AND (held_sets.state <> 'open' AND one.state <> 'withdrawn' OR one.state = 'held')) AS held
         FROM held_sets WHERE $1 = 'any' OR state = $1 ORDER BY set_id DESC`,
      [state],
    );
    return rows.map((row) => ({ ...setOf(row), held: row.held }));
  },

  readHeldSet: (setId) => readSet(database, setId),

  decideHeldSet: (setId, decide, audit) =>
    inTurn(database, async (queries) => {
      const set = await readSet(queries, setId);
      if (set === undefined) return undefined;
      const { decision, by, digest, paceMs } = decide(set);
      const now = clock.now();
      const jobId = decision === 'approved' ? randomId() : null;
      const userIds = set.departures
        .filter((departure) => departure.state === 'held')
        .map(({ userId }) => userId);
      const entry = audit(set);
      const nextAction = decision === 'approved' ? 'depart' : 'ask-guard-again';
      await wakeUsers(queries, userIds, now, paceMs, nextAction, entry.cause);
      await queries.query("UPDATE held_departures SET state = $2 WHERE set_id = $1 AND state = 'held'", [
        setId,
        decision,
      ]);
      await queries.query(
        `UPDATE held_sets SET state = $2, digest = $3, decided_by = $4, decided_at = $5, job_id = $6 WHERE set_id = $1`,
        [setId, decision, digest, by, now, jobId],
      );
      await insertAudit(queries, now, entry);
      const after = await readSet(queries, setId);
      if (after === undefined) throw new Error('bug: a held set vanished');
      const { departures: _, ...decided } = after;
      return { set: decided, userIds };
    }),
});
