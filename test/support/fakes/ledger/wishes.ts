import type { WishRecord } from '../../../../shared/domain/records.ts';
import { permanent } from '../../../../shared/errors.ts';
import type { JobProgress, Lease, Ledger, LiveHolder } from '../../../../shared/ports/ledger.ts';
import { departureJob } from './guard.ts';
import { askToLookAgain, holdUserLease } from './leases.ts';
import { byText, type Memory, present, type UserRow, type WishRow } from './rows.ts';

export const wishRecord = ({ primaryEmail: _, state: __, detail: ___, ...wish }: WishRow): WishRecord => wish;

function recordRekeyJob(
  memory: Memory,
  job: Parameters<Ledger['recordRekeyJob']>[0],
): Awaited<ReturnType<Ledger['recordRekeyJob']>> {
  const rows = memory.rows.now;
  const jobId = memory.randomId();
  const now = memory.clock.now();
  // Two addresses of one user are one wish.
  const wanted = [...new Map(job.users.map((user) => [user.userId, user.primaryEmail])).entries()].map(
    ([userId, primaryEmail]) => ({ wishId: memory.randomId(), userId, primaryEmail }),
  );
  askToLookAgain(
    memory,
    wanted.map(({ userId }) => userId),
    { source: 'admin', eventId: jobId, event: 'rekey', actor: job.requestedBy, at: now },
  );
  for (const [place, { userId, primaryEmail }] of wanted.entries()) {
    const known: UserRow = rows.users.get(userId) ?? {
      userId,
      primaryEmail,
      state: 'pending',
      reason: 'A re-key was asked for; not looked at yet.',
      since: now,
      failures: 0,
    };
    const paced = { nextAction: 'rekey', nextActionAt: new Date(now.getTime() + place * (job.paceMs ?? 0)) };
    const isSooner = known.nextActionAt !== undefined && known.nextActionAt < paced.nextActionAt;
    rows.users.set(userId, { ...known, failures: 0, ...(isSooner ? {} : paced) });
  }
  const wishes = wanted.map(({ wishId, userId, primaryEmail }) => {
    const wish = present({
      wishId,
      userId,
      jobId,
      reason: job.reason,
      requestedBy: job.requestedBy,
      requestedAt: now,
      invalidityDate: job.invalidityDate,
      disableKeypairs: job.disableKeypairs === true ? true : undefined,
    }) as WishRecord;
    rows.wishes.set(wishId, { ...wish, primaryEmail, state: 'open' });
    return wish;
  });
  rows.jobs.set(
    jobId,
    wishes.map(({ wishId }) => wishId),
  );
  return { jobId, wishes };
}

function closeWish(
  memory: Memory,
  lease: Lease,
  wishId: string,
  end: Pick<WishRow, 'detail'> & { readonly state: 'fulfilled' | 'failed' },
): void {
  const userId = holdUserLease(memory, lease);
  const { wishes } = memory.rows.now;
  const known = wishes.get(wishId);
  if (known?.userId !== userId)
    throw permanent('not-found', `The ledger has no wish ${wishId} of user ${userId}.`);
  if (known.state === 'open') wishes.set(wishId, { ...known, ...end });
  else if (known.state !== end.state)
    throw permanent(
      'conflict',
      `The wish ${wishId} is ${known.state} already and cannot become ${end.state}.`,
    );
}

const PROGRESS = { open: 'waiting', fulfilled: 'done', failed: 'failed' } as const;

function progressOf(memory: Memory, jobId: string, wishIds: readonly string[]): JobProgress {
  const { wishes, users } = memory.rows.now;
  const rows = wishIds.flatMap((wishId) => wishes.get(wishId) ?? []);
  const count = (state: WishRow['state']) => rows.filter((row) => row.state === state).length;
  const [done, failed] = [count('fulfilled'), count('failed')];
  return {
    jobId,
    kind: 'rekey',
    state: count('open') > 0 ? 'running' : failed > 0 ? 'failed' : 'done',
    total: rows.length,
    done,
    failed,
    users: rows.map(({ primaryEmail: user, state, detail, userId }) => ({
      user,
      state: PROGRESS[state],
      detail: state === 'open' ? (users.get(userId)?.reason ?? '') : (detail ?? ''),
    })),
  };
}

function liveHolders({ rows, clock }: Memory, userIds?: readonly string[]): readonly LiveHolder[] {
  const { users, leaves, revocations } = rows.now;
  const holders = new Set(
    [...leaves.values()].flatMap(({ userId, holder, notAfter, serialHex }) =>
      holder === 'key-service' && notAfter > clock.now() && !revocations.has(serialHex) ? userId : [],
    ),
  );
  return [...users.values()]
    .filter(({ userId }) => holders.has(userId) && userIds?.includes(userId) !== false)
    .toSorted((left, right) => byText(left.userId, right.userId))
    .map(({ userId, primaryEmail, unit }) => present({ userId, primaryEmail, unit }) as LiveHolder);
}

export const wishes = (
  memory: Memory,
): Pick<
  Ledger,
  'liveHolders' | 'recordRekeyJob' | 'usersTakenFromByJobs' | 'fulfilWish' | 'failWish' | 'readJob'
> => ({
  liveHolders: async (userIds) => liveHolders(memory, userIds),
  recordRekeyJob: async (job) => recordRekeyJob(memory, job),
  usersTakenFromByJobs: async (since) => {
    const taking = [...memory.rows.now.wishes.values()].filter(
      ({ requestedAt, reason, disableKeypairs }) =>
        requestedAt >= since && (reason === 'keyCompromise' || disableKeypairs === true),
    );
    return new Set(taking.map(({ userId }) => userId)).size;
  },
  fulfilWish: async (lease, wishId, detail) =>
    closeWish(memory, lease, wishId, { state: 'fulfilled', ...(detail === undefined ? {} : { detail }) }),
  failWish: async (lease, wishId, detail) => closeWish(memory, lease, wishId, { state: 'failed', detail }),
  readJob: async (jobId) => {
    const wishIds = memory.rows.now.jobs.get(jobId);
    return wishIds === undefined ? departureJob(memory, jobId) : progressOf(memory, jobId, wishIds);
  },
});
