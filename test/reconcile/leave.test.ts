/** The event that begins a grace period, in the trail: once for each departure, whatever happens in between. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginningOf, leaveTermsOf } from '../../shared/audit/leave.ts';
import type { Cause } from '../../shared/domain/hint.ts';
import { retryable } from '../../shared/errors.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';
import { failing, named, rowOf } from './outcome.ts';
import { JOIN, USER_ID } from './workflows.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
  await JOIN.prepare(world);
});
afterEach(() => world.close());

const event = (eventId: string, source: Cause['source'] = 'audit'): Cause => ({
  source,
  eventId,
  event: 'update',
});
const look = (eventId: string, deps: ReconcileDeps = world.deps) => reconcile(deps, USER_ID, event(eventId));
const under = (changes: Parameters<typeof policyRule>[0]): ReconcileDeps => ({
  ...world.deps,
  policy: policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, ...changes })]),
});

/** Kind and event of each entry with which a departure begins. */
async function begun(): Promise<readonly string[]> {
  const entries = await world.ledger.auditEntriesOfStep('leave-begun', [USER_ID]);
  return entries.map((entry) => `${leaveTermsOf(entry)?.leaving} ${entry.cause.eventId}`);
}

const move = (orgUnitPath: string) => world.directory.put({ userId: USER_ID, orgUnitPath });

describe('the beginning of a departure', () => {
  test('is written once, with its cause, its reason and the end of the grace period', async () => {
    await look('joined');
    expect(await begun()).toEqual([]);
    move('/Elsewhere');
    const at = world.clock.now();
    await look('moved');
    world.clock.advance(HOUR_MS);
    await look('again');
    expect(await begun()).toEqual(['outside moved']);
    const endsAt = new Date(at.getTime() + DAY_MS).toISOString();
    expect(await world.ledger.auditEntriesOfStep('leave-begun', [USER_ID])).toMatchObject([
      {
        outcome: 'done',
        reason: `Left the scope: no rule covers /Elsewhere; the grace period ends at ${endsAt}.`,
        details: { leaving: 'outside', leavingSince: at.toISOString(), graceEndsAt: endsAt },
      },
    ]);
  });

  test('keeps the event that began it where the process dies before the state is recorded', async () => {
    await look('joined');
    move('/Elsewhere');
    const away = retryable('ledger-unavailable', 'The database is away.');
    await expect(look('moved', world.surrounded(failing(away, named('recordState'))))).rejects.toBe(away);
    await look('resumed');
    expect(await rowOf(world)).toMatchObject({ state: 'leaving' });
    expect(await begun()).toEqual(['outside moved']);
  });

  test('is another one after somebody was back', async () => {
    await look('joined');
    move('/Elsewhere');
    await look('moved');
    move('/Staff');
    await look('back');
    world.clock.advance(HOUR_MS);
    move('/Elsewhere');
    await look('moved-again');
    expect(await begun()).toEqual(['outside moved', 'outside moved-again']);
  });

  test('is another one when a suspended user is archived as well', async () => {
    await look('joined');
    world.directory.put({ userId: USER_ID, suspended: true });
    await look('suspended');
    world.clock.advance(HOUR_MS);
    world.directory.put({ userId: USER_ID, archived: true });
    await look('archived');
    await look('again');
    expect(await begun()).toEqual(['suspended suspended', 'outside archived']);
  });

  test('is written of a deletion to which policy gives a grace period', async () => {
    const rules = under({ grace: { ...DEPARTURES.grace, deleteMs: 2 * DAY_MS } });
    const deletedAt = world.clock.now();
    const presence = async (userId: string) => {
      const found = await world.directory.presence(userId);
      return found.kind === 'deleted' ? { ...found, deletedAt } : found;
    };
    const deps = { ...rules, directory: { ...world.directory, presence } };
    await look('joined', deps);
    world.directory.remove(USER_ID);
    await look('deleted', deps);
    await look('again', deps);
    expect(await begun()).toEqual(['deleted deleted']);
    world.clock.advance(2 * DAY_MS);
    await look('due', deps);
    expect(await begun()).toEqual(['deleted deleted']);
    const [revoked] = await world.ledger.auditEntriesOfStep('revoke-leaf', [USER_ID]);
    const entries = await world.ledger.auditEntriesOfStep('leave-begun', [USER_ID]);
    expect(revoked === undefined ? undefined : beginningOf(revoked, entries)).toEqual(entries[0]);
  });

  test('is written of who goes at once too, except of a deletion, whose revocation says the same', async () => {
    await look('joined');
    move('/Elsewhere');
    await look('moved', under({ grace: { ...DEPARTURES.grace, leaveMs: 0 } }));
    expect(await rowOf(world)).toMatchObject({ state: 'out' });
    expect(await begun()).toEqual(['outside moved']);
    move('/Staff');
    await look('back');
    world.directory.remove(USER_ID);
    await look('deleted');
    expect(await rowOf(world)).toMatchObject({ state: 'out' });
    expect(await begun()).toEqual(['outside moved']);
  });

  test('is not written of who has nothing to lose, and who is only observed', async () => {
    move('/Elsewhere');
    await look('stranger');
    move('/Staff');
    world.gmail.setEnabled(USER_ID, false);
    await look('no-certificate');
    move('/Elsewhere');
    await look('moved');
    move('/Staff');
    world.gmail.setEnabled(USER_ID, true);
    await look('joined');
    world.directory.put({ userId: USER_ID, suspended: true });
    await look('observed', under({ observeOnly: true }));
    expect(await begun()).toEqual([]);
  });
});
