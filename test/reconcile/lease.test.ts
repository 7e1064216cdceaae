import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isSealwrightError, permanent, retryable } from '../../shared/errors.ts';
import type { Lease } from '../../shared/ports/ledger.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { changesSomething } from '../crash/effects.ts';
import { type Around, type PortCall, surround } from '../support/fakes/calls.ts';
import { CAUSE, createWorld, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { look, named, PASSING, rowOf } from './outcome.ts';
import { shapeOf } from './shape.ts';
import { JOIN, LEAVE, REKEY, USER_ID } from './workflows.ts';

const NEW_ADDRESS = 'ana.new@acme.example';
const SUBJECT = `user:${USER_ID}`;

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

describe('a user whom somebody else works on', () => {
  test('is left alone, and that somebody is asked to look again', async () => {
    await JOIN.prepare(world);
    const lease = await world.ledger.acquireLease(SUBJECT, 60_000);
    expect(await look(world.deps)).toEqual({ kind: 'busy' });
    expect((await world.ledger.readUser(USER_ID)).user).toBeUndefined();
    if (lease === undefined) throw new Error('The lease was not free.');
    expect(await world.ledger.releaseLease(lease)).toEqual({ again: CAUSE });
  });

  test('is looked at once more by whoever was asked meanwhile, and only once', async () => {
    await JOIN.prepare(world);
    const outcomes: string[] = [];
    let looks = 0;
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'listIdentities') looks += 1;
      if (call.method === 'createIdentity')
        for (let hint = 0; hint < 3; hint += 1) outcomes.push((await look(world.deps)).kind);
      return await perform();
    });
    expect((await look(deps)).kind).toBe('converged');
    expect(outcomes).toEqual(['busy', 'busy', 'busy']);
    // Two rounds of the first look, and one round of the second, which finds nothing to do.
    expect(looks).toBe(3);
    expect(await world.ledger.acquireLease(SUBJECT, 1_000)).toBeDefined();
  });

  test('is then looked at for the sake of whoever asked, and the trail says so of each step', async () => {
    await JOIN.prepare(world);
    const renamed = {
      source: 'audit',
      eventId: 'entry-7',
      event: 'RENAME_USER',
      actor: 'ops@acme.example',
    } as const;
    let asked = false;
    const deps = world.surrounded(async (call, perform) => {
      const answer = await perform();
      if (call.method === 'recordState' && !asked) {
        asked = true;
        world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS });
        await reconcile(world.deps, USER_ID, renamed);
      }
      return answer;
    });
    await look(deps);
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
    const causesOf = (step: string) => trail.filter((entry) => entry.step === step).map(({ cause }) => cause);
    expect(causesOf('set-identity')).toEqual([CAUSE, renamed]);
    expect(causesOf('delete-identity')).toEqual([renamed]);
  });

  test('whose look fails is told of in the trail with whoever asked meanwhile, for the next look is another event’s', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS });
    const left = { source: 'audit', eventId: 'entry-8', event: 'DELETE_USER' } as const;
    const deps = world.surrounded(async (call, perform) => {
      if (call.method !== 'signLeaf') return await perform();
      await reconcile(world.deps, USER_ID, left);
      throw retryable('signing-unavailable', 'Away.');
    });
    await expect(look(deps)).rejects.toMatchObject({ code: 'signing-unavailable' });
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
    expect(trail.at(-1)).toMatchObject({ cause: left, step: 'look-put-off', outcome: 'ignored' });
    expect(await world.ledger.acquireLease(SUBJECT, 1_000)).toBeDefined();
  });

  describe('and whose further look fails', () => {
    const renamed = { source: 'audit', eventId: 'entry-7', event: 'RENAME_USER' } as const;
    /** The first look converges and is asked for another meanwhile; the further one meets `fail`. */
    const askedThen = (fail: Around) => {
      let isAsked = false;
      return world.surrounded(async (call, perform) => {
        if (isAsked) return await fail(call, perform);
        const answer = await perform();
        if (call.method === 'recordState') {
          isAsked = true;
          world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS });
          await reconcile(world.deps, USER_ID, renamed);
        }
        return answer;
      });
    };
    const toldOf = async (told: string) =>
      (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 }))
        .filter(({ step }) => step === told)
        .map(({ cause }) => cause);
    const away = PASSING['directory'] ?? expect.unreachable();

    beforeEach(() => JOIN.prepare(world));

    test('is told of in the trail with whoever asked for it, and with who asked during it', async () => {
      const left = { source: 'audit', eventId: 'entry-8', event: 'DELETE_USER' } as const;
      const deps = askedThen(async (call, perform) => {
        if (call.method !== 'presence') return await perform();
        await reconcile(world.deps, USER_ID, left);
        throw away;
      });
      await expect(look(deps)).rejects.toThrow(away);
      expect(await toldOf('look-put-off')).toEqual([renamed, left]);
      expect(await world.ledger.acquireLease(SUBJECT, 1_000)).toBeDefined();
    });

    test('is told of also where it failed because the lease was lost', async () => {
      const deps = askedThen(async (call, perform) => {
        if (call.method === 'presence') await world.expireLeases();
        return await perform();
      });
      await expect(look(deps)).rejects.toMatchObject({ code: 'lease-lost' });
      expect(await toldOf('look-put-off')).toEqual([renamed]);
    });

    test('is not told of where the very event that comes again had asked for it', async () => {
      let isAsked = false;
      const deps = world.surrounded(async (call, perform) => {
        if (isAsked && call.method === 'presence') throw away;
        const answer = await perform();
        if (call.method === 'recordState' && !isAsked) isAsked = (await look(world.deps)).kind === 'busy';
        return answer;
      });
      await expect(look(deps)).rejects.toThrow(away);
      expect(await toldOf('look-put-off')).toEqual([]);
    });

    test('is told of with whoever asked, and whoever asked during it, by the one who takes over from a worker that died', async () => {
      const left = { source: 'audit', eventId: 'entry-8', event: 'DELETE_USER' } as const;
      let isDead = false;
      const deps = askedThen(async (call, perform) => {
        if (call.method === 'presence') {
          await reconcile(world.deps, USER_ID, left);
          isDead = true;
        }
        if (isDead) throw new Error('The process is gone.');
        return await perform();
      });
      await expect(look(deps)).rejects.toThrow('gone');
      expect(await toldOf('look-put-off')).toEqual([]);
      await world.expireLeases();
      const again = { source: 'due', eventId: 'due-1', event: 'look-again' } as const;
      await reconcile(world.deps, USER_ID, again);
      expect(await toldOf('look-interrupted')).toEqual([again]);
      expect(await toldOf('look-put-off')).toEqual([renamed, left]);
      await reconcile(world.deps, USER_ID, again);
      expect(await toldOf('look-put-off')).toEqual([renamed, left]);
    });

    test('has its lost line told of with whoever asked for it', async () => {
      let isRefused = false;
      const deps = askedThen(async (call, perform) => {
        const isLine = call.method === 'audit' && (call.args[0] as { step: string }).step === 'set-identity';
        if (!isLine || isRefused) return await perform();
        isRefused = true;
        throw PASSING['ledger'] ?? expect.unreachable();
      });
      await expect(look(deps)).rejects.toMatchObject({ code: 'ledger-unavailable' });
      expect(await toldOf('look-interrupted')).toEqual([renamed]);
    });
  });

  test('changes meanwhile and ends as they are now', async () => {
    await JOIN.prepare(world);
    let renamed = false;
    const deps = world.surrounded(async (call, perform) => {
      const answer = await perform();
      if (call.method === 'recordState' && !renamed) {
        renamed = true;
        world.directory.put({ userId: USER_ID, primaryEmail: 'ana.new@acme.example' });
        expect((await look(world.deps)).kind).toBe('busy');
      }
      return answer;
    });
    await look(deps);
    expect(Object.keys((await shapeOf(world)).identities)).toEqual(['ana.new@acme.example']);
  });
});

