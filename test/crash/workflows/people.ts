/** People who come, change and leave: each workflow is one look, or a few. */
import { expect } from 'vitest';
import { retryable } from '../../../shared/errors.ts';
import type { ReconcileDeps } from '../../../shared/reconcile/context.ts';
import { failing, named } from '../../reconcile/outcome.ts';
import * as usual from '../../reconcile/workflows.ts';
import { ADDRESS, NEW_ADDRESS, USER_ID } from '../../reconcile/workflows.ts';
import { DAY_MS, HOUR_MS, POLICY, START, type World } from '../../support/fakes/world.ts';
import { look, OTHER_ID, oneLook, under, type Workflow } from '../workflow.ts';

type Look = Partial<ReconcileDeps>;

/** They have everything they should, since an hour. */
export const joined = async (world: World, changes: Look = {}): Promise<void> => {
  world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
  await look(world, changes);
  world.clock.advance(HOUR_MS);
};

/** What changed is seen, and then so much time passes. */
const seenAndLater = async (world: World, laterMs: number, changes: Look = {}): Promise<void> => {
  await look(world, changes);
  world.clock.advance(laterMs);
  await world.publishCrl();
};

const suspended = async (world: World): Promise<void> => {
  await joined(world);
  world.directory.put({ userId: USER_ID, suspended: true });
};

const DISABLES = under({ onLeave: { identity: 'delete', keypair: 'disable' } });

const leftAndDisabled = async (world: World): Promise<void> => {
  await joined(world, { policy: DISABLES });
  world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
  await seenAndLater(world, DAY_MS + HOUR_MS, { policy: DISABLES });
};

const SUPERSEDED = { state: 'signed', address: ADDRESS, retired: 'superseded due 2026-11-25T13:00:00.000Z' };
const IN_USE = { state: 'signed', address: ADDRESS };

/** Two leaves, two pairs, the second in use. */
const REPLACED = {
  state: 'ready',
  nextAction: 'revoke-replaced',
  keys: 2,
  leaves: [SUPERSEDED, IN_USE],
  recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
  gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
  identities: { [ADDRESS]: 'leaf 2' },
  openWishes: 0,
  wishes: ['fulfilled'],
};

const JOINS_AND_CHANGES: readonly Workflow[] = [
  {
    name: 'a join',
    leaving: 'one key, one leaf, one pair and one identity',
    prepare: usual.JOIN.prepare,
    run: oneLook(),
    expect: {
      state: 'ready',
      nextAction: 'renew',
      keys: 1,
      leaves: [IN_USE],
      recordedPairs: ['created: leaf 1 as leaf 1'],
      gmailPairs: ['leaf 1 enabled'],
      identities: { [ADDRESS]: 'leaf 1' },
      openWishes: 0,
      wishes: [],
    },
  },
  {
    name: 'a join under a rule that only observes',
    leaving: 'nothing but the word of what would be done',
    prepare: usual.JOIN.prepare,
    run: oneLook({ policy: under({ observeOnly: true }) }),
    expect: { state: 'out', keys: 0, leaves: [], gmailPairs: [] },
  },
  {
    name: 'a look at somebody whom no rule covers',
    leaving: 'no row of theirs, and the event for whoever tries another policy',
    prepare: async (world) => {
      world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS, orgUnitPath: '/Contractors' });
    },
    run: oneLook(),
    end: async (world) =>
      (await world.ledger.passedOver({ since: START, limit: 10 })).map(({ userId, event }) => [
        userId,
        event,
      ]),
    expectMore: [[USER_ID, 'update']],
  },
  {
    name: 'an issuance that had stopped before its certificate',
    leaving: 'the leaf that was intended',
    prepare: async (world) => {
      await usual.JOIN.prepare(world);
      const away = retryable('signing-unavailable', 'The function that signs is away.');
      await look({ deps: world.surrounded(failing(away, named('signLeaf'))) }).catch(() => undefined);
    },
    run: oneLook(),
    expect: { state: 'ready', keys: 1, leaves: [IN_USE], identities: { [ADDRESS]: 'leaf 1' } },
  },
  {
    name: 'an issuance that had stopped more than a day ago',
    leaving: 'its serial revoked and another leaf in use',
    prepare: async (world) => {
      await usual.JOIN.prepare(world);
      const away = retryable('signing-unavailable', 'The function that signs is away.');
      await look({ deps: world.surrounded(failing(away, named('signLeaf'))) }).catch(() => undefined);
      world.clock.advance(DAY_MS + HOUR_MS);
    },
    run: oneLook(),
    expect: {
      state: 'ready',
      leaves: [{ state: 'intended', revoked: 'superseded at 2026-11-23T13:00:00.000Z' }, IN_USE],
      identities: { [ADDRESS]: 'leaf 2' },
    },
  },
  {
    name: 'a rename',
    leaving: 'one identity, of the new address',
    prepare: usual.RENAME.prepare,
    run: oneLook(),
    expect: {
      ...REPLACED,
      leaves: [SUPERSEDED, { state: 'signed', address: NEW_ADDRESS }],
      identities: { [NEW_ADDRESS]: 'leaf 2' },
      wishes: [],
    },
  },
  {
    name: 'an alias that is certified at once',
    leaving: 'a leaf that names it',
    prepare: async (world) => {
      await joined(world, { policy: under({ aliases: 'at-once' }) });
      world.directory.put({ userId: USER_ID, aliases: ['ana.alias@acme.example'] });
    },
    run: oneLook({ policy: under({ aliases: 'at-once' }) }),
    expect: { state: 'ready', leaves: [IN_USE, IN_USE], identities: { [ADDRESS]: 'leaf 2' } },
  },
  {
    name: 'an address that goes to another user',
    leaving: 'the former holder’s leaf revoked before the new one’s is there',
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS, aliases: [] });
      world.directory.put({ userId: OTHER_ID, primaryEmail: ADDRESS });
    },
    run: async (ports) => {
      await look(ports, {}, OTHER_ID);
      await look(ports);
      await look(ports, {}, OTHER_ID);
    },
    end: async (world) => (await world.ledger.readUser(OTHER_ID)).leaves.map(({ addresses }) => addresses),
    expect: {
      leaves: [
        { address: ADDRESS, revoked: 'affiliationChanged at 2026-11-22T13:00:00.000Z' },
        { address: NEW_ADDRESS },
      ],
      identities: { [NEW_ADDRESS]: 'leaf 2' },
    },
    expectMore: [[ADDRESS]],
  },
];

