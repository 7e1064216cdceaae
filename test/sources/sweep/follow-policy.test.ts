/** A rule that changes under its name, with the real ledger and with the one in memory that simulations use. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLedger } from '../../../shared/adapters/ledger/ledger.ts';
import type { Policy, PolicyRule } from '../../../shared/domain/policy.ts';
import { retryable } from '../../../shared/errors.ts';
import { reconcile } from '../../../shared/reconcile/run.ts';
import type { SweepDeps } from '../../../shared/sources/sweep/context.ts';
import { tick } from '../../../shared/sources/sweep/tick.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../../support/fakes/world.ts';
import { policyOf, policyRule } from '../../support/policy.ts';

const STAFF = ['101', '102', '103'];
const LEGAL = '201';
const NEW_URL = 'https://kacls.new.example/v1';
const staff = (changes: Partial<PolicyRule> = {}) =>
  policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, ...changes });
const legal = policyRule({
  name: 'legal',
  scope: { kind: 'org-unit', path: '/Legal' },
  modulusBits: 2048,
  keyServiceUrl: KEY_SERVICE_URL,
});
const BEFORE = policyOf([staff(), legal]);
const AFTER = policyOf([staff({ keyServiceUrl: NEW_URL }), legal]);

let world: World;
let rewind: () => Promise<void>;
let inForce: { policy: Policy; activation: string };

const deps = (): SweepDeps => ({
  ...world,
  ...inForce,
  elapsedMs: () => performance.now(),
  intervalMs: 6 * HOUR_MS,
  budgetMs: 60_000,
  lookByAgeMs: 7 * DAY_MS,
  hintsPerMinute: 2,
});
/** One minute passes; answers whom the sweep hinted at, and why. */
const minute = async (changes: Partial<SweepDeps> = {}): Promise<readonly string[]> => {
  world.clock.advance(MINUTE_MS);
  world.bus.hints.length = 0;
  await tick({ ...deps(), ...changes });
  return world.bus.hints
    .map((hint) => ('userId' in hint ? `${hint.userId} ${hint.cause.event} ${hint.cause.eventId}` : '?'))
    .toSorted();
};
/** Everybody who was hinted at is looked at, as `directory-event` does it. */
const look = async (policy = inForce.policy) => {
  for (const hint of [...world.bus.hints])
    if ('userId' in hint) await reconcile({ ...world.deps, policy }, hint.userId, hint.cause);
};
const keyServicesOf = async (userId: string) =>
  (await world.ledger.readUser(userId)).keys.map((key) =>
    'keyServiceUrl' in key ? key.keyServiceUrl : 'card',
  );
const rollout = () => world.ledger.rolloutOverview();

