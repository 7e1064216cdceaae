import type { Cause } from '../../../../shared/domain/hint.ts';
import { retryable } from '../../../../shared/errors.ts';
import type { Lease, Ledger } from '../../../../shared/ports/ledger.ts';
import { type LeaseRow, type Memory, refuseUnless } from './rows.ts';

const USER = 'user:';
export const userSubject = (userId: string): string => `${USER}${userId}`;
export const issuerSubject = (issuerId: string): string => `issuer:${issuerId}`;

const leaseLost = (subject: string) =>
  retryable(
    'lease-lost',
    `The lease on ${subject} ended or was taken over, so nothing was written: look at the subject again under a new lease.`,
    { details: { subject } },
  );

/** Throws unless the lease is ours and on this subject. */
export function holdLease(memory: Memory, lease: Lease, subject: string): void {
  if (lease.subject !== subject)
    throw new Error(`bug: a write about ${subject} was made under the lease of ${lease.subject}`);
  if (ownRow(memory, lease, true) === undefined) throw leaseLost(lease.subject);
}

/** The user a lease is on; throws as `holdLease` does. */
export function holdUserLease(memory: Memory, lease: Lease): string {
  if (!lease.subject.startsWith(USER))
    throw new Error(`bug: a write about a user was made under the lease of ${lease.subject}`);
  holdLease(memory, lease, lease.subject);
  return lease.subject.slice(USER.length);
}

function ownRow({ rows, nowMs }: Memory, lease: Lease, mustLive: boolean): LeaseRow | undefined {
  const row = rows.now.leases.get(lease.subject);
  if (row?.holder !== lease.holder || row.fence !== lease.fence) return undefined;
  return mustLive && row.expiresMs <= nowMs() ? undefined : row;
}

/** Asks whoever works on one of these users to look again, for the sake of `asked`. */
export function askToLookAgain({ rows }: Memory, userIds: readonly string[], asked: Cause): void {
  for (const subject of userIds.map(userSubject)) {
    const row = rows.now.leases.get(subject);
    if (row?.holder !== undefined) rows.now.leases.set(subject, { ...row, lookAgain: true, asked });
  }
}

const stillAsked = ({ lookAgain, asked }: LeaseRow): Cause | undefined => (lookAgain ? asked : undefined);

/** As `shared/adapters/ledger/wake.ts`. */
export function wakeUsers(
  memory: Memory,
  userIds: readonly string[],
  from: Date,
  paceMs: number,
  nextAction: string,
  cause: Cause,
): void {
  askToLookAgain(memory, userIds, cause);
  const { users } = memory.rows.now;
  for (const [place, userId] of userIds.toSorted().entries()) {
    const user = users.get(userId);
    if (user === undefined) continue;
    const nextActionAt = new Date(from.getTime() + place * paceMs);
    users.set(userId, { ...user, failures: 0, nextAction, nextActionAt });
  }
}

/** Throws unless it is ours. */
export function renewLease(memory: Memory, lease: Lease, durationMs: number): void {
  const row = ownRow(memory, lease, true);
  if (row === undefined) throw leaseLost(lease.subject);
  memory.rows.now.leases.set(lease.subject, { ...row, expiresMs: memory.nowMs() + durationMs });
}

export function leases(memory: Memory): Pick<Ledger, 'acquireLease' | 'renewLease' | 'releaseLease'> {
  const { rows, nowMs } = memory;
  const instance = memory.randomId();
  let taken = 0;
  return {
    acquireLease: async (subject, durationMs, cause) => {
      refuseUnless(/^(user|issuer|job):./.test(subject), 'leases_subject_check');
      taken += 1;
      const holder = `${instance}/${taken}`;
      const held = rows.now.leases.get(subject);
      if (held?.holder !== undefined && held.expiresMs > nowMs()) {
        if (subject.startsWith(USER))
          rows.now.leases.set(subject, { ...held, lookAgain: true, asked: cause ?? stillAsked(held) });
        return undefined;
      }
      const fence = (held?.fence ?? 0n) + 1n;
      const isOver = held?.holder !== undefined;
      const name = isOver ? `${holder}/over` : holder;
      const asked = held === undefined ? undefined : stillAsked(held);
      const answers = [...(held?.answers ?? []), ...(asked === undefined ? [] : [asked])];
      const expiresMs = nowMs() + durationMs;
      rows.now.leases.set(subject, { holder: name, fence, expiresMs, lookAgain: false, answers });
      return {
        ...{ subject, holder: name, fence },
        ...(isOver ? { takenOver: true } : {}),
        ...(answers.length === 0 ? {} : { unanswered: answers }),
      };
    },
    renewLease: async (lease, durationMs) => renewLease(memory, lease, durationMs),
    releaseLease: async (lease) => {
      const row = ownRow(memory, lease, false);
      if (row === undefined) return 'released';
      const isAlive = row.expiresMs > nowMs();
      if (row.lookAgain && isAlive) {
        const answers = row.asked === undefined ? [] : [row.asked];
        rows.now.leases.set(lease.subject, { ...row, lookAgain: false, answers });
        return { again: row.asked };
      }
      const expiresMs = Math.min(row.expiresMs, nowMs());
      const given = { holder: undefined, expiresMs, asked: stillAsked(row), answers: [] };
      rows.now.leases.set(lease.subject, { ...row, ...given });
      return 'released';
    },
  };
}
