/**
 * A ledger in plain maps, for tests that tell thousands of histories. It promises what the ledger in SQL promises:
 * `test/support/memory-ledger.test.ts` holds it to the same contract, and `twinLedger` compares the two answer by answer.
 * It keeps no device keys, OCSP answers, checkpoints, requests about pairs, rewrapped or imported keys, news of sources and paces, and says so when asked.
 */
import { randomUUID } from 'node:crypto';
import type { Cause } from '../../../../shared/domain/hint.ts';
import type { Clock } from '../../../../shared/ports/clock.ts';
import type { StopLedger } from '../../../../shared/ports/ledger/stop.ts';
import type { Ledger } from '../../../../shared/ports/ledger.ts';
import { type Saved, stateCell } from '../state.ts';
import { audit, insertAudit } from './audit.ts';
import { dueUsers } from './due-users.ts';
import { guard } from './guard.ts';
import { crls, issuers } from './issuers.ts';
import { keys } from './keys.ts';
import { leases, renewLease, wakeUsers } from './leases.ts';
import { leaves } from './leaves.ts';
import { passedOver } from './passed-over.ts';
import { policyFollowing } from './policy-following.ts';
import { putOffHints } from './put-off-hints.ts';
import { rollouts } from './rollouts.ts';
import { byText, emptyRows, type Memory, type Rows } from './rows.ts';
import { sources } from './sources.ts';
import { sweeps } from './sweeps.ts';
import { users } from './users.ts';
import { wishes } from './wishes.ts';

/** The rows that several processes share. */
export interface MemoryDatabase extends Saved {
  /** The ledger as one process sees it. */
  open(options: { readonly clock: Clock; readonly randomId?: () => string }): Ledger;
  /** The rows themselves, to be looked at. */
  look(): Rows;
  /** Everything but the leases. */
  contents(): unknown;
  /** Ends every lease now, or the one on a subject. */
  expireLeases(subject?: string): void;
}

/** `nowMs` is the database's own clock, by which leases run out. Default: the machine's. */
export function memoryDatabase(nowMs: () => number = Date.now): MemoryDatabase {
  const rows = stateCell(emptyRows());
  return {
    save: rows.save,
    open: ({ clock, randomId = randomUUID }) => ledgerOf({ rows, clock, nowMs, randomId }),
    look: () => rows.now,
    contents: () => {
      const { leases: _, ...others } = rows.now;
      return structuredClone(others);
    },
    expireLeases: (subject) => {
      for (const [name, lease] of rows.now.leases)
        if ((subject === undefined || name === subject) && lease.holder !== undefined)
          rows.now.leases.set(name, { ...lease, expiresMs: Math.min(lease.expiresMs, nowMs() - 1) });
    },
  };
}

const ledgerOf = (memory: Memory): Ledger => ({
  ...notKept(
    ...(['recordDeviceKey', 'readDeviceKey', 'withdrawDeviceKey'] as const),
    ...(['recordAuditSignerIntent', 'readAuditSigner', 'recordSignedAuditSigner', 'auditSigners'] as const),
    ...(['recordCheckpointIntent', 'readCheckpoint', 'latestCheckpoint', 'recordSignedCheckpoint'] as const),
    ...(['checkpoints', 'recordKeypairRequest', 'decideKeypairRequest', 'closeKeypairRequest'] as const),
    ...(['readKeypairRequest', 'keypairRequests', 'ocspIssuers', 'readOcspAnswer'] as const),
    ...(['recordOcspSignerIntent', 'readOcspSigner', 'recordSignedOcspSigner', 'ocspSigners'] as const),
    ...(['ocspSubjects', 'readOcspSubjects', 'readLeafStatus', 'recordOcspBatch'] as const),
    ...(['readOcspBatch', 'forgetOcsp'] as const),
    ...(['recordSignedOcspBatch', 'oldestOcspAnswer', 'countWrappedKeys', 'keysToRewrap'] as const),
    ...([
      'mailEpochs',
      'tiedEpochs',
      'keyMovesWanted',
      'recordKeyMoveJob',
      'recordMovedForm',
      'closeKeyMove',
    ] as const),
    ...(['recordImport', 'readImport', 'closeImport', 'countImportedKeys'] as const),
    ...(['recordRewrapped', 'recordUnreadable', 'newerWrappedKey', 'addressHistory', 'keysToProve'] as const),
    ...(['recordNews', 'followEntries', 'followedEntries', 'noteArrivals', 'arrivedEntries'] as const),
    ...(['recordReportsPosition', 'recordReportsRead', 'recordReportsFailure'] as const),
    ...(['bookPace', 'holdPace', 'keysOfDeleted', 'recordErasure', 'decideErasure', 'eraseKeys'] as const),
    ...(['closeErasure', 'readErasure', 'erasures', 'erasedKeys'] as const),
  ),
  ...leases(memory),
  ...users(memory),
  ...dueUsers(memory),
  ...keys(memory),
  ...leaves(memory),
  ...wishes(memory),
  ...issuers(memory),
  ...crls(memory),
  ...channels(memory),
  ...sweeps(memory),
  ...rollouts(memory),
  ...activations(memory),
  ...policyFollowing(memory),
  ...audit(memory),
  ...guard(memory),
  ...stop(memory),
  ...sources(memory),
  ...passedOver(memory),
  ...putOffHints(memory),
  close: async () => undefined,
});

