import {
  EVERYBODY,
  SWEEP_SUBJECT,
  type SweepLedger,
  type SweepRecord,
  type SweptMoment,
} from '../../../../shared/ports/ledger/sweeps.ts';
import { holdLease } from './leases.ts';
import { byText, type Memory, present, type Rows, type UserRow } from './rows.ts';

type Last = Awaited<ReturnType<SweepLedger['sweepOverview']>>;

function change(memory: Memory, sweepId: bigint, changes: object): SweepRecord {
  const { sweeps } = memory.rows.now;
  const known = sweeps.get(sweepId);
  if (known?.state !== 'running') throw new Error(`bug: sweep ${sweepId} is not under way`);
  const changed = present({ ...known, ...changes }) as SweepRecord;
  sweeps.set(sweepId, changed);
  return changed;
}

function takeUp({ rows, clock }: Memory): SweepRecord | undefined {
  const all = [...rows.now.sweeps.values()];
  const running = all.find(({ state }) => state === 'running');
  if (running !== undefined) return running;
  const waiting = all.find(({ state }) => state === 'waiting');
  if (waiting === undefined) return undefined;
  const now = clock.now();
  const begun: SweepRecord = { ...waiting, state: 'running', startedAt: now, passAt: now, passes: 1 };
  rows.now.sweeps.set(begun.sweepId, begun);
  return begun;
}

/** As `concludeAbsences` of the real one. */
function concludeAbsences({ absences }: Rows, sweep: SweepRecord, missing: readonly string[]): void {
  for (const userId of absences.keys()) if (!missing.includes(userId)) absences.delete(userId);
  for (const userId of missing) {
    if (sweep.endedAt === undefined || sweep.passAt === undefined)
      throw new Error('bug: a sweep without times');
    const firstMissedAt = absences.get(userId)?.firstMissedAt ?? sweep.endedAt;
    absences.set(userId, { firstMissedAt, lastMissedAt: sweep.passAt });
  }
}

/** As the column `swept` of the real one. */
export function packed(
  user: Pick<
    UserRow,
    | 'userId'
    | 'state'
    | 'ruleName'
    | 'leftScopeAt'
    | 'suspendedAt'
    | 'addressDigest'
    | 'deletedAt'
    | 'isArchived'
    | 'nextAction'
  >,
): Buffer {
  const isGoogles = /^[1-9][0-9]{20}$/.test(user.userId);
  const id = isGoogles ? Buffer.from(`0${user.userId}`, 'hex') : Buffer.from(user.userId).subarray(0, 255);
  const rule = Buffer.from(user.ruleName ?? '').subarray(0, 255);
  const header = Buffer.alloc(8);
  const state = ['ready', 'pending', 'blocked', 'leaving', 'out'].indexOf(user.state) + 1;
  const left = user.leftScopeAt === undefined ? 0 : 8;
  const suspended = user.suspendedAt === undefined ? 0 : 16;
  const known = user.addressDigest === undefined ? 0 : 32;
  const deleted = user.deletedAt === undefined ? 0 : 64;
  const observed = user.nextAction === 'observe-again' ? 128 : 0;
  const archived = user.isArchived === true ? 1 << 24 : 0;
  header.writeInt32BE(
    ((isGoogles ? 0 : id.length) << 16) |
      (rule.length << 8) |
      state |
      left |
      suspended |
      known |
      deleted |
      observed |
      archived,
    0,
  );
  header.writeInt32BE(user.addressDigest ?? 0, 4);
  return Buffer.concat([header, id, rule]);
}

/** An id in twelve bytes says nothing about its order; the pieces stay as they were written. */
async function* seen({ rows }: Memory, sweepId: bigint): AsyncGenerator<Uint8Array> {
  yield* rows.now.seen.get(sweepId) ?? [];
}

async function* members({ rows }: Memory, sweepId: bigint): ReturnType<SweepLedger['membersOfSweep']> {
  yield* rows.now.members.get(sweepId) ?? [];
}

const packedById = ({ users }: Rows): ReadonlyMap<string, string> =>
  new Map([...users.values()].map((user) => [user.userId, packed(user).toString('hex')]));

/** The real one counts writes where this one compares; who was written and is as before is counted there and not here. */
function momentOf(now: Rows, name: string): SweptMoment {
  const users = packedById(now);
  const kept = now.keptTable;
  const all = new Set([...users.keys(), ...(kept?.users.keys() ?? [])]);
  const changed = [...all].filter((userId) => users.get(userId) !== kept?.users.get(userId));
  const bytesOf = (userIds: Iterable<string>) =>
    Buffer.concat([...userIds].map((userId) => Buffer.from(users.get(userId) ?? '', 'hex')));
  return {
    name,
    estimateUsers: async () => users.size,
    packedUsers: async (take) => take(bytesOf(users.keys())),
    keptTable: async () => (kept === undefined ? undefined : { head: kept.head, writes: changed.length }),
    keptBytes: async (take) => {
      if (kept !== undefined) take(kept.bytes);
    },
    changedUsers: async () => ({ users: changed.length, packed: [bytesOf(changed)] }),
  };
}

