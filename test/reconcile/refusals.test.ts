import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type PortCall, surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  HOUR_MS,
  KEY_SERVICE_URL,
  type Materials,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { failing, LASTING, look, named, PASSING, revocationsOf, rowOf } from './outcome.ts';
import { shapeOf } from './shape.ts';
import {
  ADDRESS,
  COMPROMISE,
  JOIN,
  LEAVE,
  NEW_ADDRESS,
  REKEY,
  RENAME,
  USER_ID,
  type Workflow,
} from './workflows.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

/** Every call of an undisturbed run, and what it ends in. */
async function undisturbed(workflow: Workflow) {
  await workflow.prepare(world);
  const restore = await world.save();
  const calls: PortCall[] = [];
  await look(
    world.surrounded(async (call, perform) => {
      calls.push(call);
      return await perform();
    }),
  );
  return { restore, calls, clean: await shapeOf(world) };
}

/** Disturbs the n-th call only. */
function disturbed(n: number, error: Error, moment: 'before' | 'after') {
  let count = 0;
  return world.surrounded(async (_call, perform) => {
    count += 1;
    if (count !== n) return await perform();
    if (moment === 'after') await perform();
    throw error;
  });
}

/** A lost answer is another thing than a call that did nothing, where the call changes something outside the ledger. */
const momentsOf = ({ port, method }: PortCall) =>
  port !== 'ledger' && /^(create|patch|delete|enable|wrap|sign)/.test(method)
    ? (['before', 'after'] as const)
    : (['before'] as const);