/** Methods that say that this ledger has no such rows. */
function notKept<const Name extends keyof Ledger>(...names: readonly Name[]): Pick<Ledger, Name> {
  const refuse = (name: string) => () => {
    throw new Error(`The ledger in memory has no ${name}; use the real one for a test that needs it.`);
  };
  return Object.fromEntries(names.map((name) => [name, refuse(name)])) as unknown as Pick<Ledger, Name>;
}

const WEEK_MS = 7 * 86_400_000;

const channels = ({
  rows,
  clock,
}: Memory): Pick<
  Ledger,
  | 'recordChannel'
  | 'readChannel'
  | 'channels'
  | 'retireChannel'
  | 'recordStrayNotification'
  | 'strayChannels'
  | 'recordChannelStopped'
> => ({
  recordChannel: async (channel) => {
    rows.now.channels.set(channel.channelId, { ...rows.now.channels.get(channel.channelId), ...channel });
  },
  readChannel: async (channelId) => {
    const channel = rows.now.channels.get(channelId);
    if (channel === undefined) return undefined;
    const { tokenSha256Hex, resourceId, expiresAt, retiredAt } = channel;
    return { tokenSha256Hex, resourceId, expiresAt, ...(retiredAt === undefined ? {} : { retiredAt }) };
  },
  channels: async () =>
    [...rows.now.channels.values()]
      .filter(({ retiredAt }) => retiredAt === undefined)
      .toSorted(
        (left, right) =>
          left.expiresAt.getTime() - right.expiresAt.getTime() || byText(left.channelId, right.channelId),
      )
      .map(({ channelId, resourceId, event, expiresAt }) => ({ channelId, resourceId, event, expiresAt })),
  retireChannel: async (channelId) => {
    const channel = rows.now.channels.get(channelId);
    const now = clock.now();
    if (channel !== undefined)
      rows.now.channels.set(channelId, { ...channel, retiredAt: channel.retiredAt ?? now });
    for (const { channelId: id, retiredAt } of [...rows.now.channels.values()])
      if (retiredAt !== undefined && now.getTime() - retiredAt.getTime() > WEEK_MS)
        rows.now.channels.delete(id);
  },
  recordStrayNotification: async (channelId, resourceId) => {
    const channel = rows.now.channels.get(channelId);
    if (channel === undefined) return;
    rows.now.channels.set(channelId, {
      ...channel,
      isHeard: true,
      resourceId: channel.resourceId || resourceId,
    });
  },
  strayChannels: async () =>
    [...rows.now.channels.values()]
      .filter(
        ({ retiredAt, isHeard, resourceId }) =>
          retiredAt !== undefined && isHeard === true && resourceId !== '',
      )
      .toSorted((left, right) => byText(left.channelId, right.channelId))
      .map(({ channelId, resourceId }) => ({ channelId, resourceId })),
  recordChannelStopped: async (channelId) => {
    const channel = rows.now.channels.get(channelId);
    if (channel !== undefined) rows.now.channels.set(channelId, { ...channel, isHeard: false });
  },
});

const activations = ({
  rows,
  clock,
}: Memory): Pick<Ledger, 'recordPolicyActivation' | 'latestPolicyActivation'> => ({
  recordPolicyActivation: async (activation) => {
    const { activations: all } = rows.now;
    if (
      activation.automatic &&
      all.some(({ automatic, digest }) => automatic && digest === activation.digest)
    )
      return;
    all.push({ ...activation, activatedAt: clock.now() });
  },
  latestPolicyActivation: async (digest) =>
    rows.now.activations.findLast((one) => digest === undefined || one.digest === digest),
});

const stop = (memory: Memory): StopLedger => {
  const { rows, clock } = memory;
  const inForce = () => rows.now.stops.findIndex(({ resumed }) => !resumed);
  const causeOf = (event: 'stop' | 'resume', by: string, place: number): Cause => ({
    source: 'admin',
    eventId: `stop-${place + 1}`,
    event,
    actor: by,
  });
  const entry = (event: 'stop' | 'resume', by: string, place: number, reason: string) =>
    insertAudit(memory, {
      cause: causeOf(event, by, place),
      step: event,
      reason,
      outcome: 'done',
    });
  const current = () => {
    const row = rows.now.stops[inForce()];
    return row === undefined ? undefined : { reason: row.reason, by: row.by, at: row.at };
  };
  return {
    currentStop: async () => current(),
    renewHeedingStop: async (lease, durationMs) => {
      renewLease(memory, lease, durationMs);
      return current();
    },
    recordStop: async ({ by, reason }) => {
      if (inForce() !== -1) return 'already';
      rows.now.stops.push({ by, reason, at: clock.now(), resumed: false });
      entry('stop', by, inForce(), `${by} stopped everything: ${reason}`);
      return 'stopped';
    },
    recordResume: async ({ by, paceMs }) => {
      const place = inForce();
      const row = rows.now.stops[place];
      if (row === undefined) return { kind: 'not-stopped' };
      rows.now.stops[place] = { ...row, resumed: true };
      const waiting = [...rows.now.users.values()]
        .filter(({ nextAction }) => nextAction === 'wait-for-resume')
        .map(({ userId }) => userId);
      wakeUsers(memory, waiting, clock.now(), paceMs, 'resume', causeOf('resume', by, place));
      const said = `${by} ended the stop of ${row.by} (${row.reason}); ${waiting.length} users had waited.`;
      entry('resume', by, place, said);
      return { kind: 'resumed', woken: waiting.length };
    },
  };
};