describe.each(['pglite', 'memory'] as const)('with the ledger in %s,', (kind) => {
  beforeAll(async () => {
    world = await createWorld(await makeMaterials(), { ledger: kind });
    for (const userId of STAFF) world.directory.put({ userId, primaryEmail: `u${userId}@acme.example` });
    world.directory.put({ userId: LEGAL, primaryEmail: 'legal@acme.example', orgUnitPath: '/Legal' });
    inForce = { policy: BEFORE, activation: 'before' };
    for (let time = 0; time < 4; time += 1) {
      await minute();
      await look();
    }
    world.clock.advance(HOUR_MS);
    rewind = await world.save();
  }, 60_000);
  afterEach(async () => {
    inForce = { policy: BEFORE, activation: 'before' };
    await rewind();
  });
  afterAll(() => world.close());

  describe('a rule that changes under its name', () => {
    it('leads to new pairs for everybody it covers, in waves, and lets everybody else alone', async () => {
      inForce = { policy: AFTER, activation: 'after-0123456789' };
      expect(await minute()).toEqual([]);
      expect(await minute()).toEqual([]);
      expect(await minute()).toEqual(
        ['101', '102'].map((userId) => `${userId} rule-changed policy-after-012345`),
      );
      expect(await rollout()).toMatchObject({ total: 3, waiting: 1, underWay: 0, ready: 2 });
      await look();
      expect(await minute()).toEqual(['103 rule-changed policy-after-012345']);
      await look();
      for (const userId of STAFF) {
        expect(await keyServicesOf(userId)).toEqual([KEY_SERVICE_URL, NEW_URL]);
        expect((await world.ledger.readUser(userId)).user?.state).toBe('ready');
        expect(world.gmail.account(userId).pairs).toHaveLength(2);
      }
      expect(await keyServicesOf(LEGAL)).toEqual([KEY_SERVICE_URL]);
      for (let time = 0; time < 3; time += 1) expect(await minute()).toEqual([]);
      expect(await rollout()).toMatchObject({ total: 0 });
    });

    it('is in the audit trail with how many it concerns, and has everybody compared at once', async () => {
      inForce = { policy: AFTER, activation: 'after' };
      const { lastWhole } = await world.ledger.sweepOverview();
      for (let time = 0; time < 3; time += 1) await minute();
      const followed = (await world.ledger.auditTrail({ limit: 500 })).filter(
        ({ step }) => step === 'policy-followed',
      );
      expect(followed).toMatchObject([{ outcome: 'done', details: { activation: 'after', users: 3 } }]);
      const { lastWhole: next } = await world.ledger.sweepOverview();
      expect(next).toMatchObject({ cause: { eventId: 'policy-after', event: 'policy' } });
      expect(next?.sweepId).not.toBe(lastWhole?.sweepId);
    });

    it('waits while the rollout is paused, and goes on when it is resumed', async () => {
      await world.ledger.switchRollout({ paused: true, by: 'admin@acme.example' });
      inForce = { policy: AFTER, activation: 'after' };
      for (let time = 0; time < 4; time += 1) expect(await minute()).toEqual([]);
      expect(await rollout()).toMatchObject({ paused: true, waiting: 3 });
      await world.ledger.switchRollout({ paused: false, by: 'admin@acme.example' });
      expect(await minute()).toHaveLength(2);
    });

    it('lets those alone whom an event had looked at meanwhile', async () => {
      inForce = { policy: AFTER, activation: 'after' };
      await minute();
      await reconcile({ ...world.deps, policy: AFTER }, '102', {
        source: 'watch',
        eventId: 'e',
        event: 'update',
      });
      await minute();
      expect(await minute()).toEqual(['101 rule-changed policy-after', '103 rule-changed policy-after']);
    });

    it('that is taken back before anybody was looked at concerns nobody', async () => {
      inForce = { policy: AFTER, activation: 'after' };
      await minute();
      inForce = { policy: BEFORE, activation: 'before' };
      for (let time = 0; time < 4; time += 1) expect(await minute()).toEqual([]);
    });

    it('twice while its first wave is out has those wait again who were looked at under the form between', async () => {
      inForce = { policy: AFTER, activation: 'after' };
      for (let time = 0; time < 3; time += 1) await minute();
      await look();
      inForce = { policy: policyOf([staff({ renewBeforeMs: 90 * DAY_MS }), legal]), activation: 'third' };
      const hinted: string[] = [];
      for (let time = 0; time < 6; time += 1) {
        hinted.push(...(await minute()));
        await look();
      }
      expect(
        hinted
          .filter((what) => what.endsWith('policy-third'))
          .map((what) => what.slice(0, 3))
          .toSorted(),
      ).toEqual(['101', '102']);
    });

    it('in a field that counts for the next certificate only makes nobody be looked at', async () => {
      inForce = {
        policy: policyOf([staff({ validityDays: 90, modulusBits: 4096 }), legal]),
        activation: 'longer',
      };
      for (let time = 0; time < 4; time += 1) expect(await minute()).toEqual([]);
    });
  });

  describe('an activation that names what there is again', () => {
    const pinnedTo = (orgUnitId: string) =>
      policyOf([staff({ scope: { kind: 'org-unit', path: '/Staff', orgUnitId } }), legal]);
    const frozen = async () => {
      inForce = { policy: pinnedTo('removed'), activation: 'removed' };
      for (let time = 0; time < 3; time += 1) await minute();
      for (const userId of STAFF)
        await reconcile({ ...world.deps, policy: inForce.policy }, userId, {
          source: 'audit',
          eventId: 'e',
          event: 'removeOrgUnit',
        });
      for (const userId of STAFF)
        expect((await world.ledger.readUser(userId)).user).toMatchObject({
          state: 'blocked',
          nextAction: 'look-at-policy',
        });
    };

    it('has everybody looked at who was blocked because it was gone, in waves', async () => {
      await frozen();
      inForce = { policy: pinnedTo('id:/staff'), activation: 'made-anew' };
      await minute();
      await minute();
      expect(await minute()).toEqual(
        ['101', '102'].map((userId) => `${userId} rule-changed policy-made-anew`),
      );
      await look();
      expect(await minute()).toEqual(['103 rule-changed policy-made-anew']);
      await look();
      for (const userId of STAFF) expect((await world.ledger.readUser(userId)).user?.state).toBe('ready');
      for (let time = 0; time < 3; time += 1) expect(await minute()).toEqual([]);
    });

    it('says in the audit trail how many these are', async () => {
      await frozen();
      inForce = { policy: pinnedTo('id:/staff'), activation: 'made-anew' };
      for (let time = 0; time < 3; time += 1) await minute();
      const [followed] = (await world.ledger.auditTrail({ limit: 500 })).filter(
        ({ step, details }) => step === 'policy-followed' && details?.['activation'] === 'made-anew',
      );
      expect(followed).toMatchObject({ outcome: 'done', details: { users: 3 } });
      expect(followed?.reason).toContain('found its unit or group gone');
    });
  });

  describe('whoever was looked at under the form before', () => {
    it('by an instance that still had it is found by the next whole sweep', async () => {
      inForce = { policy: AFTER, activation: 'after' };
      for (let time = 0; time < 3; time += 1) await minute();
      await look(BEFORE);
      await minute();
      await look();
      for (let time = 0; time < 3; time += 1) expect(await minute()).toEqual([]);
      world.clock.advance(6 * HOUR_MS);
      expect(await minute()).toEqual(['101 rule-changed policy-after', '102 rule-changed policy-after']);
      await look();
      expect(await keyServicesOf('101')).toEqual([KEY_SERVICE_URL, NEW_URL]);
    });
  });

  it('a crash before the activation is written down as followed queues everybody once more, and nobody twice', async () => {
    inForce = { policy: AFTER, activation: 'after' };
    await minute();
    await minute();
    const dying = {
      ...world.ledger,
      recordPolicyFollowed: () => Promise.reject(retryable('ledger-unavailable', 'It is away.')),
    };
    await expect(minute({ ledger: dying })).rejects.toThrow('away');
    expect(await rollout()).toMatchObject({ waiting: 3 });
    expect(await minute()).toHaveLength(2);
    expect(await minute()).toHaveLength(1);
  });

  it.runIf(kind === 'pglite')(
    'a ledger from before rules had digests follows from its first activation on, and knows nobody’s form at the next',
    async () => {
      await world.database.query('DELETE FROM policy_following');
      await world.database.query('UPDATE users SET rule_digest = NULL');
      const sql = createLedger({ database: world.database, clock: world.clock });
      inForce = { policy: AFTER, activation: 'after' };
      for (let time = 0; time < 4; time += 1) expect(await minute({ ledger: sql })).toEqual([]);
      inForce = { policy: BEFORE, activation: 'before' };
      for (let time = 0; time < 2; time += 1) expect(await minute({ ledger: sql })).toEqual([]);
      expect(await minute({ ledger: sql })).toHaveLength(2);
      expect((await sql.rolloutOverview()).total).toBe(4);
    },
  );
});