describe.each([JOIN, LEAVE])('$name', (workflow) => {
  test('that meets what may pass throws it, says what it waits for, and ends well the next time', async () => {
    const { restore, calls, clean } = await undisturbed(workflow);
    let tried = 0;
    for (const [index, call] of calls.entries()) {
      const error = PASSING[call.port];
      if (error === undefined || call.port === 'bus' || /Lease$/.test(call.method)) continue;
      // A ledger that fails in the middle of anything is tried where somebody leaves; elsewhere it is the others' turn.
      if (call.port === 'ledger' && workflow !== LEAVE) continue;
      for (const moment of momentsOf(call)) {
        const where = `${moment} call ${index + 1}, ${call.port}.${call.method}`;
        await restore();
        const known = (await rowOf(world)) !== undefined;
        await expect(look(disturbed(index + 1, error, moment)), where).rejects.toMatchObject({
          ...{ code: error.code, message: error.message },
        });
        const row = await rowOf(world);
        if (call.port !== 'ledger' && (known || index > 3)) {
          expect(row?.state, where).toMatch(workflow === LEAVE ? /^leaving$/ : /^pending$/);
          expect(row?.reason, where).toContain(error.message);
          expect(row?.nextAction, where).toMatch(/^retry-/);
          const waitMs = (row?.nextActionAt?.getTime() ?? 0) - world.clock.now().getTime();
          expect(waitMs, where).toBeGreaterThanOrEqual(MINUTE_MS);
          expect(waitMs, where).toBeLessThanOrEqual(HOUR_MS);
        }
        await look(world.deps);
        expect(await shapeOf(world), where).toEqual(clean);
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(12);
  });

  test('that is refused says by whom, does not throw, and ends well once the cause is gone', async () => {
    const { restore, calls, clean } = await undisturbed(workflow);
    let tried = 0;
    for (const [index, call] of calls.entries()) {
      const error = LASTING[call.port];
      if (error === undefined) continue;
      const where = `call ${index + 1}, ${call.port}.${call.method}`;
      await restore();
      if ((await rowOf(world)) === undefined && index < 3) continue;
      const outcome = await look(disturbed(index + 1, error, 'before'));
      expect(outcome.kind, where).toBe('stopped');
      const row = await rowOf(world);
      expect(row, where).toMatchObject({ state: workflow === LEAVE ? 'leaving' : 'blocked' });
      expect(row?.reason, where).toContain(error.message);
      expect(row?.nextActionAt, where).toBeDefined();
      await look(world.deps);
      expect(await shapeOf(world), where).toEqual(clean);
      tried += 1;
    }
    expect(tried).toBeGreaterThan(4);
  });
});

describe('somebody the ledger does not know yet, whom the directory will not name,', () => {
  test.each([PASSING['directory'], LASTING['directory']])(
    'is left to the next delivery (%s)',
    async (error) => {
      await JOIN.prepare(world);
      if (error === undefined) throw new Error('no error');
      await expect(look(world.surrounded(failing(error, named('presence'))))).rejects.toBe(error);
      expect(await rowOf(world)).toBeUndefined();
    },
  );
});

describe('a directory that will not answer', () => {
  test.each([PASSING['directory'], LASTING['directory']])(
    'delays no revocation that was decided or reported before (%s)',
    async (error) => {
      if (error === undefined) throw new Error('no error');
      const deps = world.surrounded(failing(error, named('presence')));
      await COMPROMISE.prepare(world);
      await look(deps).catch(() => undefined);
      expect(await revocationsOf(world)).toEqual(['keyCompromise']);
      expect(world.bus.crlRequests).toHaveLength(1);
      expect((await rowOf(world))?.nextAction).toBe('retry-read-directory');
      // The new key waits for the directory: nobody knows now whether they may have one.
      expect((await world.ledger.readUser(USER_ID)).openWishes).toHaveLength(1);
      await look(world.deps);
      expect(await shapeOf(world)).toMatchObject({ state: 'ready', identities: { [ADDRESS]: 'leaf 2' } });
    },
  );

  test('makes nobody leave', async () => {
    await LEAVE.prepare(world);
    const error = PASSING['directory'] ?? expect.unreachable();
    await expect(look(world.surrounded(failing(error, named('presence'))))).rejects.toBe(error);
    expect(await revocationsOf(world)).toEqual([undefined]);
  });

  test('leaves somebody who is out, out', async () => {
    await LEAVE.prepare(world);
    await look(world.deps);
    const error = LASTING['directory'] ?? expect.unreachable();
    await look(world.surrounded(failing(error, named('presence'))));
    expect(await rowOf(world)).toMatchObject({ state: 'out', nextAction: 'retry-read-directory' });
  });
});

describe('the two chains', () => {
  test.each(['listKeypairs', 'listIdentities', 'deleteIdentity'])(
    'let a leaver be revoked while Gmail fails at %s',
    async (method) => {
      for (const error of [PASSING['gmail'], LASTING['gmail']]) {
        if (error === undefined) throw new Error('no error');
        await world.close();
        world = await createWorld(materials, { ledger: 'memory' });
        await LEAVE.prepare(world);
        await look(world.surrounded(failing(error, named(method)))).catch(() => undefined);
        expect(await revocationsOf(world)).toEqual(['affiliationChanged']);
        expect(world.bus.crlRequests).toHaveLength(1);
        expect(await rowOf(world)).toMatchObject({ state: 'leaving' });
      }
    },
  );

  test.each(['listKeypairs', 'createKeypair', 'patchIdentity'])(
    'let a compromised leaf be revoked while Gmail fails at %s, and keep the wish open',
    async (method) => {
      await COMPROMISE.prepare(world);
      const error = PASSING['gmail'];
      if (error === undefined) throw new Error('no error');
      await expect(look(world.surrounded(failing(error, named(method))))).rejects.toBe(error);
      expect(await revocationsOf(world)).toContain('keyCompromise');
      expect((await world.ledger.readUser(USER_ID)).openWishes).toHaveLength(1);
    },
  );

  test('let an identity be deleted while the revocation cannot be written', async () => {
    await LEAVE.prepare(world);
    const error = PASSING['ledger'];
    if (error === undefined) throw new Error('no error');
    await expect(look(world.surrounded(failing(error, named('recordRevocation'))))).rejects.toBe(error);
    expect(world.gmail.account(USER_ID).identities.size).toBe(0);
    expect(await revocationsOf(world)).toEqual([undefined]);
    await look(world.deps);
    expect(await revocationsOf(world)).toEqual(['affiliationChanged']);
  });

  test('leave the identity in use alone while nothing new can be signed', async () => {
    await RENAME.prepare(world);
    const error = LASTING['signing'];
    if (error === undefined) throw new Error('no error');
    expect((await look(world.surrounded(failing(error, named('signLeaf'))))).kind).toBe('stopped');
    expect([...world.gmail.account(USER_ID).identities.keys()]).toEqual([ADDRESS]);
  });

  test('name both reasons when both stop, and throw the one that may pass', async () => {
    await LEAVE.prepare(world);
    const passing = PASSING['ledger'];
    const lasting = LASTING['gmail'];
    if (passing === undefined || lasting === undefined) throw new Error('no error');
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'recordRevocation') throw passing;
      if (call.method === 'deleteIdentity') throw lasting;
      return await perform();
    });
    await expect(look(deps)).rejects.toBe(passing);
    const row = await rowOf(world);
    expect(row?.reason).toContain('revoke-leaf: The database is away.');
    expect(row?.reason).toContain('delete-identity: Gmail refuses.');
    expect(row?.nextAction).toBe('retry-revoke-leaf');
  });
});

