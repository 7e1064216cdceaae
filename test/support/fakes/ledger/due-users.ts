import type { DueUser, DueUserLedger } from '../../../../shared/ports/ledger/due-users.ts';
import { byText, type Memory } from './rows.ts';

const TEN_MINUTES_MS = 600_000;
const USER = 'user:';

/** As `DUE` of the real one, without its limit. */
function waiting(memory: Memory): readonly DueUser[] {
  const { leases, users } = memory.rows.now;
  const abandoned = [...leases]
    .filter(
      ([subject, lease]) =>
        subject.startsWith(USER) &&
        (lease.holder !== undefined || lease.lookAgain) &&
        lease.expiresMs <= memory.nowMs(),
    )
    .toSorted(([one, left], [other, right]) => left.expiresMs - right.expiresMs || byText(one, other))
    .map(([subject, { lookAgain, asked, fence }]) => ({
      userId: subject.slice(USER.length),
      nextAction: lookAgain ? 'look-again' : 'resume',
      occasion: fence,
      ...(lookAgain && asked !== undefined ? { cause: asked } : {}),
    }));
  const taken = new Set(abandoned.map(({ userId }) => userId));
  const nowMs = memory.clock.now().getTime();
  const appointments = [...users.values()]
    .flatMap(({ userId, nextAction = 'look', nextActionAt }) =>
      nextActionAt !== undefined && nextActionAt.getTime() <= nowMs && !taken.has(userId)
        ? [{ userId, nextAction, occasion: nextActionAt }]
        : [],
    )
    .toSorted(
      (left, right) =>
        left.occasion.getTime() - right.occasion.getTime() || byText(left.userId, right.userId),
    );
  return [...abandoned, ...appointments];
}

const isSame = (one: Date | bigint, other: Date | bigint): boolean =>
  one instanceof Date && other instanceof Date ? one.getTime() === other.getTime() : one === other;

function hintedMs({ rows }: Memory, { userId, occasion }: DueUser): number | undefined {
  const hint = rows.now.dueHints.get(userId);
  return hint !== undefined && isSame(hint.occasion, occasion) ? hint.hintedAt.getTime() : undefined;
}

export const dueUsers = (memory: Memory): DueUserLedger => ({
  dueUsers: async (most) => {
    const longAgoMs = memory.clock.now().getTime() - TEN_MINUTES_MS;
    const told = waiting(memory).map((user) => ({
      user,
      ms: hintedMs(memory, user) ?? Number.NEGATIVE_INFINITY,
    }));
    const free = told.filter(({ ms }) => ms <= longAgoMs);
    // A sort that is stable keeps the order of those who were hinted at together.
    return free
      .toSorted((left, right) => (left.ms === right.ms ? 0 : left.ms - right.ms))
      .slice(0, Math.max(0, most - (told.length - free.length)))
      .map(({ user }) => user);
  },
  dueBy: async (at) =>
    [...memory.rows.now.users.values()].filter(
      ({ nextActionAt }) => nextActionAt !== undefined && nextActionAt.getTime() <= at.getTime(),
    ).length,
  recordDueHints: async (hinted) => {
    const { dueHints } = memory.rows.now;
    const hintedAt = memory.clock.now();
    for (const { userId, occasion } of hinted) dueHints.set(userId, { occasion, hintedAt });
  },
});