const DEPARTURES: readonly Workflow[] = [
  {
    name: 'the beginning of a leave',
    leaving: 'everything as it was and the day on which it ends',
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    },
    run: oneLook(),
    end: async (world) =>
      (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 })).filter(
        ({ step }) => step === 'leave-begun',
      ).length,
    expect: { state: 'leaving', nextAction: 'revoke', leaves: [IN_USE], identities: { [ADDRESS]: 'leaf 1' } },
    expectMore: 1,
  },
  {
    name: 'a leave whose grace period is over',
    leaving: 'the leaf revoked, the identity gone and the pair kept',
    prepare: usual.LEAVE.prepare,
    run: oneLook(),
    expect: {
      state: 'out',
      nextAction: undefined,
      leaves: [{ address: ADDRESS, revoked: 'affiliationChanged at 2026-11-23T14:00:00.000Z' }],
      gmailPairs: ['leaf 1 enabled'],
      identities: {},
    },
  },
  {
    name: 'a leave after which policy disables the pairs',
    leaving: 'the pair disabled',
    prepare: leftAndDisabled,
    run: oneLook({ policy: DISABLES }),
    expect: { state: 'out', gmailPairs: ['leaf 1 disabled'], identities: {} },
  },
  {
    name: 'a return after that',
    leaving: 'the old pair enabled and a new one in use',
    prepare: async (world) => {
      await leftAndDisabled(world);
      await look(world, { policy: DISABLES });
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Staff' });
    },
    run: oneLook({ policy: DISABLES }),
    expect: {
      state: 'ready',
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
    },
  },
  {
    name: 'a return within the grace period',
    leaving: 'everything as it was',
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
      await seenAndLater(world, HOUR_MS);
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Staff' });
    },
    run: oneLook(),
    expect: { state: 'ready', leaves: [IN_USE], identities: { [ADDRESS]: 'leaf 1' } },
  },
  {
    name: 'a deletion with a re-key still open',
    leaving: 'the leaf revoked and the re-key failed',
    prepare: usual.DELETE.prepare,
    run: oneLook(),
    expect: {
      state: 'out',
      leaves: [{ revoked: 'cessationOfOperation at 2026-11-22T13:00:00.000Z' }],
      openWishes: 0,
      wishes: ['failed'],
    },
  },
  {
    name: 'a suspension whose grace period is over',
    leaving: 'the leaf revoked and the identity kept',
    prepare: async (world) => {
      await suspended(world);
      await seenAndLater(world, 30 * DAY_MS + HOUR_MS);
    },
    run: oneLook(),
    expect: {
      state: 'out',
      leaves: [{ revoked: 'privilegeWithdrawn at 2026-12-22T14:00:00.000Z' }],
      identities: { [ADDRESS]: 'leaf 1' },
    },
  },
  {
    name: 'the end of such a suspension',
    leaving: 'another leaf in use',
    prepare: async (world) => {
      await suspended(world);
      await seenAndLater(world, 30 * DAY_MS + HOUR_MS);
      await look(world);
      world.directory.put({ userId: USER_ID, suspended: false });
    },
    run: oneLook(),
    expect: { state: 'ready', keys: 2, identities: { [ADDRESS]: 'leaf 2' } },
  },
  {
    name: 'the end of a suspension in time, in which a re-key was asked for',
    leaving: 'the re-key done',
    prepare: async (world) => {
      await suspended(world);
      await look(world);
      await usual.wish(world, 'superseded');
      await look(world);
      world.directory.put({ userId: USER_ID, suspended: false });
    },
    run: oneLook(),
    expect: REPLACED,
  },
  {
    name: 'an archived account whose grace period is over',
    leaving: 'the leaf revoked and the identity gone',
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, archived: true });
      await seenAndLater(world, DAY_MS + HOUR_MS);
    },
    run: oneLook(),
    expect: {
      state: 'out',
      leaves: [{ revoked: 'affiliationChanged at 2026-11-23T14:00:00.000Z' }],
      identities: {},
    },
  },
  {
    name: 'the departure of somebody who is in no list any more',
    leaving: 'the leaf revoked',
    prepare: async (world) => {
      await joined(world);
      world.directory.forget(USER_ID);
      const lease = await world.ledger.acquireLease('job:sweep', HOUR_MS);
      if (lease === undefined) throw new Error('A sweep is under way.');
      for (const hours of [0, 30]) {
        world.clock.advance(hours * HOUR_MS);
        await world.ledger.requestSweep({ scope: '/', cause: { eventId: 'sweep', event: 'schedule' } });
        const sweep = await world.ledger.takeUpSweep(lease);
        world.clock.advance(HOUR_MS);
        const end = { state: 'whole', missing: [USER_ID], sampled: 0 } as const;
        await world.ledger.endSweep(lease, sweep?.sweepId ?? 0n, end);
      }
      await world.ledger.releaseLease(lease);
    },
    run: oneLook(),
    expect: { state: 'out', leaves: [{ revoked: expect.stringMatching(/^cessationOfOperation/) }] },
  },
];