describe('a revocation', () => {
  test('stands when asking for the CRL fails, and the log says so', async () => {
    await LEAVE.prepare(world);
    const error = PASSING['bus'];
    if (error === undefined) throw new Error('no error');
    expect(await look(world.surrounded(failing(error, named('requestCrl'))))).toMatchObject({
      kind: 'converged',
      verdict: { state: 'out' },
    });
    expect(await revocationsOf(world)).toEqual(['affiliationChanged']);
    expect(world.log.of('crl-request-failed')).toHaveLength(1);
  });
});

describe('repeated failures', () => {
  test('wait 2, 4, 8 … minutes, an hour at most, and are forgotten after success', async () => {
    await JOIN.prepare(world);
    const error = PASSING['signing'];
    if (error === undefined) throw new Error('no error');
    const deps = world.surrounded(failing(error, named('signLeaf')));
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      await expect(look(deps)).rejects.toBe(error);
      const row = await rowOf(world);
      waits.push(((row?.nextActionAt?.getTime() ?? 0) - world.clock.now().getTime()) / MINUTE_MS);
      world.clock.set(row?.nextActionAt ?? world.clock.now());
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
    expect(await world.ledger.dueUsers(10)).toMatchObject([
      { userId: USER_ID, nextAction: 'retry-sign-leaf' },
    ]);
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'ready', failures: 0 });
  });

  test('wait as long as the other side asks', async () => {
    await JOIN.prepare(world);
    const { retryable } = await import('../../shared/errors.ts');
    const error = retryable('gmail-unavailable', 'Too many requests.', { retryAfterMs: 3 * HOUR_MS });
    await expect(look(world.surrounded(failing(error, named('createKeypair'))))).rejects.toBe(error);
    expect((await rowOf(world))?.nextActionAt?.getTime()).toBe(world.clock.now().getTime() + 3 * HOUR_MS);
  });

  test('are forgotten when an admin wishes for something', async () => {
    await REKEY.prepare(world);
    const error = PASSING['gmail'];
    if (error === undefined) throw new Error('no error');
    await expect(look(world.surrounded(failing(error, named('createKeypair'))))).rejects.toBe(error);
    expect((await rowOf(world))?.failures).toBe(1);
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason: 'superseded',
      users: [{ userId: USER_ID, primaryEmail: ADDRESS }],
    });
    expect((await rowOf(world))?.failures).toBe(0);
  });

  const CHANGES: readonly (readonly [string, () => ReconcileDeps])[] = [
    ['are renamed', () => seen({ primaryEmail: NEW_ADDRESS })],
    ['get an alias', () => seen({ aliases: ['ana.alias@acme.example'] })],
    [
      'are moved to where another rule covers them',
      () => ({ ...seen({ orgUnitPath: '/Sales' }), policy: SPLIT }),
    ],
    ['are covered by a rule that now wants something else', () => ({ ...world.deps, policy: SPLIT })],
  ];
  const seen = (changes: Partial<DirectoryUser>): ReconcileDeps => {
    world.directory.put({ userId: USER_ID, ...changes });
    return world.deps;
  };
  const split = { modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, profile: 'split' } as const;
  const SPLIT = policyOf([
    policyRule(split),
    policyRule({ ...split, name: 'sales', scope: { kind: 'org-unit', path: '/Sales' } }),
  ]);

  test.each(CHANGES)('are forgotten when they %s', async (_what, changed) => {
    await REKEY.prepare(world);
    const error = PASSING['signing'];
    if (error === undefined) throw new Error('no error');
    for (let attempt = 0; attempt < 3; attempt += 1)
      await expect(look(world.surrounded(failing(error, named('signLeaf'))))).rejects.toBe(error);
    expect((await rowOf(world))?.failures).toBe(3);
    const deps = { ...world.surrounded(failing(error, named('signLeaf'))), policy: changed().policy };
    await expect(look(deps)).rejects.toBe(error);
    expect((await rowOf(world))?.failures).toBe(1);
  });

  test('are not forgotten by a look that finds what was wished before', async () => {
    await JOIN.prepare(world);
    const error = PASSING['signing'];
    if (error === undefined) throw new Error('no error');
    const policy = policyOf([policyRule({ modulusBits: 4096, keyServiceUrl: KEY_SERVICE_URL })]);
    for (const deps of [world.deps, { ...world.deps, policy }])
      await expect(
        look({ ...world.surrounded(failing(error, named('signLeaf'))), policy: deps.policy }),
      ).rejects.toBe(error);
    expect((await rowOf(world))?.failures).toBe(2);
  });
});

