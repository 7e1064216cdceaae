/** What brings news of the directory, and what goes on by itself: sweeps, waves, channels, gaps, rotations. */
import { constants, createHash, createPrivateKey, privateDecrypt, randomBytes } from 'node:crypto';
import { createDirectoryEvent } from '../../../functions/directory-event.ts';
import { createDirectoryWatch } from '../../../functions/directory-watch.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import { isSealwrightError, permanent, retryable } from '../../../shared/errors.ts';
import { kekIdOfWrappedKey, sealPrivateKey } from '../../../shared/kacls/wrapped-key.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import type { KeyProving } from '../../../shared/ports/key-proving.ts';
import type { KeyRewrapping } from '../../../shared/ports/key-rewrapping.ts';
import type { Activity, Reports } from '../../../shared/ports/reports.ts';
import { proveKeys } from '../../../shared/reconcile/prove-keys.ts';
import { rewrapKeys } from '../../../shared/reconcile/rewrap-keys.ts';
import { hintDueUsers } from '../../../shared/sources/hint-due-users.ts';
import { askAgain } from '../../../shared/sources/reads-lag.ts';
import { readReports } from '../../../shared/sources/reports/read-reports.ts';
import { tick } from '../../../shared/sources/sweep/tick.ts';
import { keepChannels } from '../../../shared/sources/watch-channels.ts';
import { logEntry, parameter } from '../../functions/support/pushes.ts';
import { seededRandom } from '../../pki/sample-authority.ts';
import { ADDRESS, USER_ID } from '../../reconcile/workflows.ts';
import {
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  MINUTE_MS,
  POLICY,
  type Ports,
  START,
  type World,
} from '../../support/fakes/world.ts';
import { BEHIND_IAM, call, pushOf } from '../../support/invocation.ts';
import { inForce } from '../../support/policy.ts';
import { ADMIN, type CrashMaterials, look, NEW_URL, OTHER_ID, under, type Workflow } from '../workflow.ts';
import { SQL } from './admin.ts';
import { suppliedOf } from './keys.ts';
import { joined } from './people.ts';

const BEFORE = { policy: POLICY, activation: 'before' };
const AFTER = { policy: under({ keyServiceUrl: NEW_URL }), activation: 'after-0123456789' };

const GROUP = 'pilots';
const OF_GROUP = {
  policy: under({ scope: { kind: 'group', address: 'pilots@acme.example', groupId: GROUP } }),
  activation: 'group-0123456789',
};

interface InForce {
  readonly policy: Policy;
  readonly activation: string;
}

/** One invocation of the sweep; a page takes a unit of time, of which there are three. */
function sweepOnce(ports: Ports, inForceNow: InForce, directory: Directory = ports.directory) {
  let elapsedMs = 0;
  return tick({
    ...ports,
    ...inForceNow,
    directory,
    elapsedMs: () => {
      elapsedMs += 1;
      return elapsedMs;
    },
    ...{ budgetMs: 3, intervalMs: 6 * HOUR_MS, lookByAgeMs: 7 * DAY_MS, hintsPerMinute: 2 },
  });
}

async function sweepThrough(ports: Ports, inForceNow: InForce, directory?: Directory): Promise<void> {
  for (let invocations = 0; invocations < 30; invocations += 1)
    if (!(await sweepOnce(ports, inForceNow, directory)).underWay) return;
  throw new Error('The sweep does not end.');
}

/** Whoever was hinted at is looked at, minute after minute, until no hint waits. */
async function untilQuiet(world: World, { policy, ...more }: InForce): Promise<void> {
  const at = START.getTime() + 30 * DAY_MS;
  world.clock.set(new Date(at));
  await world.publishCrl();
  for (let minutes = 0; minutes < 12; minutes += 1) {
    const hinted = world.bus.hints.splice(0).flatMap((hint) => ('userId' in hint ? [hint.userId] : []));
    for (const userId of [...new Set(hinted)].toSorted()) await look(world, { policy }, userId);
    world.clock.set(new Date(at + (minutes + 1) * MINUTE_MS));
    await sweepOnce(world, { policy, ...more });
  }
}

const ADDED = {
  version: 1,
  userId: USER_ID,
  cause: { source: 'watch', eventId: 'channel-1:7', event: 'add', at: START.toISOString() },
} as const;
const STAFF = ['201', '202', '203', '204'];

