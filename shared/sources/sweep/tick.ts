import { isSealwrightError, type SealwrightError } from '../../errors.ts';
import { EVERYBODY, SWEEP_SUBJECT, type SweepRecord } from '../../ports/ledger/sweeps.ts';
import { LEASE_MS, SamePageAgain, type SweepDeps, type Tick } from './context.ts';
import { type Outcome, sweepEverybody } from './everybody.ts';
import { followPolicy } from './follow-policy.ts';
import { sweepSubtree } from './subtree.ts';
import { releaseWave } from './waves.ts';

export interface TickReport {
  /** Another invocation is at work. */
  readonly busy?: true;
  /** Sweeps that ended. */
  readonly ended: number;
  /** A sweep is under way and goes on in the next invocation. */
  readonly underWay: boolean;
}

/** After a read that was not whole the next one begins sooner than usual. */
const AGAIN_AFTER_MS = 30 * 60_000;
/** So many readings from the first page on; a list that cannot be read to its end before its tokens expire needs a human. */
const MAX_PASSES = 3;
/** Invocations in a row that cannot read on, a minute apart. */
const MAX_FAILURES = 30;

/**
 * One invocation: lets a wave out, begins a sweep whose time has come, and reads on until nothing is left to read or the
 * time budget is spent. Throws what keeps it from writing (`ledger-unavailable`, `lease-lost`); whatever keeps it from
 * reading is written down, in words, and tried again a minute later.
 */
export async function tick(deps: SweepDeps): Promise<TickReport> {
  const endsAtMs = deps.elapsedMs() + deps.budgetMs;
  const lease = await deps.ledger.acquireLease(SWEEP_SUBJECT, LEASE_MS);
  if (lease === undefined) return { busy: true, ended: 0, underWay: true };
  try {
    await releaseWave(deps, lease);
    await followPolicy({ deps, lease, endsAtMs });
    await askForNext(deps);
    const report = await readOn({ deps, lease, endsAtMs });
    await releaseWave(deps, lease);
    return report;
  } finally {
    await deps.ledger.releaseLease(lease);
  }
}

/** A sweep of everybody is due when the last one began long enough ago. */
async function askForNext(deps: SweepDeps): Promise<void> {
  const { running, waiting, lastEnded } = await deps.ledger.sweepOverview();
  if ([...waiting, ...(running === undefined ? [] : [running])].some(({ scope }) => scope === EVERYBODY))
    return;
  if (lastEnded !== undefined) {
    const afterMs = lastEnded.state === 'whole' ? deps.intervalMs : Math.min(AGAIN_AFTER_MS, deps.intervalMs);
    const begunMs = (lastEnded.startedAt ?? lastEnded.requestedAt).getTime();
    if (deps.clock.now().getTime() - begunMs < afterMs) return;
  }
  await deps.ledger.requestSweep({
    scope: EVERYBODY,
    cause: { eventId: `schedule-${deps.clock.now().toISOString()}`, event: 'schedule' },
  });
}

async function readOn(at: Tick): Promise<TickReport> {
  const { deps, lease } = at;
  let ended = 0;
  while (deps.elapsedMs() < at.endsAtMs) {
    const sweep = await deps.ledger.takeUpSweep(lease);
    if (sweep === undefined) return { ended, underWay: false };
    const outcome = await attempt(at, sweep);
    if (outcome.kind !== 'ended') return { ended, underWay: true };
    ended += 1;
    report(deps, outcome.sweep);
  }
  return { ended, underWay: true };
}

/** `again`: what stood in the way is written down, and the next invocation goes on. */
async function attempt(at: Tick, sweep: SweepRecord): Promise<Outcome | { readonly kind: 'again' }> {
  try {
    return await (sweep.scope === EVERYBODY ? sweepEverybody(at, sweep) : sweepSubtree(at, sweep));
  } catch (error) {
    if (error instanceof SamePageAgain) return await startOver(at, sweep, error.message);
    if (!isSealwrightError(error)) throw error;
    return await standInTheWay(at, sweep, error);
  }
}

async function standInTheWay(
  at: Tick,
  sweep: SweepRecord,
  error: SealwrightError,
): Promise<Outcome | { readonly kind: 'again' }> {
  const { deps, lease } = at;
  switch (error.code) {
    case 'ledger-unavailable':
    case 'lease-lost':
      throw error;
    case 'page-token-expired':
      return await startOver(at, sweep, error.message);
    default: {
      const failures = await deps.ledger.recordSweepFailure(lease, sweep.sweepId, error.message);
      deps.log.warning('sweep-hindered', {
        sweepId: String(sweep.sweepId),
        code: error.code,
        message: error.message,
        failures,
      });
      if (error.kind === 'retryable' && failures < MAX_FAILURES) return { kind: 'again' };
      return await giveUp(at, sweep, error.message);
    }
  }
}

async function startOver(
  at: Tick,
  sweep: SweepRecord,
  why: string,
): Promise<Outcome | { readonly kind: 'again' }> {
  if (sweep.passes >= MAX_PASSES) {
    return await giveUp(at, sweep, `The list could not be read to its end in ${MAX_PASSES} passes. ${why}`);
  }
  at.deps.log.warning('sweep-started-over', {
    sweepId: String(sweep.sweepId),
    passes: sweep.passes,
    message: why,
  });
  await at.deps.ledger.beginPass(at.lease, sweep.sweepId);
  return { kind: 'again' };
}

async function giveUp({ deps, lease }: Tick, sweep: SweepRecord, why: string): Promise<Outcome> {
  return {
    kind: 'ended',
    sweep: await deps.ledger.endSweep(lease, sweep.sweepId, { state: 'not-whole', why }),
  };
}

/** The line that metrics and alerts are made of. */
function report(deps: SweepDeps, sweep: SweepRecord): void {
  const line = {
    sweepId: String(sweep.sweepId),
    scope: sweep.scope,
    pages: sweep.pages,
    living: sweep.living,
    deleted: sweep.deleted,
    differing: sweep.differing,
    sampled: sweep.sampled,
    passes: sweep.passes,
    durationMs:
      (sweep.endedAt ?? sweep.requestedAt).getTime() - (sweep.startedAt ?? sweep.requestedAt).getTime(),
  };
  if (sweep.state === 'whole') deps.log.info('sweep-whole', { ...line, missing: sweep.missing ?? 0 });
  else deps.log.error('sweep-not-whole', { ...line, why: sweep.why ?? '' });
}
