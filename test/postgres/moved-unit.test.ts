/**
 * A unit with a thousand people is moved out of scope, and two instances look at them side by side: the guard's promise on a real
 * PostgreSQL, with the real rulings of `shared/plan/guard.ts`. One at a time they are judged in `test/contract/guard.ts`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresLedger } from '../../shared/adapters/ledger/open.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { judge, scopesOf } from '../../shared/plan/guard.ts';
import { heldSetDigest, waiting } from '../../shared/plan/held-set.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { makePlace, type Place } from './place.ts';

const PEOPLE = 1_000;
/** 5 % of them. */
const LIMIT = 50;
const AT_ONCE = 8;
/** As the ledger keeps it. */
const UNIT = '/staff/sales';
const NOW = new Date('2027-03-01T09:00:00.000Z');
const CAUSE = { source: 'sweep', eventId: 'sweep-1', event: 'left-scope', at: NOW } as const;

let place: Place;
let ledgers: readonly Ledger[];
beforeAll(async () => {
  place = await makePlace();
  const open = () =>
    openPostgresLedger({
      connectionString: place.connectionString,
      clock: { now: () => NOW },
      migrate: true,
    });
  ledgers = [await open(), await open()];
  const database = openPostgres({ connectionString: place.connectionString });
  await database.query(
    `INSERT INTO users (user_id, primary_email, unit, state, reason, since, rule_name, failures, sighted_at)
     SELECT 'u' || person, 'u' || person || '@acme.example', CASE WHEN person <= $1 THEN $2 ELSE '/staff/other' END,
            'ready', 'Served.', $3, 'staff', 0, $3
       FROM generate_series(1, 2 * $1) AS person`,
    [PEOPLE, UNIT, NOW],
  );
  await database.close();
});
afterAll(async () => {
  for (const ledger of ledgers) await ledger.close();
  await place.remove();
});

/** So many of the unit, from this one on, eight at a time, each instance half of them; answers how they were ruled on. */
async function depart(first: number, count: number): Promise<Readonly<Record<string, number>>> {
  const rulings = new Map<string, number>();
  const people = Array.from({ length: count }, (_, index) => `u${first + index}`).values();
  const worker = async (ledger: Ledger) => {
    for (const userId of people) {
      const ruling = await departOne(ledger, userId);
      rulings.set(ruling, (rulings.get(ruling) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => worker(ledgers[index % 2] as Ledger)));
  return Object.fromEntries(rulings);
}

async function departOne(ledger: Ledger, userId: string): Promise<string> {
  const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
  if (lease === undefined) throw new Error(`${userId} is held`);
  const steps = [
    { kind: 'revoke-leaf', target: `serial-${userId}`, revocationReason: 'affiliationChanged' },
  ] as const;
  const departure = {
    userId,
    primaryEmail: `${userId}@acme.example`,
    unit: UNIT,
    scopes: scopesOf(UNIT),
    since: new Date(NOW.getTime() - 3_600_000),
    steps,
    cause: CAUSE,
  };
  const limits = { minimumPerHour: 5, shareOfCovered: 0.05, maximumPerHour: 200 };
  const { kind } = await ledger.judgeDeparture(lease, departure, (sight) =>
    judge(sight, { steps, now: NOW }, limits),
  );
  await ledger.releaseLease(lease);
  return kind;
}

describe('a thousand people of a unit that was moved, looked at by two instances at once,', () => {
  it('are one held set beyond the limit, with one digest, and go when exactly that is approved', async () => {
    const [ledger] = ledgers as readonly [Ledger];
    expect(await depart(1, PEOPLE)).toEqual({ 'let-through': LIMIT, held: PEOPLE - LIMIT });
    const sets = await ledger.heldSets({ state: 'open' });
    expect(sets).toHaveLength(1);
    const set = (await ledger.readHeldSet(sets[0]?.setId ?? 0n)) ?? expect.unreachable();
    expect([set.scope, waiting(set).length]).toEqual([`unit:${UNIT}`, PEOPLE - LIMIT]);
    // Whoever is looked at again changes nothing.
    expect(await depart(501, 10)).toEqual({ 'still-held': 10 });
    const digest = heldSetDigest(set);
    const again = (await ledger.readHeldSet(set.setId)) ?? expect.unreachable();
    expect(heldSetDigest(again)).toBe(digest);
    const by = 'admin@acme.example';
    await ledger.decideHeldSet(
      set.setId,
      (current) => {
        expect(heldSetDigest(current)).toBe(digest);
        return { setId: set.setId, decision: 'approved', by, digest, paceMs: 0 };
      },
      (current) => ({
        cause: { source: 'admin', eventId: `held-${set.setId}`, event: 'approved', actor: by },
        step: 'held-approved',
        reason: `${waiting(current).length} departures.`,
        outcome: 'done',
      }),
    );
    expect(await depart(501, 10)).toEqual({ approved: 10 });
    // Nothing waits for anybody any more.
    expect((await ledger.heldSets({ state: 'open' })).length).toBe(0);
  }, 120_000);
});