/** Ana, four others, and one more whom nobody has looked at. */
const company = async (world: World): Promise<void> => {
  await joined(world);
  for (const userId of STAFF) {
    world.directory.put({ userId, primaryEmail: `u${userId}@acme.example` });
    await look(world, {}, userId);
  }
  world.clock.advance(HOUR_MS);
};

/** The second page does not come at first, and then its token is no longer taken. */
function hinderedOnce(directory: Directory): Directory {
  let asked = 0;
  return {
    ...directory,
    livingPage: async (request) => {
      if (request.pageToken !== undefined) {
        asked += 1;
        if (asked === 1) throw retryable('directory-unavailable', 'The directory is away.');
        if (asked === 2) throw retryable('page-token-expired', 'The page token is no longer taken.');
      }
      return await directory.livingPage(request);
    },
  };
}

const lastSweep = async (world: World) => {
  const { lastWhole } = await world.ledger.sweepOverview();
  return { living: lastWhole?.living, deleted: lastWhole?.deleted };
};

const SWEEPS: readonly Workflow[] = [
  {
    name: 'a sweep that is hindered and has to start over',
    leaving: 'everybody looked at who differed, and whom it missed written down',
    prepare: async (world) => {
      await company(world);
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
      world.directory.put({ userId: '201', primaryEmail: 'married@acme.example' });
      world.directory.remove('202');
      world.directory.put({ userId: OTHER_ID, primaryEmail: 'new@acme.example' });
    },
    run: (ports) => sweepThrough(ports, BEFORE, hinderedOnce(ports.directory)),
    again: (ports) => sweepThrough(ports, BEFORE),
    afterwards: (world) => untilQuiet(world, BEFORE),
    end: lastSweep,
    expect: { state: 'leaving' },
    expectMore: { living: 5, deleted: 1 },
  },
  {
    name: 'a sweep of an org unit',
    leaving: 'whoever differs there looked at',
    prepare: async (world) => {
      await company(world);
      await sweepThrough(world, BEFORE);
      world.bus.hints.length = 0;
      world.directory.put({ userId: '203', primaryEmail: 'married@acme.example' });
      const cause = { eventId: 'unit', event: 'MOVE_ORG_UNIT' };
      await world.ledger.requestSweep({ scope: '/Staff', cause });
    },
    run: (ports) => sweepThrough(ports, BEFORE),
    afterwards: (world) => untilQuiet(world, BEFORE),
    end: async (world) => [...world.gmail.account('203').identities.keys()],
    expectMore: ['married@acme.example'],
  },
  {
    name: 'a sweep under a group whose members take several invocations to read',
    leaving: 'whoever is not in it looked at, and nothing kept of the members',
    prepare: async (world) => {
      await company(world);
      world.directory.members.set(GROUP, new Set([...STAFF, OTHER_ID]));
      await sweepOnce(world, OF_GROUP);
      const { running } = await world.ledger.sweepOverview();
      if (running?.groups?.[0]?.pageToken === undefined) throw new Error('The group is read already.');
    },
    run: (ports) => sweepThrough(ports, OF_GROUP),
    afterwards: (world) => untilQuiet(world, OF_GROUP),
    end: async (world) => {
      const kept: unknown[] = [];
      const { lastWhole } = await world.ledger.sweepOverview();
      for await (const piece of world.ledger.membersOfSweep(lastWhole?.sweepId ?? 0n)) kept.push(piece);
      return { ...(await lastSweep(world)), kept, groups: lastWhole?.groups };
    },
    expect: { state: 'leaving' },
    expectMore: { living: 5, deleted: 0, kept: [], groups: undefined },
  },
  {
    name: 'the second sweep in a row of a directory that has shrunk',
    leaving: 'nobody gone and departures latched until an admin looks',
    prepare: async (world) => {
      await company(world);
      await sweepThrough(world, BEFORE);
      for (const userId of STAFF.slice(0, 3)) world.directory.forget(userId);
      world.clock.advance(6 * HOUR_MS);
      await sweepThrough(world, BEFORE);
      world.clock.advance(HOUR_MS);
    },
    run: (ports) => sweepThrough(ports, BEFORE),
    end: async (world) => ({
      last: (await world.ledger.sweepOverview()).lastEnded?.state,
      held: (await world.ledger.heldSets({ state: 'open' })).map(({ scope }) => scope),
    }),
    expectMore: { last: 'not-whole', held: ['tenant'] },
  },
  {
    name: 'a policy that changes',
    leaving: 'everybody moved to its key service in waves',
    prepare: async (world) => {
      await company(world);
      await sweepThrough(world, BEFORE);
      world.bus.hints.length = 0;
    },
    run: async (ports, world) => {
      for (let minutes = 0; minutes < 4; minutes += 1) {
        world.clock.advance(MINUTE_MS);
        await sweepThrough(ports, AFTER);
      }
    },
    afterwards: (world) => untilQuiet(world, AFTER),
    end: async (world) => ({
      waiting: (await world.ledger.rolloutOverview()).waiting,
      under: (await world.ledger.users()).map(({ keys }) => {
        const last = keys.at(-1);
        return last !== undefined && 'keyServiceUrl' in last ? last.keyServiceUrl : undefined;
      }),
    }),
    expectMore: { waiting: 0, under: Array(5).fill(NEW_URL) },
  },
];

