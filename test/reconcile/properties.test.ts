/**
 * Whatever happens to people, to time, to Gmail and to the process, in whatever order: what must never be, never is, and
 * once it is quiet everything is as it should be.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LeafRecord } from '../../shared/domain/records.ts';
import { isSealwrightError, retryable } from '../../shared/errors.ts';
import { mortal, type PortCall, ProcessDied } from '../support/fakes/calls.ts';
import { isForeign, pairsOfUse } from '../support/fakes/gmail.ts';
import { keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { look } from './outcome.ts';

const USERS = ['101', '102'] as const;

type Event =
  | { readonly kind: 'move'; readonly to: string }
  | { readonly kind: 'rename'; readonly name: string }
  | { readonly kind: 'suspend' | 'archive' | 'encryption'; readonly on: boolean }
  | { readonly kind: 'delete' | 'undelete' | 'identity-deleted' | 'pairs-disabled' | 'foreign-identity' }
  | { readonly kind: 'wish'; readonly reason: 'superseded' | 'keyCompromise' }
  | { readonly kind: 'time'; readonly hours: number };

/** How the look that follows an event is disturbed. */
type Disturbance =
  | { readonly kind: 'none' }
  | { readonly kind: 'death'; readonly call: number; readonly moment: 'before' | 'after' }
  | { readonly kind: 'failure'; readonly call: number; readonly moment: 'before' | 'after' };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant('move' as const),
    to: fc.constantFrom('/Staff', '/Staff/Legal', '/Contractors'),
  }),
  fc.record({ kind: fc.constant('rename' as const), name: fc.constantFrom('a', 'b', 'c') }),
  fc.record({
    kind: fc.constantFrom('suspend' as const, 'archive' as const, 'encryption' as const),
    on: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom(
      'delete' as const,
      'undelete' as const,
      'identity-deleted' as const,
      'pairs-disabled' as const,
      'foreign-identity' as const,
    ),
  }),
  fc.record({
    kind: fc.constant('wish' as const),
    reason: fc.constantFrom('superseded' as const, 'keyCompromise' as const),
  }),
  fc.record({ kind: fc.constant('time' as const), hours: fc.constantFrom(1, 25, 73, 31 * 24) }),
);

const moment = fc.constantFrom('before' as const, 'after' as const);
const disturbance: fc.Arbitrary<Disturbance> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ kind: 'none' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('death' as const),
      call: fc.integer({ min: 1, max: 45 }),
      moment,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('failure' as const),
      call: fc.integer({ min: 1, max: 45 }),
      moment,
    }),
  },
);

const history = fc.array(fc.tuple(fc.constantFrom(...USERS), event, disturbance), {
  minLength: 3,
  maxLength: 9,
});

let materials: Materials;
beforeAll(async () => {
  materials = { ...(await makeMaterials()), pool: await keyPoolOfPairs(45) };
});

async function happen(world: World, userId: string, what: Event): Promise<void> {
  const present = world.directory.living(userId) !== undefined;
  switch (what.kind) {
    case 'time':
      world.clock.advance(what.hours * HOUR_MS);
      // The schedule publishes daily.
      if (what.hours > 24) await world.publishCrl();
      return;
    case 'undelete':
      world.directory.put({ userId });
      return;
    case 'wish': {
      const user = world.directory.living(userId);
      if (user === undefined) return;
      await world.ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason: what.reason,
        users: [user],
      });
      return;
    }
    case 'encryption':
      world.gmail.setEnabled(userId, what.on);
      return;
    case 'identity-deleted':
      world.gmail.deleteIdentityByHand(userId);
      return;
    case 'pairs-disabled':
      world.gmail.disablePairsByHand(userId);
      return;
    case 'foreign-identity':
      if (present)
        world.gmail.setIdentityByHand(
          userId,
          world.gmail.addForeignPair(userId, await world.authority.leaf()),
        );
      return;
    default:
  }
  if (!present) return;
  if (what.kind === 'delete') world.directory.remove(userId);
  if (what.kind === 'move') world.directory.put({ userId, orgUnitPath: what.to });
  if (what.kind === 'suspend') world.directory.put({ userId, suspended: what.on });
  if (what.kind === 'archive') world.directory.put({ userId, archived: what.on });
  if (what.kind === 'rename')
    world.directory.put({ userId, primaryEmail: `${what.name}-${userId}@acme.example` });
}

/** One look, disturbed; what it throws is what the disturbance makes it throw. */
async function lookDisturbed(world: World, userId: string, how: Disturbance): Promise<void> {
  const process = mortal(how.kind === 'death' ? how : undefined);
  let made = 0;
  const deps = world.surrounded(async (call, perform) => {
    made += 1;
    const fails = how.kind === 'failure' && how.call === made && call.port !== 'keys';
    if (fails && how.moment === 'before') throw retryable('gmail-unavailable', 'Away.');
    const answer = await process.around(call, perform);
    if (fails) throw retryable('gmail-unavailable', 'Away.');
    return answer;
  });
  try {
    await look(deps, userId);
  } catch (error) {
    if (!(error instanceof ProcessDied) && !isSealwrightError(error)) throw error;
  }
  await world.expireLeases();
}

