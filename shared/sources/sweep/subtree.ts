/**
 * A sweep of one org unit and everything below it, after the unit was renamed, moved or removed: every user's path has changed and no event
 * names any of them. Nothing is concluded about users it does not see.
 */
import { isSealwrightError } from '../../errors.ts';
import { EVERYBODY, type SweepRecord } from '../../ports/ledger/sweeps.ts';
import { Batch } from './batch.ts';
import { everyone } from './comparison.ts';
import type { Tick } from './context.ts';
import type { Outcome } from './everybody.ts';
import { readPins } from './pins.ts';
import { standings } from './standings.ts';

export async function sweepSubtree(tick: Tick, begun: SweepRecord): Promise<Outcome> {
  const { deps, lease } = tick;
  const pins = await readPins(tick, begun);
  if (pins === 'out-of-time') return { kind: 'out-of-time' };
  const judge = standings(deps.policy, pins);
  const batch = new Batch(tick, begun);
  let { pageToken, pages, living } = begun;
  do {
    let page: Awaited<ReturnType<typeof deps.directory.livingPage>>;
    try {
      page = await deps.directory.livingPage({
        orgUnitPath: begun.scope,
        ...(pageToken === undefined ? {} : { pageToken }),
      });
    } catch (error) {
      if (!isSealwrightError(error) || error.code !== 'not-found') throw error;
      return { kind: 'ended', sweep: await askForParent(tick, begun) };
    }
    batch.add(everyone(judge.page(page.users)));
    pageToken = page.nextPageToken;
    pages += 1;
    living += page.users.length;
    const isOver = deps.elapsedMs() >= tick.endsAtMs;
    if (batch.isFull || pageToken === undefined || isOver) {
      const counts = { pages, living, deleted: 0 };
      await batch.checkpoint(
        pageToken === undefined ? { phase: 'close', ...counts } : { phase: 'living', pageToken, ...counts },
      );
    }
    if (isOver && pageToken !== undefined) return { kind: 'out-of-time' };
  } while (pageToken !== undefined);
  return {
    kind: 'ended',
    sweep: await deps.ledger.endSweep(lease, begun.sweepId, { state: 'whole', missing: [], sampled: 0 }),
  };
}

/** The unit has gone on, was renamed again or is spelt otherwise: whoever was in it is somewhere below its parent. */
async function askForParent({ deps, lease }: Tick, sweep: SweepRecord): Promise<SweepRecord> {
  const parent = sweep.scope.slice(0, sweep.scope.lastIndexOf('/')) || EVERYBODY;
  await deps.ledger.requestSweep({ scope: parent, cause: sweep.cause });
  return await deps.ledger.endSweep(lease, sweep.sweepId, {
    state: 'not-whole',
    why: `There is no org unit ${sweep.scope} any more; ${parent} is swept instead.`,
  });
}
