/** A sweep of everybody: the living, the deleted, and then those whom neither list named. */
import { isSealwrightError } from '../../errors.ts';
import { isProof } from '../../plan/rules/absence.ts';
import type { Page } from '../../ports/directory.ts';
import type { SweepCounts, SweepPhase, SweepRecord, UnseenUser } from '../../ports/ledger/sweeps.ts';
import { Batch, causeOf } from './batch.ts';
import { Comparison } from './comparison.ts';
import { ACCEPT_SHRUNK, LEASE_MS, SamePageAgain, type SweepDeps, type Tick } from './context.ts';
import { tellEmptyRules } from './empty-rules.ts';
import { queueStragglers } from './follow-policy.ts';
import type { LedgerIndex } from './ledger-index.ts';
import { readPins } from './pins.ts';
import { allowance, whyNotWhole } from './proof.ts';
import { type Judge, standings } from './standings.ts';

const HOUR_MS = 3_600_000;

/** How far an invocation came: `out-of-time` goes on in the next one. */
export type Outcome =
  | { readonly kind: 'ended'; readonly sweep: SweepRecord }
  | { readonly kind: 'out-of-time' };

export async function sweepEverybody(tick: Tick, begun: SweepRecord): Promise<Outcome> {
  const batch = new Batch(tick, begun);
  const comparison = new Comparison(tick, begun, batch);
  try {
    return await compareEverybody(tick, begun, { batch, comparison });
  } finally {
    await comparison.settled();
  }
}

async function compareEverybody(
  tick: Tick,
  begun: SweepRecord,
  { batch, comparison }: { batch: Batch; comparison: Comparison },
): Promise<Outcome> {
  const pins = await readPins(tick, begun);
  if (pins === 'out-of-time') return { kind: 'out-of-time' };
  const at = await readLists(tick, begun, { batch, comparison, judge: standings(tick.deps.policy, pins) });
  if (at.phase !== 'close') return { kind: 'out-of-time' };
  const index = await comparison.index();
  // Beside the last suspects. It only reads: what becomes of it is asked for below.
  const finding = missingUsers(tick, begun, index);
  finding.catch(() => undefined);
  await batch.settle();
  const missing = await finding;
  await tick.deps.ledger.renewLease(tick.lease, LEASE_MS);
  const counts = {
    pages: at.pages,
    living: at.living,
    deleted: at.deleted,
    differing: batch.differing,
  };
  return {
    kind: 'ended',
    sweep: await conclude(tick, { ...begun, ...counts, covering: at.covering }, counts, index, missing),
  };
}

interface Position {
  readonly phase: SweepPhase;
  readonly pageToken?: string;
  readonly pages: number;
  readonly living: number;
  readonly deleted: number;
  readonly covering?: readonly string[] | undefined;
}

/**
 * Reads on until both lists are read or the time is over; answers where it is. That is written down now and then, and when the
 * time is over; not when both lists are read, because the end of the sweep is what is written down then.
 */
async function readLists(
  tick: Tick,
  begun: SweepRecord,
  { batch, comparison, judge }: { batch: Batch; comparison: Comparison; judge: Judge },
): Promise<Position> {
  const { deps } = tick;
  let at: Position = begun;
  const so = (): Position => ({ ...at, covering: together(begun.covering, judge.covering()) });
  while (at.phase !== 'close') {
    const asked = at.pageToken === undefined ? {} : { pageToken: at.pageToken };
    if (at.phase === 'living') {
      const page = await deps.directory.livingPage({ orgUnitPath: begun.scope, ...asked });
      await comparison.living(judge.page(page.users));
      at = after({ ...at, living: at.living + page.users.length }, page, 'deleted');
    } else {
      const page = await deps.directory.deletedPage(asked);
      await comparison.deleted(page.users);
      at = after({ ...at, deleted: at.deleted + page.users.length }, page, 'close');
    }
    const isOver = deps.elapsedMs() >= tick.endsAtMs;
    if (at.phase !== 'close' && (batch.isFull || isOver)) {
      await comparison.index();
      await batch.checkpoint(so());
    }
    if (isOver) break;
  }
  return so();
}

/** Of the invocations before and of this one; unknown where one of them does not know. */
const together = (
  before: readonly string[] | undefined,
  now: readonly string[] | undefined,
): readonly string[] | undefined =>
  before === undefined || now === undefined ? undefined : [...new Set([...before, ...now])];

/** Where a list goes on after a page; a page that names itself as its successor would be read for ever. */
function after(at: Position, page: Page<unknown>, nextPhase: SweepPhase): Position {
  const { pageToken: asked, ...rest } = at;
  if (page.nextPageToken === undefined) return { ...rest, phase: nextPhase, pages: at.pages + 1 };
  if (page.nextPageToken === asked) throw new SamePageAgain();
  return { ...rest, pageToken: page.nextPageToken, pages: at.pages + 1 };
}