describe('a worker that loses its lease', () => {
  const CHANGES_GMAIL = /^(create|patch|delete|enable|disable)/;
  const WRITES = /^(record|fulfil|fail)/;

  /** Another worker takes the lease over right before the n-th call. */
  const takeOver = async (): Promise<Lease> => {
    await world.expireLeases();
    const lease = await world.ledger.acquireLease(SUBJECT, 60_000);
    if (lease === undefined) throw new Error('The lease could not be taken over.');
    return lease;
  };

  test.each([REKEY, LEAVE])('in $name stops at once and writes nothing more', async (workflow) => {
    await workflow.prepare(world);
    const restore = await world.save();
    const all: PortCall[] = [];
    await look(
      world.surrounded(async (call, perform) => {
        all.push(call);
        return await perform();
      }),
    );
    const clean = await shapeOf(world);
    let stopped = 0;
    // The first call takes the lease, the last gives it back; a lease lost there harms nothing.
    for (let at = 2; at < all.length; at += 1) {
      const next = all[at - 1];
      if (next === undefined || !changesSomething(next)) continue;
      await restore();
      const where = `before call ${at}, ${next.port}.${next.method}`;
      const after: string[] = [];
      let made = 0;
      let lease: Lease | undefined;
      const error: unknown = await look(
        world.surrounded(async (call, perform) => {
          made += 1;
          if (made === at) lease = await takeOver();
          const answer = await perform();
          if (lease !== undefined && (CHANGES_GMAIL.test(call.method) || WRITES.test(call.method)))
            after.push(`${call.port}.${call.method}`);
          return answer;
        }),
      ).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(isSealwrightError(error) && error.code, where).toBe('lease-lost');
      // The one effect outside the ledger that was under way may still happen; a step that has not begun may not.
      expect(
        after.filter((name) => name.startsWith('ledger.')),
        where,
      ).toEqual([]);
      expect(after.length, where).toBeLessThanOrEqual(next.method === 'audit' ? 0 : 1);
      if (lease === undefined) throw new Error('The lease was never taken over.');
      await world.ledger.releaseLease(lease);
      await look(world.deps);
      expect(await shapeOf(world), where).toEqual(clean);
      stopped += 1;
    }
    expect(stopped).toBeGreaterThan(workflow === LEAVE ? 6 : 18);
  });
});

