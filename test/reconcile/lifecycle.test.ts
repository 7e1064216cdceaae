/** Rows of the lifecycle that touch more than one chain, more than one user or the world by hand, carried out for real. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { retryable } from '../../shared/errors.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import {
  CAUSE,
  createWorld,
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';
import { failing, look, named, revocationsOf, rowOf } from './outcome.ts';
import { shapeOf } from './shape.ts';
import { ADDRESS, JOIN, NEW_ADDRESS, USER_ID, wish } from './workflows.ts';

const OTHER_ID = '100000000000000000002';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

const under = (changes: Parameters<typeof policyRule>[0]): ReconcileDeps => ({
  ...world.deps,
  policy: policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, ...changes })]),
});
const leavesOf = async (userId = USER_ID) => (await world.ledger.readUser(userId)).leaves;
const auditOf = async (userId = USER_ID) =>
  (await world.ledger.auditTrail({ userId, limit: 100 })).map(({ step, reason }) => ({ step, reason }));

describe('split keys', () => {
  test('are two keys, two leaves whose key usages differ, two pairs and one identity of both', async () => {
    await JOIN.prepare(world);
    const split = under({ profile: 'split' });
    await look(split);
    expect(await shapeOf(world)).toMatchObject({
      state: 'ready',
      keys: 2,
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 1 and leaf 2' },
    });
    expect((await leavesOf()).map(({ purpose }) => purpose)).toEqual(['signing', 'encryption']);
    expect(world.gmail.account(USER_ID).pairs.map(({ keyUsages }) => keyUsages)).toEqual([
      ['digitalSignature'],
      ['keyEncipherment'],
    ]);
  });

  test('are both replaced by a re-key, and the wish is open until the identity uses both', async () => {
    await JOIN.prepare(world);
    const split = under({ profile: 'split' });
    await look(split);
    world.clock.advance(HOUR_MS);
    await wish(world, 'keyCompromise');
    const away = retryable('gmail-unavailable', 'Gmail is away.');
    const failingDeps = { ...world.surrounded(failing(away, named('patchIdentity'))), policy: split.policy };
    await expect(look(failingDeps)).rejects.toBe(away);
    expect(await revocationsOf(world)).toEqual(['keyCompromise', 'keyCompromise', undefined, undefined]);
    expect((await world.ledger.readUser(USER_ID)).openWishes).toHaveLength(1);
    await look(split);
    expect(await shapeOf(world)).toMatchObject({
      openWishes: 0,
      identities: { [ADDRESS]: 'leaf 3 and leaf 4' },
    });
  });

  test('come in place of one key, and go again, when the rule changes; old pairs stay enabled', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    await look(under({ profile: 'split' }));
    expect(await shapeOf(world)).toMatchObject({ identities: { [ADDRESS]: 'leaf 2 and leaf 3' } });
    world.clock.advance(HOUR_MS);
    await look(world.deps);
    // The first certificate is still good and fits again.
    expect(await shapeOf(world)).toMatchObject({
      identities: { [ADDRESS]: 'leaf 1' },
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled', 'leaf 3 enabled'],
    });
    expect(await revocationsOf(world)).toEqual([undefined, undefined, undefined]);
  });
});

describe('an address that goes from one user to another', () => {
  /** The first user is renamed, and the second is made with the address that became free. */
  const handOver = async () => {
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
    await look(world.deps);
    world.clock.advance(HOUR_MS);
    world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS, aliases: [] });
    world.directory.put({ userId: OTHER_ID, primaryEmail: ADDRESS });
  };

  test('is certified for the new holder only after the former holder’s certificate is revoked', async () => {
    await handOver();
    await look(world.deps, OTHER_ID);
    expect(await leavesOf(OTHER_ID)).toEqual([]);
    expect(await rowOf(world, OTHER_ID)).toMatchObject({ state: 'pending', nextAction: 'wait-for-address' });
    expect(world.bus.hints.map((hint) => 'userId' in hint && [hint.userId, hint.cause.event])).toEqual([
      [USER_ID, 'address-wanted'],
    ]);

    await look(world.deps, USER_ID);
    expect(await revocationsOf(world)).toEqual(['affiliationChanged', undefined]);
    expect(world.bus.hints.map((hint) => 'userId' in hint && [hint.userId, hint.cause.event])).toContainEqual(
      [OTHER_ID, 'address-free'],
    );

    await look(world.deps, OTHER_ID);
    expect(await rowOf(world, OTHER_ID)).toMatchObject({ state: 'ready' });
    expect((await leavesOf(OTHER_ID)).map(({ addresses }) => addresses)).toEqual([[ADDRESS]]);
    expect(await rowOf(world)).toMatchObject({ state: 'ready' });
  });

  test('is taken from the former holder at once also when nobody looked at the new one yet', async () => {
    await handOver();
    await look(world.deps, USER_ID);
    expect(await revocationsOf(world)).toEqual(['affiliationChanged', undefined]);
  });

  test('and to somebody no rule covers is taken from the former holder too', async () => {
    await handOver();
    world.directory.put({ userId: OTHER_ID, primaryEmail: ADDRESS, orgUnitPath: '/Contractors' });
    await look(world.deps, USER_ID);
    expect(await revocationsOf(world)).toEqual(['affiliationChanged', undefined]);
  });

  test('while the former holder’s certificate is being issued is never certified for both', async () => {
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
    let handedOver = false;
    const deps = world.surrounded(async (call, perform) => {
      const answer = await perform();
      if (call.method === 'wrapPrivateKey' && !handedOver) {
        handedOver = true;
        world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS, aliases: [] });
        world.directory.put({ userId: OTHER_ID, primaryEmail: ADDRESS });
        await look(world.deps, OTHER_ID);
      }
      return answer;
    });
    await expect(look(deps, USER_ID)).rejects.toMatchObject({ code: 'intent-mismatch' });
    expect((await leavesOf(OTHER_ID)).map(({ state }) => state)).toEqual(['signed']);
    await look(world.deps, USER_ID);
    expect(
      (await leavesOf()).map(({ addresses, state, revocation }) => [addresses[0], state, revocation?.reason]),
    ).toEqual([
      [ADDRESS, 'intended', 'affiliationChanged'],
      [NEW_ADDRESS, 'signed', undefined],
    ]);
  });

  test('is left with the former holder while the directory does not say who has it', async () => {
    await handOver();
    const away = retryable('directory-unavailable', 'The directory is away.');
    await look(world.surrounded(failing(away, named('resolve'))), USER_ID);
    expect(await revocationsOf(world)).toEqual([undefined, undefined]);
    expect(world.log.of('address-not-resolved').length).toBeGreaterThan(0);
  });
});

