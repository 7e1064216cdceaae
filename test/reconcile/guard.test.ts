import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decideOnHeld } from '../../functions/admin/held.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { heldSetDigest } from '../../shared/plan/held-set.ts';
import { planFor } from '../../shared/plan/plan.ts';
import { SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import { apply } from '../../shared/reconcile/apply.ts';
import { nothingMade, type ReconcileDeps } from '../../shared/reconcile/context.ts';
import { observe } from '../../shared/reconcile/observe.ts';
import {
  CAUSE,
  createWorld,
  HOUR_MS,
  type Materials,
  makeMaterials,
  POLICY,
  type World,
} from '../support/fakes/world.ts';
import { failing, look, named, PASSING, revocationsOf, rowOf } from './outcome.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
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

const ADMIN = 'admin@acme.example';

/** An admin decides on the one held set as it is. */
const decideOnly = async (decision: 'approved' | 'dismissed'): Promise<void> => {
  const [open] = await world.ledger.heldSets({ state: 'open' });
  await world.ledger.decideHeldSet(
    open?.setId ?? 0n,
    (set) => ({ setId: set.setId, decision, by: ADMIN, digest: heldSetDigest(set), paceMs: 0 }),
    () => ({
      cause: { source: 'admin', eventId: 'held', event: decision, actor: ADMIN },
      step: 'held-departures',
      reason: 'Decided.',
      outcome: 'done',
    }),
  );
};

/** Two whole sweeps that miss user 1, so many hours apart. */
const missedFor = async (hours: number): Promise<void> => {
  for (let sweeps = 1; sweeps <= 2; sweeps += 1) {
    const lease = (await world.ledger.acquireLease(SWEEP_SUBJECT, 60_000)) ?? expect.unreachable();
    await world.ledger.requestSweep({ scope: '/', cause: { eventId: 'test', event: 'test' } });
    const sweep = await world.ledger.takeUpSweep(lease);
    await world.ledger.endSweep(lease, sweep?.sweepId ?? 0n, { state: 'whole', missing: ['1'], sampled: 0 });
    await world.ledger.releaseLease(lease);
    world.clock.advance(hours * HOUR_MS);
  }
};

describe('the guard, in the loop,', () => {
  test('holds the departure past the limit for good, and says so where an admin looks', async () => {
    await joinAll('1', '2');
    world.directory.remove('1');
    world.directory.remove('2');
    await look(strict(), '1');
    expect(await look(strict(), '2')).toMatchObject({
      kind: 'converged',
      verdict: { state: 'leaving', nextAction: 'wait-for-approval' },
    });
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation']);
    const row = await rowOf(world, '2');
    expect(row).toMatchObject({ state: 'leaving', departure: 'held' });
    expect(row?.reason).toMatch(/^Held: 1 users departed from the tenant .* covered users is 1\.$/);
    expect(row?.nextActionAt?.getTime()).toBe(world.clock.now().getTime() + 6 * HOUR_MS);

    world.clock.advance(HOUR_MS + 1);
    await look(strict(), '2');
    expect(await revocationsOf(world, '2')).toEqual([undefined]);
    const trail = await world.ledger.auditTrail({ userId: '2', limit: 100 });
    expect(trail.filter(({ outcome }) => outcome === 'refused')).toMatchObject([
      { step: 'guard', reason: row?.reason },
    ]);
  });

  test('carries out what an admin approved, and every line of it says who that was', async () => {
    await joinAll('1', '2');
    for (const userId of ['1', '2']) world.directory.put({ userId, orgUnitPath: '/' });
    for (const userId of ['1', '2']) await look(strict(), userId);
    world.clock.advance(25 * HOUR_MS);
    await world.publishCrl();
    for (const userId of ['1', '2']) await look(strict(), userId);
    await decideOnly('approved');
    await look(strict(), '2');
    expect(await rowOf(world, '2')).toMatchObject({ state: 'out' });
    expect((await rowOf(world, '2'))?.departure).toBeUndefined();
    const trail = await world.ledger.auditTrail({ userId: '2', limit: 100 });
    const done = trail.filter(({ step }) => step === 'revoke-leaf' || step === 'delete-identity');
    expect(done.map(({ details }) => details)).toMatchObject([
      { heldSet: expect.any(Number), approvedBy: ADMIN },
      { heldSet: expect.any(Number), approvedBy: ADMIN },
    ]);
    expect(trail.at(-1)).toMatchObject({
      step: 'guard',
      outcome: 'done',
      reason: `Carried out as ${ADMIN} approved.`,
    });
  });

  test('holds a moved unit with its units as one set, which one decision carries out', async () => {
    const guard = { minimumPerHour: 1, shareOfCovered: 0.2, maximumPerHour: 200 };
    const deps = { ...world.deps, policy: { ...POLICY, guard } };
    const people = (unit: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        userId: `${unit.length}${unit.charCodeAt(unit.length - 1)}${index}`,
        orgUnitPath: unit,
      }));
    const moved = ['/Staff/Sales/A', '/Staff/Sales/B', '/Staff/Sales/C'].flatMap((unit) => people(unit, 8));
    const others = people('/Staff', 16);
    for (const person of [...moved, ...others]) {
      world.directory.put(person);
      await look(deps, person.userId);
    }
    let shown = '';
    const lookAtAll = async () => {
      for (const { userId } of moved) {
        await look(deps, userId);
        const [first] = await world.ledger.heldSets({ state: 'open' });
        const set = first && (await world.ledger.readHeldSet(first.setId));
        if (shown === '' && set !== undefined) shown = heldSetDigest(set);
      }
    };
    for (const { userId } of [...moved, ...others.slice(0, 1)])
      world.directory.put({ userId, orgUnitPath: '/' });
    await lookAtAll();
    await look(deps, others[0]?.userId);
    world.clock.advance(25 * HOUR_MS);
    await world.publishCrl();
    await lookAtAll();
    // One of eight, one more of the next eight; then the moved unit is held as a whole, and nobody else.
    const open = await world.ledger.heldSets({ state: 'open' });
    expect(open).toMatchObject([{ scope: 'unit:/staff/sales', held: 22 }]);
    expect((await world.ledger.heldSets({ state: 'any' })).map(({ state }) => state)).toEqual([
      'open',
      'absorbed',
    ]);
    await look(deps, others[0]?.userId);
    expect(await rowOf(world, others[0]?.userId)).toMatchObject({ state: 'out' });
    await expect(
      decideOnHeld({ ...world, hintsPerMinute: 400 }, ADMIN, shown, 'approved'),
    ).rejects.toMatchObject({
      code: 'held-set-changed',
      message: expect.stringMatching(/^Held set 1 is part of held set 2 now/),
    });
    await decideOnly('approved');
    await lookAtAll();
    const states = await Promise.all(moved.map(async ({ userId }) => (await rowOf(world, userId))?.state));
    expect(new Set(states)).toEqual(new Set(['out']));
    const [set] = await world.ledger.heldSets({ state: 'any' });
    expect(await world.ledger.readJob(set?.decided?.jobId ?? '')).toMatchObject({ state: 'done', total: 22 });
  });

  test('leaves what an admin dismissed, and says until when', async () => {
    await joinAll('1', '2');
    world.directory.remove('1');
    world.directory.remove('2');
    await look(strict(), '1');
    await look(strict(), '2');
    await decideOnly('dismissed');
    await look(strict(), '2');
    expect(await revocationsOf(world, '2')).toEqual([undefined]);
    expect(await rowOf(world, '2')).toMatchObject({
      state: 'leaving',
      departure: 'dismissed',
      nextAction: 'ask-guard-again',
      reason: expect.stringContaining(`${ADMIN} dismissed the departure in held set`),
    });
  });

  test('lets go of whoever came back before the decision', async () => {
    await joinAll('1', '2');
    world.directory.remove('1');
    world.directory.remove('2');
    await look(strict(), '1');
    await look(strict(), '2');
    world.directory.put({ userId: '2' });
    await look(strict(), '2');
    expect(await rowOf(world, '2')).toMatchObject({ state: 'ready' });
    expect((await rowOf(world, '2'))?.departure).toBeUndefined();
    expect(await world.ledger.heldSets({ state: 'open' })).toMatchObject([{ held: 0 }]);
  });

  test('does not take a directory that does not answer, or does not know the user, for a withdrawal', async () => {
    await joinAll('1', '2');
    world.directory.remove('1');
    world.directory.remove('2');
    await look(strict(), '1');
    await look(strict(), '2');
    world.directory.forget('2');
    await look(strict(), '2');
    expect(await world.ledger.heldSets({ state: 'open' })).toMatchObject([{ held: 1 }]);
  });

  test('holds a protected account although there is room', async () => {
    await joinAll('1');
    world.directory.put({ userId: '1', orgUnitPath: '/' });
    const guarded = {
      ...world.deps,
      policy: { ...POLICY, protected: { ...POLICY.protected, users: ['user-1@acme.example'] } },
    };
    await look(guarded, '1');
    world.clock.advance(25 * HOUR_MS);
    await look(guarded, '1');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
    expect(await world.ledger.heldSets({ state: 'open' })).toMatchObject([{ scope: 'protected', held: 1 }]);
  });

  test.each([
    ['deleted', '1', {}],
    ['deleted', 'user-1@acme.example', { primaryEmail: 'ana@acme.example' }],
    ['deleted', 'chief@acme.example', {}],
    ['in no list', '1', {}],
    ['in no list', 'chief@acme.example', { primaryEmail: 'ana@acme.example', aliases: [] }],
  ] as const)('holds an account that is %s and protected as %s', async (how, name, renamed) => {
    const guarded = {
      ...world.deps,
      policy: { ...POLICY, protected: { ...POLICY.protected, users: [name] } },
    };
    for (const changes of [{ aliases: ['chief@acme.example'] }, renamed]) {
      world.directory.put({ userId: '1', ...changes });
      await look(guarded, '1');
    }
    if (how === 'deleted') world.directory.remove('1');
    else {
      world.directory.forget('1');
      await missedFor(25);
    }
    await look(guarded, '1');
    // What a rename replaced is no departure.
    expect((await revocationsOf(world, '1')).at(-1)).toBeUndefined();
    expect(await rowOf(world, '1')).toMatchObject({ departure: 'held' });
    expect(await world.ledger.heldSets({ state: 'open' })).toMatchObject([{ scope: 'protected', held: 1 }]);
  });

  const BOARD = { ...POLICY.protected, superAdmins: true, orgUnits: [{ path: '/Staff/Board' }] };

  test.each([
    ['deleted', 'a super admin', { superAdmin: true }],
    ['deleted', 'the org unit /Staff/Board', { orgUnitPath: '/Staff/Board' }],
    ['in no list', 'a super admin', { superAdmin: true }],
    ['in no list', 'the org unit /Staff/Board', { orgUnitPath: '/Staff/Board' }],
  ] as const)('holds an account that is %s and was last seen as %s', async (how, as, found) => {
    const guarded = { ...world.deps, policy: { ...POLICY, protected: BOARD } };
    world.directory.put({ userId: '1', ...found });
    await look(guarded, '1');
    if (how === 'deleted') world.directory.remove('1');
    else {
      world.directory.forget('1');
      await missedFor(25);
    }
    await look(guarded, '1');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
    const [set] = await world.ledger.heldSets({ state: 'open' });
    expect(set).toMatchObject({ scope: 'protected', held: 1 });
    expect((await rowOf(world, '1'))?.reason).toContain(`the account is protected (${as} when last seen)`);
  });

  test('lets an account depart that was seen outside the protected unit before it was deleted', async () => {
    const guarded = { ...world.deps, policy: { ...POLICY, protected: BOARD } };
    for (const orgUnitPath of ['/Staff/Board', '/Staff']) {
      world.directory.put({ userId: '1', orgUnitPath });
      await look(guarded, '1');
    }
    world.directory.remove('1');
    await look(guarded, '1');
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation']);
  });

  test('lets an account depart whose protected address somebody else was seen with since', async () => {
    const guarded = {
      ...world.deps,
      policy: { ...POLICY, protected: { ...POLICY.protected, users: ['chief@acme.example'] } },
    };
    for (const changes of [
      { userId: '1', aliases: ['chief@acme.example'] },
      { userId: '1', aliases: [] },
      { userId: '2', aliases: ['chief@acme.example'] },
    ]) {
      world.directory.put(changes);
      await look(guarded, changes.userId);
    }
    for (const userId of ['1', '2']) {
      world.directory.remove(userId);
      await look(guarded, userId);
    }
    expect(await revocationsOf(world, '1')).toEqual(['cessationOfOperation']);
    expect(await rowOf(world, '2')).toMatchObject({ departure: 'held' });
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

describe('an address that went to somebody else, while the directory does not answer,', () => {
  const ADDRESS = 'user-1@acme.example';
  const away = PASSING['directory'] ?? expect.unreachable();
  const blind = (deps: ReconcileDeps): ReconcileDeps => ({
    ...deps,
    directory: world.surrounded(failing(away, named('presence'))).directory,
  });

  /** User 1 is in their grace period, and user 2, whom the ledger has seen since, has the address. */
  const handOver = async (): Promise<void> => {
    await joinAll('1');
    world.directory.put({ userId: '1', primaryEmail: 'moved@acme.example', orgUnitPath: '/Contractors' });
    world.directory.put({ userId: '2', primaryEmail: ADDRESS });
    await look(world.deps, '2');
    expect(await rowOf(world, '2')).toMatchObject({ nextAction: 'wait-for-address' });
  };

  const none = { minimumPerHour: 0, shareOfCovered: 0, maximumPerHour: 200 };
  const PROTECTED = { ...POLICY, protected: { ...POLICY.protected, users: ['moved@acme.example'] } };
  const CASES: readonly (readonly [string, Policy, () => Promise<void>])[] = [
    ['was not judged yet', POLICY, async () => undefined],
    ['is past the limit', { ...POLICY, guard: none }, async () => undefined],
    [
      'is held',
      { ...POLICY, guard: none },
      async () => {
        await look({ ...world.deps, policy: { ...POLICY, guard: none } }, '1');
        expect(await rowOf(world, '1')).toMatchObject({ departure: 'held' });
      },
    ],
    [
      'was dismissed',
      { ...POLICY, guard: none },
      async () => {
        await look({ ...world.deps, policy: { ...POLICY, guard: none } }, '1');
        await decideOnly('dismissed');
        expect(await rowOf(world, '1')).toMatchObject({ departure: 'dismissed' });
      },
    ],
    ['is of a protected account', PROTECTED, async () => undefined],
  ];

  test.each(CASES)('costs nobody a certificate whose departure %s', async (_what, policy, before) => {
    await handOver();
    await before();
    await expect(look(blind({ ...world.deps, policy }), '1')).rejects.toBe(away);
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
    expect(await rowOf(world, '1')).toMatchObject({ nextAction: 'retry-read-directory' });
  });

  test('is taken from its former holder once the directory answers, and certified for the new one', async () => {
    await handOver();
    await expect(look(blind(world.deps), '1')).rejects.toBe(away);
    await look(world.deps, '1');
    expect(await revocationsOf(world, '1')).toEqual(['affiliationChanged']);
    await look(world.deps, '2');
    expect(await rowOf(world, '2')).toMatchObject({ state: 'ready' });
  });

  test('costs nobody a certificate whose departure nobody judged, whoever would apply it', async () => {
    await handOver();
    const lease = (await world.ledger.acquireLease('user:1', 60_000)) ?? expect.unreachable();
    const presence = { kind: 'absent', userId: '1' } as const;
    const { facts } = await observe(world.deps, lease, CAUSE, presence);
    const plan = planFor(facts, POLICY);
    expect(plan.steps).toMatchObject([{ kind: 'revoke-leaf', departure: true }]);
    const begun = { deps: world.deps, lease, cause: CAUSE, facts, mailbox: ADDRESS };
    const context = { ...begun, made: nothingMade(), untold: [] };
    await expect(apply(plan, { ...context, isJudged: false })).rejects.toThrow('nobody judged');
    expect(await revocationsOf(world, '1')).toEqual([undefined]);
  });
});