describe('somebody who is blocked', () => {
  /** A joiner whose patience with Gmail is over: client-side encryption was never switched on for them. */
  const blockedJoiner = async () => {
    await JOIN.prepare(world);
    world.gmail.setEnabled(USER_ID, false);
    await look(world.deps);
    world.clock.advance(24 * HOUR_MS);
    await look(world.deps);
    const row = await rowOf(world);
    expect(row?.state).toBe('blocked');
    return row;
  };

  test.each([
    ['the directory', 'presence', PASSING['directory']],
    ['Gmail', 'listKeypairs', PASSING['gmail']],
  ] as const)('stays so, since the same time, when %s fails in passing', async (_who, method, error) => {
    if (error === undefined) throw new Error('no error');
    const before = await blockedJoiner();
    world.clock.advance(HOUR_MS);
    await expect(look(world.surrounded(failing(error, named(method))))).rejects.toBe(error);
    expect(await rowOf(world)).toMatchObject({ state: 'blocked', since: before?.since });
    expect((await rowOf(world))?.reason).toContain(error.message);
    world.clock.advance(HOUR_MS);
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'blocked', since: before?.since });
    expect((await rowOf(world))?.reason).toMatch(/^Waits for Gmail: /);
  });

  test('is ready once the cause is gone, also where something fails in passing on the way', async () => {
    await blockedJoiner();
    world.gmail.setEnabled(USER_ID, true);
    const error = PASSING['gmail'] ?? expect.unreachable();
    await expect(look(world.surrounded(failing(error, named('createKeypair'))))).rejects.toBe(error);
    const row = await rowOf(world);
    expect(row).toMatchObject({ state: 'blocked', nextAction: 'retry-create-keypair' });
    const waitMs = (row?.nextActionAt?.getTime() ?? 0) - world.clock.now().getTime();
    expect(waitMs).toBeLessThanOrEqual(HOUR_MS);
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'ready', failures: 0 });
  });
});

describe('a bug', () => {
  test('ends the look at once, is thrown as it is, and gives the lease back', async () => {
    await JOIN.prepare(world);
    const bug = new TypeError('undefined is not a function');
    const deps = {
      ...world.deps,
      gmail: surround('gmail', world.gmail, failing(bug as never, named('createKeypair'))),
    };
    await expect(look(deps)).rejects.toBe(bug);
    expect(await world.ledger.acquireLease(`user:${USER_ID}`, 1_000)).toBeDefined();
  });

  test('that keeps a plan from settling is thrown after six rounds', async () => {
    await JOIN.prepare(world);
    const deps = world.surrounded(async (call, perform) =>
      call.method === 'createIdentity' ? 'created' : await perform(),
    );
    await expect(look(deps)).rejects.toThrow('did not settle in 6 rounds');
  });
});