/** The longest that renewal starts before the end: renewBefore, and a third of it for spreading. */
const RENEWAL_WINDOW_MS = 40 * DAY_MS;

async function expectOrder(world: World, userId: string, revocations: Map<string, string>): Promise<void> {
  const { keypairs, leaves } = await world.ledger.readUser(userId);
  const account = world.gmail.account(userId);
  for (const [address, keypairId] of [...account.identities].flatMap(([of, use]) =>
    pairsOfUse(use).map((id) => [of, id] as const),
  )) {
    const pair = account.pairs.find((candidate) => candidate.keypairId === keypairId);
    expect(pair, `identity ${address} uses no pair`).toBeDefined();
    if (pair !== undefined && isForeign(pair)) continue;
    const recorded = keypairs.some((record) => record.keypairId === keypairId);
    expect(recorded, `identity ${address} uses pair ${keypairId}, which the ledger does not know`).toBe(true);
  }
  for (const { serialHex, revocation } of leaves) {
    const before = revocations.get(serialHex);
    if (before !== undefined) expect(JSON.stringify(revocation), `revocation of ${serialHex}`).toBe(before);
    if (revocation !== undefined) revocations.set(serialHex, JSON.stringify(revocation));
  }
}

const only = <T>(items: readonly T[]): T | undefined => (items.length === 1 ? items[0] : undefined);

const inUse = (leaf: LeafRecord, now: Date): boolean =>
  leaf.revocation === undefined &&
  leaf.retirement === undefined &&
  leaf.notAfter.getTime() - now.getTime() > RENEWAL_WINDOW_MS;

/** Nothing disturbs any more: one look, and then there is nothing left to do. */
async function expectQuiet(world: World, userId: string): Promise<void> {
  await look(world.deps, userId);
  const calls: PortCall[] = [];
  await look(
    world.surrounded(async (call, perform) => {
      calls.push(call);
      return await perform();
    }),
    userId,
  );
  const changes = calls
    .map(({ method }) => method)
    .filter((method) =>
      /^(create|patch|delete|enable|disable|wrap|sign|generate|record|fulfil|fail|audit)/.test(method),
    );
  // A look writes down what it saw, of somebody whom no rule covers too.
  const seeing = ['recordSighting', 'recordState', 'recordPassedOver'];
  expect(changes.filter((method) => !seeing.includes(method))).toEqual([]);

  const { user, leaves, openWishes } = await world.ledger.readUser(userId);
  const account = world.gmail.account(userId);
  const living = world.directory.living(userId);
  const ours = [...account.identities].filter(([, use]) => {
    const pair = account.pairs.find(({ keypairId }) => keypairId === pairsOfUse(use)[0]);
    return pair === undefined || !isForeign(pair);
  });
  expect(leaves.filter((leaf) => inUse(leaf, world.clock.now())).length, 'leaves in use').toBeLessThanOrEqual(
    1,
  );
  expect(ours.length, 'identities').toBeLessThanOrEqual(1);
  if (user?.state === 'ready') {
    expect([...account.identities.keys()]).toContain(living?.primaryEmail);
    expect(ours.map(([address]) => address)).toEqual([living?.primaryEmail]);
    const pair = account.pairs.find(
      ({ keypairId }) => keypairId === only(ours.flatMap(([, use]) => pairsOfUse(use))),
    );
    const leaf = leaves.find(
      ({ leafDer }) => Buffer.compare(leafDer ?? Buffer.alloc(0), pair?.leafDer ?? Buffer.alloc(1)) === 0,
    );
    expect(leaf !== undefined && inUse(leaf, world.clock.now()), 'the identity uses the leaf in use').toBe(
      true,
    );
    expect(pair?.enabled).toBe(true);
    expect(openWishes).toEqual([]);
  }
  if (user?.state === 'out') {
    const live = leaves.filter(
      ({ revocation, notAfter }) => revocation === undefined && notAfter > world.clock.now(),
    );
    expect(live).toEqual([]);
    expect(openWishes).toEqual([]);
  }
  const covered = living?.orgUnitPath.startsWith('/Staff') && !living.archived && !living.suspended;
  if (covered) expect(['ready', 'pending', 'blocked']).toContain(user?.state);
}

describe('any history of people, time, hands and accidents', () => {
  test('never leads where it must not, and ends in order', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const world = await createWorld(materials, { ledger: 'memory' });
        try {
          for (const userId of USERS)
            world.directory.put({ userId, primaryEmail: `a-${userId}@acme.example` });
          const revocations = new Map<string, string>();
          for (const [userId, what, how] of steps) {
            world.clock.advance(60_000);
            await happen(world, userId, what);
            await lookDisturbed(world, userId, how);
            await expectOrder(world, userId, revocations);
          }
          world.clock.advance(60_000);
          await world.publishCrl();
          for (const userId of USERS) {
            await expectQuiet(world, userId);
            await expectOrder(world, userId, revocations);
          }
          for (const digests of world.signedBySerial.values()) expect(digests.size).toBe(1);
        } finally {
          await world.close();
        }
      }),
      { numRuns: 6 },
    );
  });
});