export const sweeps = (memory: Memory): SweepLedger => {
  const moments: ReadonlyMap<string, string>[] = [];
  const rows = () => memory.rows.now;
  const users = () => [...rows().users.values()];
  const sightedMs = (user: UserRow) => user.sightedAt?.getTime() ?? Number.NEGATIVE_INFINITY;
  return {
    requestSweep: async ({ scope, cause }) => {
      const isWaiting = [...rows().sweeps.values()].some(
        (sweep) => sweep.state === 'waiting' && sweep.scope === scope,
      );
      if (isWaiting) return;
      rows().last.sweep += 1n;
      const sweepId = rows().last.sweep;
      rows().sweeps.set(sweepId, {
        ...{ sweepId, scope, state: 'waiting', cause, requestedAt: memory.clock.now(), passes: 0 },
        ...{ phase: 'living', pages: 0, living: 0, deleted: 0, differing: 0, sampled: 0, failures: 0 },
        covering: [],
      });
    },
    takeUpSweep: async (lease) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      return takeUp(memory);
    },
    beginPass: async (lease, sweepId) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      rows().seen.delete(sweepId);
      rows().members.delete(sweepId);
      const passes = (rows().sweeps.get(sweepId)?.passes ?? 0) + 1;
      return change(memory, sweepId, {
        ...{ passAt: memory.clock.now(), passes, phase: 'living', pageToken: undefined },
        ...{ pages: 0, living: 0, deleted: 0, differing: 0, covering: [], groups: undefined },
      });
    },
    recordSweepProgress: async (lease, sweepId, { seen: piece, ...progress }) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      change(memory, sweepId, {
        pageToken: undefined,
        covering: undefined,
        ...progress,
        failures: 0,
        why: undefined,
      });
      if (piece.length > 0)
        rows().seen.set(sweepId, [...(rows().seen.get(sweepId) ?? []), Uint8Array.from(piece)]);
    },
    recordSweepFailure: async (lease, sweepId, why) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const failures = (rows().sweeps.get(sweepId)?.failures ?? 0) + 1;
      return change(memory, sweepId, { failures, why }).failures;
    },
    seenBySweep: (sweepId) => seen(memory, sweepId),
    recordGroupReading: async (lease, sweepId, reading, packed) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const { groups = [] } = rows().sweeps.get(sweepId) ?? {};
      const others = groups.filter(({ groupId }) => groupId !== reading.groupId);
      change(memory, sweepId, { groups: [reading, ...others], failures: 0, why: undefined });
      if (packed.length === 0) return;
      const piece = { groupId: reading.groupId, packed: Uint8Array.from(packed) };
      rows().members.set(sweepId, [...(rows().members.get(sweepId) ?? []), piece]);
    },
    membersOfSweep: (sweepId) => members(memory, sweepId),
    endSweep: async (lease, sweepId, end) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const outcome =
        end.state === 'whole'
          ? { why: undefined, missing: end.missing.length, sampled: end.sampled }
          : { why: end.why, missing: undefined, sampled: 0 };
      const sweep = change(memory, sweepId, {
        ...{ state: end.state, endedAt: memory.clock.now(), pageToken: undefined, groups: undefined },
        ...outcome,
        ...end.counts,
      });
      if (end.state === 'whole' && sweep.scope === EVERYBODY) concludeAbsences(rows(), sweep, end.missing);
      rows().seen.delete(sweepId);
      rows().members.delete(sweepId);
      return sweep;
    },
    sweepOverview: async () => {
      const all = [...rows().sweeps.values()];
      const last = (...states: SweepRecord['state'][]) =>
        all.findLast(({ state, scope }) => scope === EVERYBODY && states.includes(state));
      return present({
        waiting: all.filter(({ state }) => state === 'waiting'),
        running: all.find(({ state }) => state === 'running'),
        lastWhole: last('whole'),
        lastEnded: last('whole', 'not-whole'),
      }) as Last;
    },
    atOneMoment: async (read) => {
      moments.push(packedById(rows()));
      return await read(momentOf(rows(), String(moments.length - 1)));
    },
    keepTable: async (lease, moment, { head, bytes }) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const users = moments[Number(moment)];
      if (users === undefined) throw new Error(`bug: there was no moment ${moment}`);
      rows().keptTable = { head, bytes: bytes.slice(), users };
    },
    sweptUsers: async (userIds) =>
      new Map(
        users()
          .filter(({ userId }) => userIds.includes(userId))
          .map((user) => [
            user.userId,
            {
              userId: user.userId,
              state: user.state,
              hasLeftScope: user.leftScopeAt !== undefined,
              isSuspended: user.suspendedAt !== undefined,
              isDeleted: user.deletedAt !== undefined,
              isArchived: user.isArchived === true,
              isObserved: user.nextAction === 'observe-again',
              ...(user.ruleName === undefined ? {} : { ruleName: user.ruleName }),
              ...(user.addressDigest === undefined ? {} : { addressDigest: user.addressDigest }),
            },
          ]),
      ),
    unseenSince: async (userIds, since) =>
      users()
        .filter(
          (user) =>
            userIds.includes(user.userId) && user.state !== 'out' && sightedMs(user) < since.getTime(),
        )
        .toSorted((left, right) => byText(left.userId, right.userId))
        .map(({ userId, deletedAt }) => {
          const absence = rows().absences.get(userId);
          return {
            userId,
            isDeleted: deletedAt !== undefined,
            ...(absence === undefined ? {} : { absence }),
          };
        }),
    readyUsersNotSightedSince: async (since, limit) =>
      users()
        .filter(
          (user) =>
            user.state === 'ready' &&
            sightedMs(user) < since.getTime() &&
            user.deletedAt === undefined &&
            !rows().queue.has(user.userId),
        )
        .toSorted((left, right) => sightedMs(left) - sightedMs(right) || byText(left.userId, right.userId))
        .slice(0, limit)
        .map(({ userId }) => userId),
  };
};