describe('pairs that policy disables when somebody leaves', () => {
  test('are disabled, told apart from what was disabled by hand, and enabled on return', async () => {
    const disables = under({ onLeave: { identity: 'delete', keypair: 'disable' } });
    await JOIN.prepare(world);
    await look(disables);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    await look(disables);
    world.clock.advance(DAY_MS);
    await look(disables);
    expect(await shapeOf(world)).toMatchObject({
      state: 'out',
      gmailPairs: ['leaf 1 disabled'],
      identities: {},
    });
    expect((await world.ledger.readUser(USER_ID)).keypairs[0]?.disabled?.because).toBe('left');
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Staff' });
    await look(disables);
    expect(await shapeOf(world)).toMatchObject({
      state: 'ready',
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
    });
    expect((await world.ledger.readUser(USER_ID)).keypairs[0]?.disabled).toBeUndefined();
  });
});

describe('what is found in Gmail by hand', () => {
  test('is repaired where it is ours and reported where it is not, each told once', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const foreign = world.gmail.addForeignPair(USER_ID, await world.authority.leaf());
    world.gmail.setIdentityByHand(USER_ID, foreign);
    await look(world.deps);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({ state: 'ready', identities: { [ADDRESS]: 'leaf 1' } });
    expect(world.log.of('foreign-keypair')).toHaveLength(1);
    const repaired = (await auditOf()).filter(({ step }) => step === 'set-identity').at(-1);
    expect(repaired?.reason).toContain(`${foreign}, which Sealwright did not make`);
    const { notices } = await world.ledger.readUser(USER_ID);
    expect(notices).toMatchObject([{ kind: 'foreign-keypair', since: world.clock.now() }]);
  });
});

describe('a certificate that cannot be renewed', () => {
  test('is warned about once at each of 30, 14, 7 and 1 days and at its end, in the log and with the user', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const [leaf] = await leavesOf();
    const endsAt = leaf?.notAfter.getTime() ?? 0;
    world.gmail.setEnabled(USER_ID, false);
    world.clock.set(new Date(endsAt - 32 * DAY_MS));
    for (let looks = 0; looks < 60; looks += 1) {
      await look(world.deps);
      world.clock.set((await rowOf(world))?.nextActionAt ?? world.clock.now());
    }
    const told = world.log
      .of('certificate-expiring')
      .map(({ fields }) => String(fields['notice']).split('/').at(-1));
    expect(told).toEqual(['30', '14', '7', '1', '0']);
    expect((await world.ledger.readUser(USER_ID)).notices.map(({ kind }) => kind)).toEqual([
      'certificate-expiring',
    ]);
    expect((await auditOf()).filter(({ step }) => step === 'notice')).toHaveLength(5);

    world.gmail.setEnabled(USER_ID, true);
    await world.publishCrl();
    await look(world.deps);
    expect((await world.ledger.readUser(USER_ID)).notices).toEqual([]);
    expect(await rowOf(world)).toMatchObject({ state: 'ready' });
  });
});

describe('a suspended user', () => {
  test('has a re-key that was asked for meanwhile carried out when restored', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.put({ userId: USER_ID, suspended: true });
    world.clock.advance(HOUR_MS);
    await wish(world, 'superseded');
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'leaving' });
    expect((await rowOf(world))?.reason).toContain('The re-key waits until the account is restored.');
    expect((await leavesOf()).length).toBe(1);
    world.directory.put({ userId: USER_ID, suspended: false });
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({
      state: 'ready',
      identities: { [ADDRESS]: 'leaf 2' },
      wishes: ['fulfilled'],
    });
  });
});

