import type { RolloutLedger } from '../../../../shared/ports/ledger/rollouts.ts';
import { SWEEP_SUBJECT } from '../../../../shared/ports/ledger/sweeps.ts';
import { holdLease } from './leases.ts';
import { byText, type Memory, present, type QueuedHint } from './rows.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

type Place = 'waiting' | 'blocked' | 'ready' | 'underWay';

/** As `PLACE` of the real one. */
function placeOf({ rows, clock }: Memory, { userId, hintedAt }: QueuedHint): Place {
  if (hintedAt === undefined) return 'waiting';
  const state = rows.now.users.get(userId)?.state;
  if (state === 'blocked') return 'blocked';
  if (state === 'ready' || state === 'leaving' || state === 'out') return 'ready';
  const isLongAgo = hintedAt.getTime() < clock.now().getTime() - HOUR_MS;
  return state === undefined && isLongAgo ? 'ready' : 'underWay';
}

/** As `IS_LATE` of the real one. */
function isLate({ rows, clock }: Memory, { userId, hintedAt }: QueuedHint): boolean {
  const agoMs = clock.now().getTime() - (hintedAt?.getTime() ?? Number.NaN);
  const user = rows.now.users.get(userId);
  return (
    agoMs >= 2 * MINUTE_MS &&
    agoMs < HOUR_MS &&
    (user?.state ?? 'pending') === 'pending' &&
    !['ask-gmail-again', 'wait-for-address'].includes(user?.nextAction ?? '')
  );
}

export function underWay({ rows, clock }: Memory): bigint {
  const open = rows.now.rollouts.find(({ isOver }) => !isOver);
  if (open !== undefined) return open.rolloutId;
  const rolloutId = BigInt(rows.now.rollouts.length + 1);
  rows.now.rollouts.push({ rolloutId, begunAt: clock.now(), isOver: false });
  return rolloutId;
}

function overview(memory: Memory): Awaited<ReturnType<RolloutLedger['rolloutOverview']>> {
  const { rollouts, queue, rolloutSwitch } = memory.rows.now;
  const open = rollouts.find(({ isOver }) => !isOver);
  const entries = [...queue.values()].filter((entry) => entry.rolloutId === open?.rolloutId);
  const places = entries.map((entry) => placeOf(memory, entry));
  const count = (place: Place) => places.filter((one) => one === place).length;
  const waitingMs = entries
    .filter(({ hintedAt }) => hintedAt === undefined)
    .map(({ waitingSince }) => waitingSince.getTime());
  return present({
    paused: rolloutSwitch?.paused ?? false,
    changedBy: rolloutSwitch?.by,
    changedAt: rolloutSwitch?.at,
    begunAt: open?.begunAt,
    total: places.length,
    waiting: count('waiting'),
    underWay: count('underWay'),
    ready: count('ready'),
    blocked: count('blocked'),
    waitingSince: waitingMs.length === 0 ? undefined : new Date(Math.min(...waitingMs)),
    late: entries.filter((entry) => isLate(memory, entry)).length,
  }) as Awaited<ReturnType<RolloutLedger['rolloutOverview']>>;
}

function endIfDone(memory: Memory): boolean {
  const { queue, rollouts } = memory.rows.now;
  const isOpen = [...queue.values()].some((entry) =>
    ['waiting', 'underWay'].includes(placeOf(memory, entry)),
  );
  if (isOpen) return false;
  const place = rollouts.findIndex(({ isOver }) => !isOver);
  const open = rollouts[place];
  if (open !== undefined) rollouts[place] = { ...open, isOver: true };
  const nowMs = memory.clock.now().getTime();
  for (const [userId, { hintedAt }] of queue)
    if (hintedAt !== undefined && hintedAt.getTime() <= nowMs - MINUTE_MS) queue.delete(userId);
  return open !== undefined;
}

export const rollouts = (memory: Memory): RolloutLedger => {
  const { rows, clock } = memory;
  const waiting = () => [...rows.now.queue.values()].filter(({ hintedAt }) => hintedAt === undefined);
  return {
    queueHints: async (lease, hints) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      if (hints.length === 0) return 0;
      let found = 0;
      const rolloutId = underWay(memory);
      const nowMs = clock.now().getTime();
      const inOrder = hints.toSorted(
        (left, right) => byText(left.userId, right.userId) || byText(right.kind, left.kind),
      );
      for (const hint of new Map(inOrder.map((one) => [one.userId, one])).values()) {
        const known = rows.now.queue.get(hint.userId);
        const isRecent = known !== undefined && (known.hintedAt?.getTime() ?? nowMs) > nowMs - HOUR_MS;
        const { userId, kind, sweepId } = hint;
        const isFoundAgain =
          known !== undefined && 'sweepId' in known.origin && known.origin.sweepId === sweepId;
        if (!isRecent || isFoundAgain) found += 1;
        if (!isRecent)
          rows.now.queue.set(userId, {
            ...{ userId, kind, origin: { sweepId } },
            ...{ rolloutId, waitingSince: clock.now() },
          });
      }
      return found;
    },
    nextWave: async (limit) =>
      rows.now.rolloutSwitch?.paused === true
        ? []
        : waiting()
            .toSorted(
              (left, right) =>
                Number(left.kind === 'look-by-age') - Number(right.kind === 'look-by-age') ||
                left.waitingSince.getTime() - right.waitingSince.getTime() ||
                byText(left.userId, right.userId),
            )
            .slice(0, limit)
            .map(({ userId, kind, origin }) => ({ userId, kind, origin })),
    wavesLately: async () => {
      const all = [...rows.now.queue.values()];
      const minuteAgoMs = clock.now().getTime() - MINUTE_MS;
      return {
        lastMinute: [...all, ...rows.now.dueHints.values()].filter(
          ({ hintedAt }) => (hintedAt?.getTime() ?? 0) > minuteAgoMs,
        ).length,
        late: all.filter((entry) => isLate(memory, entry)).length,
      };
    },
    recordWave: async (lease, userIds) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      for (const userId of userIds) {
        const entry = rows.now.queue.get(userId);
        if (entry !== undefined) rows.now.queue.set(userId, { ...entry, hintedAt: clock.now() });
      }
    },
    endRolloutIfDone: async (lease) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      return endIfDone(memory);
    },
    switchRollout: async ({ paused, by }) => {
      rows.now.rolloutSwitch = { paused, by, at: clock.now() };
    },
    rolloutOverview: async () => overview(memory),
  };
};
