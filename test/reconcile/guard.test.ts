import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createWorld,
  HOUR_MS,
  type Materials,
  makeMaterials,
  POLICY,
  type World,
} from '../support/fakes/world.ts';
import { look, revocationsOf, rowOf } from './outcome.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials);
});
afterEach(() => world.close());

/** One departure an hour. */
const strict = () => ({
  ...world.deps,
  policy: { ...POLICY, guard: { minimumPerHour: 1, shareOfCovered: 0, maximumPerHour: 200 } },
});

const joinAll = async (...userIds: readonly string[]): Promise<void> => {
  for (const userId of userIds) {
    world.directory.put({ userId });
    await look(world.deps, userId);
  }
  world.clock.advance(HOUR_MS);
};

describe('the guard, in the loop,', () => {
  test('holds the departure past the limit, says so where an admin looks, and lets it go an hour later', async () => {
    await joinAll('1', '2');
    world.directory.remove('1');
    world.directory.remove('2');
    await look(strict(), '1');
    expect(await look(strict(), '2')).toMatchObject({
      kind: 'converged',
      verdict: { state: 'leaving', nextAction: 'ask-guard-again' },
    });
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation']);
    expect(await revocationsOf(world, '2')).toEqual([undefined]);
    const row = await rowOf(world, '2');
    expect(row?.state).toBe('leaving');
    expect(row?.reason).toMatch(/^Held: 1 users departed in the last hour and the limit .* is 1\.$/);
    expect(row?.nextActionAt?.getTime()).toBe(world.clock.now().getTime() + HOUR_MS);
    const trail = await world.ledger.auditTrail({ userId: '2', limit: 100 });
    expect(trail.filter(({ outcome }) => outcome === 'refused')).toMatchObject([
      { step: 'guard', reason: row?.reason },
    ]);

    world.clock.advance(HOUR_MS + 1);
    await look(strict(), '2');
    expect(await revocationsOf(world, '2')).toEqual(['cessationOfOperation']);
    expect((await rowOf(world, '2'))?.state).toBe('out');
  });

  test('holds the identity together with the certificate', async () => {
    await joinAll('1', '2');
    for (const userId of ['1', '2']) {
      world.directory.put({ userId, orgUnitPath: '/' });
      await look(strict(), userId);
    }
    world.clock.advance(25 * HOUR_MS);
    await world.publishCrl();
    await look(strict(), '1');
    await look(strict(), '2');
    expect(world.gmail.account('1').identities.size).toBe(0);
    expect(world.gmail.account('2').identities.size).toBe(1);
    expect(await revocationsOf(world, '2')).toEqual([undefined]);
  });

  test('goes on revoking what a re-key has replaced', async () => {
    await joinAll('1', '2');
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason: 'keyCompromise',
      users: [
        { userId: '1', primaryEmail: 'user-1@acme.example' },
        { userId: '2', primaryEmail: 'user-2@acme.example' },
      ],
    });
    await look(strict(), '1');
    await look(strict(), '2');
    expect(await revocationsOf(world, '2')).toEqual(['keyCompromise', undefined]);
  });

  test('does not count a departure that was held', async () => {
    await joinAll('1', '2', '3');
    for (const userId of ['1', '2', '3']) world.directory.remove(userId);
    await look(strict(), '1');
    await look(strict(), '2');
    await look(strict(), '3');
    expect((await rowOf(world, '3'))?.reason).toContain('Held: 1 users departed');
  });
});
