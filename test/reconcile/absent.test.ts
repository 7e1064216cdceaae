import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { retryable } from '../../shared/errors.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import { ProcessDied } from '../support/fakes/calls.ts';
import { createWorld, HOUR_MS, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { look, revocationsOf, rowOf } from './outcome.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
  world.directory.put({ userId: '1' });
  await look(world.deps, '1');
  world.directory.forget('1');
  world.clock.advance(HOUR_MS);
});
afterEach(() => world.close());

/** A whole sweep that misses user 1. */
const missed = async (): Promise<void> => {
  const lease = await world.ledger.acquireLease(SWEEP_SUBJECT, 60_000);
  if (lease === undefined) throw new Error('The lease is not free.');
  await world.ledger.requestSweep({ scope: '/', cause: { eventId: 'test', event: 'test' } });
  const sweep = await world.ledger.takeUpSweep(lease);
  await world.ledger.endSweep(lease, sweep?.sweepId ?? 0n, { state: 'whole', missing: ['1'], sampled: 0 });
  await world.ledger.releaseLease(lease);
};

describe('a user in no list', () => {
  test('keeps everything after one whole sweep, and after two within a day', async () => {
    await missed();
    await look(world.deps, '1');
    world.clock.advance(24 * HOUR_MS - 1);
    await missed();
    await look(world.deps, '1');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
  });

  test('departs as if deleted after two whole sweeps a day apart and a look that finds nobody', async () => {
    await missed();
    world.clock.advance(24 * HOUR_MS);
    await missed();
    await look(world.deps, '1');
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation']);
    expect((await rowOf(world, '1'))?.state).toBe('out');
  });

  test('departs under the guard', async () => {
    await missed();
    world.clock.advance(24 * HOUR_MS);
    await missed();
    const guard = { minimumPerHour: 0, shareOfCovered: 0, maximumPerHour: 200 };
    await look({ ...world.deps, policy: { ...world.deps.policy, guard } }, '1');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
    expect((await rowOf(world, '1'))?.reason).toMatch(/held/i);
  });

  test('keeps everything while the directory does not answer, whatever sweeps have said', async () => {
    await missed();
    world.clock.advance(24 * HOUR_MS);
    await missed();
    const directory = {
      ...world.directory,
      presence: async () => {
        throw retryable('directory-unavailable', 'Not now.');
      },
    };
    await look({ ...world.deps, directory }, '1').catch(() => undefined);
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
  });

  test('who was seen between the sweeps keeps everything', async () => {
    await missed();
    world.directory.put({ userId: '1' });
    await look(world.deps, '1');
    world.directory.forget('1');
    world.clock.advance(24 * HOUR_MS);
    await missed();
    await look(world.deps, '1');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
  });

  test('departs also when they had come back and whoever issued them anew died on the way', async () => {
    // Seed 1129005389 of the simulation: nobody looks for those who are out, and the row still said so.
    world.directory.put({ userId: '1' });
    world.directory.remove('1');
    await look(world.deps, '1');
    expect((await rowOf(world, '1'))?.state).toBe('out');
    world.directory.put({ userId: '1' });
    const dying = world.surrounded(async ({ method }, perform) => {
      const answer = await perform();
      if (method === 'setIdentity' || method === 'createIdentity' || method === 'patchIdentity')
        throw new ProcessDied('died after the identity');
      return answer;
    });
    await expect(look(dying, '1')).rejects.toThrow(ProcessDied);
    expect(await rowOf(world, '1')).toMatchObject({ state: 'pending', nextAction: 'resume' });
    await world.expireLeases();
    world.directory.forget('1');
    await look(world.deps, '1');
    expect((await rowOf(world, '1'))?.state).toBe('pending');
    await missed();
    world.clock.advance(24 * HOUR_MS);
    await missed();
    await look(world.deps, '1');
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation', 'cessationOfOperation']);
  });
});