const channelDeps = (ports: Ports, world: World) => ({
  ...ports,
  receiverUrl: 'https://watch.acme.example/',
  randomBytes: seededRandom('channels'),
  randomId: () => `channel-${[...world.directory.openChannels.keys()].length}-${world.random(4).join('')}`,
});

const keep = (ports: Ports, world: World) => keepChannels(channelDeps(ports, world));

/** Notifications come through every channel that Google has; then ours are looked after once more. */
async function heardOfAll(world: World): Promise<void> {
  const ours = new Set((await world.ledger.channels()).map(({ channelId }) => channelId));
  for (const { channelId, resourceId } of [...world.directory.openChannels.values()])
    if (!ours.has(channelId)) await world.ledger.recordStrayNotification(channelId, resourceId);
  await keep(world, world);
}

const channelsOf = async (world: World) => ({
  google: world.directory.openChannels.size,
  ours: (await world.ledger.channels()).length,
});

const CHANNELS: readonly Workflow[] = [
  {
    name: 'the replacement of a notification channel',
    leaving: 'one channel, with us and with Google',
    prepare: async (world) => {
      await keep(world, world);
      world.clock.advance(5.5 * HOUR_MS);
    },
    run: keep,
    afterwards: heardOfAll,
    end: channelsOf,
    expectMore: { google: 1, ours: 1 },
  },
  {
    name: 'the stop of a channel that was let go and still brings something',
    leaving: 'one channel, with us and with Google',
    prepare: async (world) => {
      await keep(world, world);
      const [stray] = await world.ledger.channels();
      if (stray === undefined) throw new Error('There is no channel.');
      await world.ledger.retireChannel(stray.channelId);
      await world.ledger.recordStrayNotification(stray.channelId, stray.resourceId);
    },
    run: keep,
    afterwards: heardOfAll,
    end: channelsOf,
    expectMore: { google: 1, ours: 1 },
  },
];

const DUE: readonly Workflow[] = [
  {
    name: 'a run of `due`',
    leaving: 'whoever was due hinted at and looked at',
    prepare: async (world) => {
      await joined(world);
      await world.ledger.recordRekeyJob({
        ...{ requestedBy: ADMIN, reason: 'superseded' },
        users: [{ userId: USER_ID, primaryEmail: ADDRESS }],
      });
    },
    run: (ports) => hintDueUsers({ ...ports, hintsPerMinute: 2 }, 'due-1'),
    afterwards: async (world) => {
      const hinted = world.bus.hints.splice(0).flatMap((hint) => ('userId' in hint ? [hint.userId] : []));
      for (const userId of new Set(hinted)) await look(world, {}, userId);
    },
    expect: { keys: 2, identities: { [ADDRESS]: 'leaf 2' }, wishes: ['fulfilled'] },
  },
];

/** Told of somebody whom the directory shows only afterwards. */
const APPEARING: readonly Workflow[] = [
  {
    name: 'an event about somebody whom the directory does not show yet',
    leaving: 'them ready once `due` has asked again',
    prepare: async () => undefined,
    run: async (ports) => {
      const deliver = createDirectoryEvent({
        ...{ ...ports.deps, ...BEHIND_IAM, policies: inForce(POLICY) },
      });
      await call(deliver, '/', pushOf('message-1', ADDED));
      await askAgain({ ...ports, hintsPerMinute: 4 });
    },
    afterwards: async (world) => {
      world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
      // Where nothing waits the message was delivered again after the crash, and the hint is out.
      await askAgain({ ...world, hintsPerMinute: 4 });
      const hinted = world.bus.hints.splice(0).flatMap((hint) => ('userId' in hint ? [hint.userId] : []));
      for (const userId of new Set(hinted)) await look(world, {}, userId);
    },
    end: async (world) => await world.ledger.putOffHints(1),
    expect: { state: 'ready', keys: 1, identities: { [ADDRESS]: 'leaf 1' } },
    expectMore: [],
  },
];

