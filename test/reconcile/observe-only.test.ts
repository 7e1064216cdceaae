import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, DAY_MS, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { look, rowOf } from './outcome.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld(await makeMaterials(), { ledger: 'memory' });
});
afterAll(() => world.close());

const observing = () => ({
  ...world.deps,
  policy: { ...POLICY, rules: POLICY.rules.map((rule) => ({ ...rule, observeOnly: true })) },
});
const observed = async () =>
  (await world.ledger.auditTrail({ limit: 1000 })).filter(({ step }) => step === 'plan-observed');

describe('a rule that only observes', () => {
  it('writes down what it would do for somebody new, once, and does nothing', async () => {
    world.directory.put({ userId: '1' });
    await look(observing(), '1');
    await look(observing(), '1');
    expect(await observed()).toMatchObject([
      {
        userId: '1',
        outcome: 'ignored',
        details: { steps: 'make-key issue-leaf create-keypair set-identity' },
      },
    ]);
    expect(await rowOf(world, '1')).toMatchObject({
      state: 'out',
      reason: expect.stringContaining('The rule only observes. Would be done: make-key'),
      nextAction: 'observe-again',
    });
    expect(world.gmail.account('1').pairs).toEqual([]);
    expect((await world.ledger.readUser('1')).leaves).toEqual([]);
  });

  it('lets somebody who was served before keep what they have, also when they leave', async () => {
    world.directory.put({ userId: '2' });
    await look(world.deps, '2');
    world.directory.put({ userId: '2', orgUnitPath: '/Contractors' });
    await look(observing(), '2');
    world.clock.advance(3 * DAY_MS);
    await look(observing(), '2');
    expect((await rowOf(world, '2'))?.reason).toContain('Would be done: revoke-leaf');
    const { leaves } = await world.ledger.readUser('2');
    expect(leaves.map(({ revocation }) => revocation)).toEqual([undefined]);
    expect(world.gmail.account('2').identities.size).toBe(1);
  });

  it('acts as soon as the rule does', async () => {
    await look(world.deps, '2');
    expect((await world.ledger.readUser('2')).leaves[0]?.revocation?.reason).toBe('affiliationChanged');
  });
});