describe('an audit line', () => {
  test('names the cause of what was told', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.gmail.addForeignPair(USER_ID, await world.authority.leaf());
    await look(world.deps);
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
    expect(trail.find(({ step }) => step === 'notice')?.cause).toEqual(CAUSE);
  });
});

describe('whoever left scope and was deleted within the grace period', () => {
  test('loses the identity that comes back with the account, a grace period after they are undeleted outside', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS, orgUnitPath: '/Contractors' });
    await look(world.deps);
    world.clock.advance(HOUR_MS);
    world.directory.remove(USER_ID);
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'out' });
    world.clock.advance(2 * DAY_MS);
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS, orgUnitPath: '/Contractors' });
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'leaving' });
    world.clock.advance(DAY_MS);
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'out' });
    expect([...world.gmail.account(USER_ID).identities.keys()]).toEqual([]);
  });
});

describe('whoever was deleted and undeleted before anybody looked', () => {
  test('has lost nothing, and nothing is written about it', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const before = await shapeOf(world);
    const trail = async () => (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 })).length;
    const lines = await trail();
    world.directory.remove(USER_ID);
    world.clock.advance(DAY_MS);
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
    await look(world.deps);
    expect(await shapeOf(world)).toEqual(before);
    expect(await trail()).toBe(lines);
  });
});

describe('whoever is out and leaves once more in another way, without a grace period', () => {
  const atOnce = () =>
    under({
      grace: { ...DEPARTURES.grace, leaveMs: 0, suspendMs: 0 },
      onSuspend: { identity: 'keep', keypair: 'keep' },
    });
  const put = (changes: { orgUnitPath?: string; suspended?: boolean }) =>
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS, ...changes });
  const identities = () => [...world.gmail.account(USER_ID).identities.keys()];
  beforeEach(async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.clock.advance(HOUR_MS);
  });

  test('loses the identity that came back with a deleted account', async () => {
    put({ orgUnitPath: '/Contractors' });
    world.directory.remove(USER_ID);
    await look(atOnce());
    world.clock.advance(HOUR_MS);
    put({});
    await look(atOnce());
    expect([await rowOf(world), identities()]).toMatchObject([{ state: 'out' }, []]);
  });

  test('loses the identity that was kept while suspended, once Gmail lets anybody in', async () => {
    put({ suspended: true });
    await look(atOnce());
    expect([await rowOf(world), identities()]).toMatchObject([{ state: 'out' }, [ADDRESS]]);
    world.clock.advance(HOUR_MS);
    put({ orgUnitPath: '/Contractors' });
    await look(atOnce());
    expect([await rowOf(world), identities()]).toMatchObject([{ state: 'leaving' }, [ADDRESS]]);
    world.clock.advance(HOUR_MS);
    put({ suspended: false });
    await look(atOnce());
    expect([await rowOf(world), identities()]).toMatchObject([{ state: 'out' }, []]);
  });

  test('is looked at in Gmail once, and not at every look from then on', async () => {
    put({ suspended: true });
    await look(atOnce());
    world.clock.advance(HOUR_MS);
    put({ suspended: false, orgUnitPath: '/Contractors' });
    await look(atOnce());
    world.gmail.setEnabled(USER_ID, false);
    world.clock.advance(HOUR_MS);
    await look(atOnce());
    expect(await rowOf(world)).toMatchObject({ state: 'out' });
  });
});

describe('a look that finds everything as it was', () => {
  const writesOf = async (): Promise<readonly string[]> => {
    const writes: string[] = [];
    const deps = world.surrounded((call, perform) => {
      if (call.method.startsWith('record')) writes.push(call.method);
      return perform();
    });
    await look(deps);
    return writes;
  };

  test('writes down the sighting and nothing else', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const before = await rowOf(world);
    world.clock.advance(DAY_MS);
    expect(await writesOf()).toEqual(['recordSighting']);
    expect(await rowOf(world)).toEqual(before);
  });

  test.each([
    ['another state', { state: 'pending' }],
    ['another reason', { reason: 'Something else.' }],
    ['failures that are over', { failures: 3 }],
    ['another next action', { nextAction: 'warn' }],
    ['another time for it', { nextActionAt: new Date(0) }],
  ] as const)('writes the state where the row has %s', async (_what, changes) => {
    await JOIN.prepare(world);
    await look(world.deps);
    const before = await rowOf(world);
    const lease = await world.ledger.acquireLease(`user:${USER_ID}`, 60_000);
    if (before === undefined || lease === undefined) throw new Error('There is nothing to change.');
    const { since: _since, nextAction: _as, ...row } = { ...before, ...changes };
    const nextAction = 'nextAction' in changes ? changes.nextAction : 'renew';
    await world.ledger.recordState(lease, { ...row, nextAction });
    await world.ledger.releaseLease(lease);
    expect(await writesOf()).toEqual(['recordSighting', 'recordState']);
    expect(await rowOf(world)).toMatchObject({ state: before.state, reason: before.reason, failures: 0 });
    expect((await rowOf(world))?.nextActionAt).toEqual(before.nextActionAt);
  });
});