/** It may fail for what passes, and is then delivered again; a death is a death. */
const orLater = async (work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
  }
};

const suspends = (happenedAt: Date): Activity => ({
  ...{ happenedAt, uniqueQualifier: '77', actor: ADMIN },
  events: [{ name: 'SUSPEND_USER', parameters: new Map([['USER_EMAIL', ADDRESS]]) }],
});
const movesUnit = (happenedAt: Date): Activity => ({
  ...{ happenedAt, uniqueQualifier: '78', actor: ADMIN },
  events: [{ name: 'MOVE_ORG_UNIT', parameters: new Map([['ORG_UNIT_NAME', '/Staff']]) }],
});

/** Two pages of what the log sink has lost; the second does not come so often. */
function lostEntries(failures: number): Reports {
  const from = new Date(START.getTime() + HOUR_MS);
  let asked = 0;
  return {
    activityPage: async ({ pageToken }) => {
      if (pageToken === undefined) return { activities: [suspends(from)], nextPageToken: 'second' };
      asked += 1;
      if (asked <= failures) throw retryable('reports-unavailable', 'The Reports API is away.');
      return { activities: [movesUnit(from)] };
    },
  };
}

const reading = (ports: Ports, reports: Reports) => ({
  ...{ ...ports, reports, elapsedMs: () => 0, budgetMs: 60_000 },
});

const news = async (world: World) => ({
  hinted: [...new Set(world.bus.hints.map((hint) => ('address' in hint ? hint.address : hint.userId)))],
  sweeps: (await world.ledger.sweepOverview()).waiting.map(({ scope }) => scope),
});

/** As Google’s log has it. */
const SUSPENDED = logEntry([{ eventName: 'SUSPEND_USER', parameter: [parameter('USER_EMAIL', ADDRESS)] }]);

const NEWS: readonly Workflow[] = [
  {
    name: 'a reading of the Reports API that breaks off once',
    leaving: 'every lost entry followed',
    world: SQL,
    prepare: async (world) => {
      await joined(world);
      world.clock.advance(HOUR_MS);
    },
    run: async (ports, world) => {
      const reports = lostEntries(1);
      await readReports(reading(ports, reports));
      world.clock.advance(10 * MINUTE_MS);
      await readReports(reading(ports, reports));
    },
    again: async (ports, world) => {
      world.clock.advance(10 * MINUTE_MS);
      await readReports(reading(ports, lostEntries(0)));
    },
    end: async (world) => ({
      ...(await news(world)),
      through: (await world.ledger.reportsReading()).through !== undefined,
    }),
    expectMore: { hinted: [ADDRESS], sweeps: ['/'], through: true },
  },
  {
    name: 'an entry of the audit log whose look fails once',
    leaving: 'the user looked at and the entry followed',
    world: SQL,
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, suspended: true });
    },
    run: async (ports) => {
      const deliver = (directory: Directory) =>
        call(
          createDirectoryEvent({
            ...{ ...ports.deps, ...BEHIND_IAM, directory, policies: inForce(POLICY) },
          }),
          '/',
          pushOf('message-1', SUSPENDED),
        );
      const away = async (): Promise<never> => {
        throw retryable('directory-unavailable', 'The directory is away.');
      };
      await orLater(deliver({ ...ports.directory, presence: away }));
      await deliver(ports.directory);
    },
    end: async (world) => (await world.ledger.sources()).map(({ source }) => source),
    expect: { state: 'leaving' },
    expectMore: ['audit', 'watch'],
  },
  {
    name: 'notifications through a channel of ours and through one that is over',
    leaving: 'a hint of the one and word of the other',
    world: SQL,
    prepare: async (world) => {
      const token = createHash('sha256').update('token').digest('hex');
      const row = { resourceId: '', tokenSha256Hex: token, event: 'all' };
      const expiresAt = new Date(START.getTime() + DAY_MS);
      for (const channelId of ['ours', 'over'])
        await world.ledger.recordChannel({ ...row, channelId, expiresAt });
      await world.ledger.retireChannel('over');
    },
    run: async (ports) => {
      const watch = createDirectoryWatch(ports);
      const through = (channelId: string) =>
        call(
          watch,
          '/',
          { id: USER_ID },
          {
            ...{ 'x-goog-channel-id': channelId, 'x-goog-channel-token': 'token' },
            ...{ 'x-goog-resource-state': 'update', 'x-goog-resource-id': 'resource' },
          },
        );
      await through('over').catch((error: unknown) => {
        if (!isSealwrightError(error) || error.code !== 'not-found') throw error;
      });
      await through('ours');
    },
    end: async (world) => ({
      ...(await news(world)),
      strays: (await world.ledger.strayChannels()).map(({ channelId }) => channelId),
    }),
    expectMore: { hinted: [USER_ID], sweeps: [], strays: ['over'] },
  },
];