describe('the heartbeat', () => {
  /** The worker thinks its leases are short; the ledger is given a long one, so that only renewing is seen. */
  const SHORT_MS = 9;

  test('renews the lease while a call takes long', async () => {
    await JOIN.prepare(world);
    const beats = Promise.withResolvers<void>();
    let renewals = 0;
    let waiting = false;
    const ledger = surround('ledger', world.ledger, async (call, perform) => {
      if (call.method === 'acquireLease') return await world.ledger.acquireLease(SUBJECT, 60_000);
      if (call.method === 'renewHeedingStop') return await world.ledger.currentStop();
      if (call.method !== 'renewLease') return await perform();
      if (waiting) renewals += 1;
      if (renewals === 3) beats.resolve();
      return undefined;
    });
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'listKeypairs' && !waiting) {
        waiting = true;
        await beats.promise;
      }
      return await perform();
    });
    expect((await look({ ...deps, ledger, leaseMs: SHORT_MS })).kind).toBe('converged');
  });

  test('that fails makes the run fail instead of reporting success', async () => {
    // Nothing is written about somebody no rule covers, so that only the heartbeat can notice.
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    const failed = Promise.withResolvers<void>();
    const ledger = surround('ledger', world.ledger, async (call, perform) => {
      if (call.method === 'acquireLease') return await world.ledger.acquireLease(SUBJECT, 60_000);
      if (call.method !== 'renewLease') return await perform();
      await world.expireLeases();
      try {
        return await perform();
      } finally {
        failed.resolve();
      }
    });
    const deps = world.surrounded(async (call, perform) => {
      const answer = await perform();
      if (call.method === 'presence') await failed.promise;
      return answer;
    });
    await expect(look({ ...deps, ledger, leaseMs: SHORT_MS })).rejects.toMatchObject({ code: 'lease-lost' });
  });

  test('ends with the run', async () => {
    await JOIN.prepare(world);
    const cleared: unknown[] = [];
    const realClear = globalThis.clearInterval;
    globalThis.clearInterval = ((timer?: NodeJS.Timeout) => {
      cleared.push(timer);
      realClear(timer);
    }) as typeof clearInterval;
    try {
      await look(world.deps);
      await expect(
        look(
          world.surrounded(async (call, perform) => {
            if (named('presence')(call)) throw new Error('bug');
            return await perform();
          }),
        ),
      ).rejects.toThrow('bug');
    } finally {
      globalThis.clearInterval = realClear;
    }
    expect(cleared).toHaveLength(2);
  });
});

