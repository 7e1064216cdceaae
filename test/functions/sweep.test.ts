import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSweep } from '../../functions/sweep.ts';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { retryable } from '../../shared/errors.ts';
import { readConfiguration } from '../../terraform/check/configuration.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  makeMaterials,
  POLICY,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import { FOLDER } from '../terraform/evaluated.ts';
import { callerHeaders, itRefusesStrangers, itVerifiesWholly, privately } from './support/callers.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { rewinder } from './support/rewind.ts';
import { refusal, type Served, serveHandler } from './support/served.ts';

let keys: GoogleKeys;
let world: World;
let rewind: () => Promise<void>;
let served: Served;
let policies: ActivePolicySource;

beforeAll(async () => {
  world = await createWorld(await makeMaterials(), { ledger: 'memory' });
  rewind = await rewinder(world);
  keys = await googleKeys(world.clock);
});
afterAll(async () => {
  await keys.close();
  await world.close();
});
beforeEach(async () => {
  policies = inForce(POLICY);
  served = await serveHandler(
    createSweep({
      ...{ ...world, ...privately(keys, world.clock) },
      policies: { current: () => policies.current() },
      elapsedMs: () => performance.now(),
      intervalMs: 6 * HOUR_MS,
      budgetMs: 60_000,
      lookByAgeMs: 7 * DAY_MS,
      hintsPerMinute: 400,
    }),
    world.log,
  );
});
afterEach(async () => {
  await served.close();
  await rewind();
});

const run = async (headers?: Readonly<Record<string, string>>) =>
  served.request('/', { headers: headers ?? (await callerHeaders(keys)) });
const hinted = () => world.bus.hints.map((hint) => ('userId' in hint ? hint.userId : hint.address));

describe('sweep, where nobody verifies before it, refuses a request', () => {
  itRefusesStrangers(() => keys, run);
  itVerifiesWholly(() => keys, run);
});

describe('sweep logs what the metrics of Terraform look for:', () => {
  const numbers = () => world.log.of('rollout').map(({ fields }) => fields);

  it('how many hints wait for a wave, since when, and how many were let out and are late', async () => {
    await run();
    for (let userId = 101; userId <= 500 + 101; userId += 1) world.directory.put({ userId: String(userId) });
    await world.ledger.requestSweep({ scope: '/', cause: { eventId: 'admin', event: 'admin' } });
    world.clock.advance(MINUTE_MS);
    await run();
    world.clock.advance(30_000);
    await run();
    for (let minute = 0; minute < 3; minute += 1) {
      world.clock.advance(MINUTE_MS);
      await run();
    }
    expect(numbers()).toEqual([
      { waiting: 0, oldestWaitingSeconds: 0, late: 0 },
      { waiting: 101, oldestWaitingSeconds: 0, late: 0 },
      { waiting: 101, oldestWaitingSeconds: 30, late: 0 },
      { waiting: 0, oldestWaitingSeconds: 0, late: 0 },
      { waiting: 0, oldestWaitingSeconds: 0, late: 400 },
      { waiting: 0, oldestWaitingSeconds: 0, late: 501 },
    ]);
  });

  it('a line that each of them matches, with the number that it takes out', async () => {
    await run();
    const { blocks } = await readConfiguration(FOLDER);
    const metrics = blocks.find(({ address }) => address === 'local.rollout_metrics')?.body['value'];
    const fields = Object.values(metrics as Record<string, { field: string }>).map(({ field }) => field);
    expect(Object.keys(numbers()[0] ?? {}).toSorted()).toEqual(fields.toSorted());
    const filter = blocks.find(({ address }) => address === 'google_logging_metric.rollout')?.body['filter'];
    expect(filter).toContain('service_name="sweep" AND jsonPayload.event="rollout"');
  });
});

describe('sweep, called by the schedule,', () => {
  it('compares everybody with the policy in force and lets the first wave out', async () => {
    world.directory.put({ userId: '101' });
    world.directory.put({ userId: '102', orgUnitPath: '/Contractors' });
    expect(await run()).toMatchObject({ status: 200, json: { ended: 1, underWay: false } });
    expect(hinted()).toEqual(['101']);
  });

  it('answers that another one is at work where it is', async () => {
    await world.ledger.acquireLease('job:sweep', 60_000);
    expect(await run()).toMatchObject({ status: 200, json: { busy: true, ended: 0 } });
    expect(hinted()).toEqual([]);
  });

  it('answers 503 while no policy was ever activated, and sweeps nobody', async () => {
    policies = {
      current: () => Promise.reject(retryable('policy-not-active', 'No policy is in force.')),
    };
    world.directory.put({ userId: '101' });
    expect(await run()).toMatchObject(refusal(503, 'policy-not-active'));
    expect(hinted()).toEqual([]);
  });

  it('follows another activation two minutes after it was noticed: everybody is compared again', async () => {
    await run();
    const [rule] = POLICY.rules;
    if (rule === undefined) throw new Error('The policy has no rule.');
    const changed: Policy = { ...POLICY, rules: [{ ...rule, profile: 'split' }] };
    policies = {
      current: async () => ({ policy: changed, digest: '1'.repeat(64), pins: { units: {}, groups: {} } }),
    };
    const ended: unknown[] = [];
    for (let minute = 0; minute < 4; minute += 1) {
      world.clock.advance(MINUTE_MS);
      ended.push(((await run()).json as { ended: number }).ended);
    }
    expect(ended).toEqual([0, 0, 1, 0]);
    expect(world.log.of('policy-followed')).toHaveLength(1);
  });
});