/** A key service that opens what its own wrapped keys hold. */
const provingWith = ({ pool }: CrashMaterials): KeyProving => ({
  decryptSample: async ({ spkiSha256Hex, encrypted }) => {
    const held = pool.keys.find(
      ({ spkiDer }) => createHash('sha256').update(spkiDer).digest('hex') === spkiSha256Hex,
    );
    if (held === undefined) throw permanent('key-service-refused', 'There is no such key.');
    const key = createPrivateKey({ key: Buffer.from(held.pkcs8Der), format: 'der', type: 'pkcs8' });
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, encrypted);
  },
});

/** As our own key service makes them, under a key-encryption key that is named. */
const blobUnder = (kekId: string, spkiSha256Hex: string) =>
  sealPrivateKey(
    randomBytes(1200),
    { userId: USER_ID, perimeterId: '', spkiSha256: Buffer.from(spkiSha256Hex, 'hex') },
    { kek: { id: kekId, key: randomBytes(32) }, tenantId: 'C00sample', random: randomBytes },
  );

/** Wraps again what it reads: everything under `kek/1`, and nothing older. */
const rotated: KeyRewrapping = {
  rewrapPrivateKey: async ({ wrappedKey }) => {
    if (kekIdOfWrappedKey(wrappedKey) === 'kek/0')
      throw permanent('key-service-refused', 'It does not open.', { details: { httpStatus: 400 } });
    return { wrappedKey: blobUnder('kek/2', '0'.repeat(64)), kekId: 'kek/2' };
  },
};

const ROTATIONS: readonly Workflow[] = [
  {
    name: 'a rotation of the key-encryption key',
    leaving: 'one key wrapped again, and one that does not open written down',
    world: SQL,
    prepare: async (world, materials) => {
      for (const [userId, which, kekId] of [
        [USER_ID, 22, 'kek/1'],
        [OTHER_ID, 27, 'kek/0'],
      ] as const) {
        world.directory.put({ userId });
        await look(world, suppliedOf(materials, which, blobUnder(kekId, '0'.repeat(64))), userId);
      }
    },
    // Which key shows it that there is a newer one is a matter of chance, so it is asked until there is nothing to do.
    run: async (ports) => {
      const deps = { ...ports, keyRewrapping: rotated };
      for (;;) {
        const { more } = await rewrapKeys(deps, { keyServiceUrl: KEY_SERVICE_URL, eventId: 'rotation' });
        if (!more) return;
      }
    },
    end: async (world) => ({
      counts: (await world.ledger.countWrappedKeys()).map(({ kekId, rewrappedUnder, unreadable }) => ({
        ...{ kekId, rewrappedUnder, unreadable },
      })),
      told: (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 })).filter(
        ({ step }) => step === 'rewrap-key',
      ).length,
    }),
    expectMore: {
      counts: [
        { kekId: 'kek/0', rewrappedUnder: {}, unreadable: 1 },
        { kekId: 'kek/1', rewrappedUnder: { 'kek/2': 1 }, unreadable: 0 },
      ],
      told: 1,
    },
  },
  {
    name: 'a proof of wrapped keys',
    routes: ['/v1/keys/prove'],
    leaving: 'the key proven and a line that says so',
    world: SQL,
    prepare: async (world, materials) => {
      world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
      await look(world, suppliedOf(materials, 22));
    },
    run: (ports, _, materials) =>
      proveKeys(
        { ...ports, keyProving: provingWith(materials) },
        { keyServiceUrl: KEY_SERVICE_URL, authentication: 'a token', admin: ADMIN },
      ),
    end: async (world) => ({
      proofs: (await world.ledger.readUser(USER_ID)).keys.map(({ proof }) => proof),
      told: (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 })).filter(
        ({ step }) => step === 'prove-key',
      ).length,
    }),
    expectMore: { proofs: ['proven'], told: 1 },
  },
];

export const SOURCES: readonly Workflow[] = [
  ...SWEEPS,
  ...CHANNELS,
  ...DUE,
  ...APPEARING,
  ...NEWS,
  ...ROTATIONS,
];