/** One departure an hour. */
const STRICT = { ...POLICY, guard: { minimumPerHour: 1, shareOfCovered: 0, maximumPerHour: 200 } };

/** Two are deleted in one hour, and one of them has departed. */
const twoDeleted = async (world: World): Promise<void> => {
  await joined(world);
  world.directory.put({ userId: OTHER_ID, primaryEmail: 'ben@acme.example' });
  await look(world, {}, OTHER_ID);
  world.clock.advance(HOUR_MS);
  for (const userId of [OTHER_ID, USER_ID]) world.directory.remove(userId);
  await look(world, { policy: STRICT }, OTHER_ID);
};

const heldSets = async (world: World) =>
  (await world.ledger.heldSets({ state: 'any' })).map(
    ({ setId, state, held }) => `${setId} ${state} ${held}`,
  );

const HELD: readonly Workflow[] = [
  {
    name: 'a departure past the guard’s limit',
    leaving: 'one held set and nothing taken',
    prepare: twoDeleted,
    run: oneLook({ policy: STRICT }),
    end: heldSets,
    expect: { state: 'leaving', nextAction: 'wait-for-approval', leaves: [IN_USE] },
    expectMore: ['1 open 1'],
  },
  {
    name: 'a held departure of somebody who came back',
    leaving: 'nobody held and everything as it was',
    prepare: async (world) => {
      await twoDeleted(world);
      await look(world, { policy: STRICT });
      world.directory.put({ userId: USER_ID });
    },
    run: oneLook({ policy: STRICT }),
    end: heldSets,
    expect: { state: 'ready', leaves: [IN_USE] },
    expectMore: ['1 open 0'],
  },
];

export const PEOPLE: readonly Workflow[] = [...JOINS_AND_CHANGES, ...DEPARTURES, ...HELD];
export { STRICT, twoDeleted };
