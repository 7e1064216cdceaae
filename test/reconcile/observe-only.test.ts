import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, DAY_MS, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { failing, look, named, PASSING, revocationsOf, rowOf } from './outcome.ts';

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

  it('does so also when the rule they had is called something else', async () => {
    const { policy } = observing();
    const renamed = { ...policy, rules: policy.rules.map((rule) => ({ ...rule, name: `new ${rule.name}` })) };
    await look({ ...world.deps, policy: renamed }, '2');
    expect((await rowOf(world, '2'))?.reason).toContain('The rule only observes. Would be done: revoke-leaf');
    expect((await world.ledger.readUser('2')).leaves[0]?.revocation).toBeUndefined();
  });

  it('acts as soon as the rule does', async () => {
    await look(world.deps, '2');
    expect((await world.ledger.readUser('2')).leaves[0]?.revocation?.reason).toBe('affiliationChanged');
  });
});

describe('under a rule that only observes, somebody who was served before', () => {
  const away = PASSING['directory'] ?? expect.unreachable();
  const blind = () => ({ ...world.surrounded(failing(away, named('presence'))), policy: observing().policy });
  const rekey = (userId: string, reason: 'keyCompromise' | 'superseded') =>
    world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason,
      users: [{ userId, primaryEmail: `user-${userId}@acme.example` }],
    });
  const serve = async (userId: string) => {
    await world.publishCrl();
    world.directory.put({ userId });
    await look(world.deps, userId);
  };

  it('keeps a replaced certificate whose overlap has ended while the directory does not answer', async () => {
    await serve('3');
    await rekey('3', 'superseded');
    await look(world.deps, '3');
    expect((await world.ledger.readUser('3')).leaves.some(({ retirement }) => retirement)).toBe(true);
    world.clock.advance(60 * DAY_MS);
    await expect(look(blind(), '3')).rejects.toBe(away);
    expect(await revocationsOf(world, '3')).toEqual([undefined, undefined]);
  });

  it('loses a compromised certificate at once, gets no other, and the job ends saying why', async () => {
    await serve('4');
    const { jobId } = await rekey('4', 'keyCompromise');
    await look(observing(), '4');
    expect(await revocationsOf(world, '4')).toEqual(['keyCompromise']);
    expect((await world.ledger.readUser('4')).openWishes).toEqual([]);
    expect(JSON.stringify(await world.ledger.readJob(jobId))).toContain('only observes');
    expect((await rowOf(world, '4'))?.reason).toContain('Would be done: make-key');
    await look(world.deps, '4');
    expect(await revocationsOf(world, '4')).toEqual(['keyCompromise', undefined]);
    expect((await rowOf(world, '4'))?.state).toBe('ready');
  });

  it('loses it also while the directory does not answer', async () => {
    await serve('5');
    await rekey('5', 'keyCompromise');
    await expect(look(blind(), '5')).rejects.toBe(away);
    expect(await revocationsOf(world, '5')).toEqual(['keyCompromise']);
  });

  it('is warned about when the certificate ends', async () => {
    await serve('6');
    const { leaves } = await world.ledger.readUser('6');
    const { notAfter } = leaves[0] ?? expect.unreachable();
    world.clock.set(new Date(notAfter.getTime() - 7 * DAY_MS));
    await look(observing(), '6');
    const { notices } = await world.ledger.readUser('6');
    expect(notices).toMatchObject([{ kind: 'certificate-expiring', key: expect.stringMatching(/7$/) }]);
  });
});