describe('a step that is done and whose line the ledger refuses', () => {
  const interruptions = async () =>
    (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 })).filter(
      ({ step }) => step === 'look-interrupted',
    );
  const isLineOf = (call: PortCall, step: string) =>
    call.method === 'audit' && (call.args[0] as { step: string }).step === step;
  const away = PASSING['ledger'] ?? expect.unreachable();
  /** The ledger refuses the line of the identity, and for so many more calls everything. */
  const refusing = (more: number, refusal: Error = away) => {
    let refused = -1;
    return world.surrounded(async (call, perform) => {
      if (refused === -1 && !isLineOf(call, 'set-identity')) return await perform();
      refused += call.port === 'ledger' ? 1 : 0;
      if (refused > more) return await perform();
      throw refusal;
    });
  };

  test.each([
    { refusal: away, more: 0 },
    { refusal: away, more: 1 },
    { refusal: permanent('conflict', 'A trigger refuses the line.'), more: 0 },
    { refusal: new Error('The database refused a statement.'), more: 0 },
    { refusal: new Error('The database refused a statement.'), more: 1 },
  ])(
    'is named in the trail and not called failed, because the lease is given back only then ($refusal, $more more refused)',
    async ({ refusal, more }) => {
      await JOIN.prepare(world);
      await expect(look(refusing(more, refusal))).rejects.toThrow(refusal.message);
      if (more === 1 && refusal !== away) {
        expect((await look(world.deps)).kind).toBe('busy');
        await world.expireLeases();
      } else {
        expect(await interruptions()).toMatchObject([
          {
            outcome: 'failed',
            cause: CAUSE,
            reason: expect.stringContaining('the line of set-identity (done)'),
          },
        ]);
      }
      expect((await rowOf(world))?.state).toBe('pending');
      expect((await look(world.deps)).kind).toBe('converged');
      expect(await interruptions()).toHaveLength(1);
      const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
      expect(trail.filter(({ step }) => step === 'set-identity')).toEqual([]);
    },
  );

  test.each([
    { refusals: ['issue-leaf', 'set-identity'], follows: 'goes on', told: ['issue-leaf', 'set-identity'] },
    { refusals: ['issue-leaf'], follows: 'meets a bug', told: ['issue-leaf', 'set-identity'] },
    { refusals: ['issue-leaf'], follows: 'loses the lease', told: ['issue-leaf'] },
  ])(
    'is named beside others, and whatever follows (refused $refusals, and Gmail’s chain $follows)',
    async ({ refusals, follows, told }) => {
      await JOIN.prepare(world);
      const left = new Set(refusals);
      const deps = world.surrounded(async (call, perform) => {
        const refused = [...left].find((step) => isLineOf(call, step));
        if (refused !== undefined) {
          left.delete(refused);
          throw away;
        }
        if (call.method === 'createIdentity' && follows === 'meets a bug') throw new Error('A bug.');
        if (call.method === 'createIdentity' && follows === 'loses the lease') {
          await world.expireLeases();
          throw retryable('lease-lost', 'Somebody else works on it.');
        }
        return await perform();
      });
      await expect(look(deps)).rejects.toThrow();
      expect(
        (await interruptions()).map(
          ({ reason }) => /(?:line of|How) (\S+) (?:\(done\)|ended)/.exec(reason)?.[1],
        ),
      ).toEqual(told);
    },
  );

  test('is told of by whoever takes the lease over, where the ledger refuses everything', async () => {
    await JOIN.prepare(world);
    await expect(look(refusing(1000))).rejects.toMatchObject({ code: 'ledger-unavailable' });
    expect(await interruptions()).toEqual([]);
    expect((await look(world.deps)).kind).toBe('busy');
    await world.expireLeases();
    expect((await look(world.deps)).kind).toBe('converged');
    expect(await interruptions()).toHaveLength(1);
  });
});