interface Missing {
  /** Where they are so many that the read is not whole, not all of them; then nobody is missing. */
  readonly missing: readonly string[];
  /** How many are missing of whom that is news. */
  readonly unseen: number;
  /** Missing too, for long: a day has proven it and a look has written it down. They are served until something lets them go. */
  readonly gone: readonly string[];
}

/** Users whom the ledger serves and no list named, and nobody has sighted since the pass began. */
async function missingUsers(
  { deps }: Tick,
  { cause, passAt, requestedAt }: SweepRecord,
  index: LedgerIndex,
): Promise<Missing> {
  const { served } = index.count();
  const most = cause.event === ACCEPT_SHRUNK ? served : allowance(served);
  const missing: string[] = [];
  const gone: string[] = [];
  let unseen = 0;
  for (const userIds of index.unseen()) {
    for (const user of await deps.ledger.unseenSince(userIds, passAt ?? requestedAt)) {
      if (isGone(user)) {
        gone.push(user.userId);
        continue;
      }
      unseen += 1;
      if (unseen <= most) missing.push(user.userId);
    }
  }
  return { missing, unseen, gone };
}

/**
 * Of whom a look has found what this sweep could make it find: whoever is observed, protected or held by the guard keeps what they have.
 * That they are in no list says nothing of how much of the lists came.
 */
const isGone = ({ isDeleted, absence }: UnseenUser): boolean =>
  isDeleted && absence !== undefined && isProof(absence);

/** Both lists are read. What they do not say counts only if they said everything. */
async function conclude(
  tick: Tick,
  sweep: SweepRecord,
  counts: SweepCounts,
  index: LedgerIndex,
  { missing, unseen, gone }: Missing,
): Promise<SweepRecord> {
  const { deps, lease } = tick;
  const { lastWhole, lastEnded } = await deps.ledger.sweepOverview();
  const isBelieved = sweep.cause.event === ACCEPT_SHRUNK;
  const { served, ready } = index.count();
  const why = isBelieved
    ? undefined
    : whyNotWhole(
        { living: sweep.living, deleted: sweep.deleted, served: served - gone.length, missing: unseen },
        lastWhole?.living,
      );
  if (why !== undefined) {
    if (lastEnded?.state === 'not-whole') await latch(tick, sweep, why);
    return await deps.ledger.endSweep(lease, sweep.sweepId, { state: 'not-whole', why, counts });
  }
  const stragglers = await queueStragglers(tick);
  if (stragglers > 0) deps.log.info('rule-changed', { sweepId: String(sweep.sweepId), users: stragglers });
  const sampled = await sampleByAge(tick, sweep, ready, lastWhole?.startedAt);
  const ended = await deps.ledger.endSweep(lease, sweep.sweepId, {
    ...{ state: 'whole', missing: [...missing, ...gone], sampled, counts },
  });
  await hintAtMissing(deps, sweep, missing);
  await tellEmptyRules(tick, sweep);
  return ended;
}

/**
 * After the end, so that the look finds the evidence of this sweep. It has ended whatever becomes of the hints: lost ones are
 * sent again by the next sweep.
 */
async function hintAtMissing(deps: SweepDeps, sweep: SweepRecord, missing: readonly string[]): Promise<void> {
  try {
    await deps.bus.publishHints(missing.map((userId) => ({ userId, cause: causeOf(sweep, 'missing') })));
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('hint-not-sent', {
      userIds: missing.join(' '),
      code: error.code,
      message: error.message,
    });
  }
}

/**
 * One short answer is Google's; after another sweep that was not whole it is a directory that has shrunk, and then nobody
 * departs from it, whatever event says so, until an admin has looked.
 */
async function latch({ deps }: Tick, sweep: SweepRecord, why: string): Promise<void> {
  const reason = `The directory has shrunk, and the sweep before was not whole either. ${why}`;
  if (
    (await deps.ledger.latchGuard({ scope: 'tenant', reason, cause: causeOf(sweep, 'shrunk') })) === 'latched'
  )
    deps.log.warning('directory-shrunk', { sweepId: sweep.sweepId, reason });
}

/**
 * Ready users whom nobody looked at for long: as many as keeps everybody's turn within that time, the longest waiting
 * first. So the users of one mass join, who all come of age in one hour, are spread over the days that follow.
 */
async function sampleByAge(
  tick: Tick,
  sweep: SweepRecord,
  ready: number,
  lastStartedAt: Date | undefined,
): Promise<number> {
  const { deps, lease } = tick;
  const nowMs = deps.clock.now().getTime();
  const sinceLastMs = lastStartedAt === undefined ? HOUR_MS : nowMs - lastStartedAt.getTime();
  const share = Math.min(1, Math.max(0, sinceLastMs) / deps.lookByAgeMs);
  const limit = Math.ceil(ready * share);
  const userIds = await deps.ledger.readyUsersNotSightedSince(new Date(nowMs - deps.lookByAgeMs), limit);
  await deps.ledger.queueHints(
    lease,
    userIds.map((userId) => ({ userId, kind: 'look-by-age', sweepId: sweep.sweepId })),
  );
  return userIds.length;
}
