/** Lets waiting hints out, so many a minute, joiners before those looked at because of age. */

import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';

export interface WaveDeps {
  readonly clock: Clock;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly ledger: Pick<Ledger, 'nextWave' | 'hintedSince' | 'recordWave' | 'endRolloutIfDone'>;
  /** How many hints may go out in a minute; docs/scale.md has the arithmetic. */
  readonly hintsPerMinute: number;
}

const MINUTE_MS = 60_000;

/** Answers how many went out. Called often it still lets out no more than a minute's worth in a minute. */
export async function releaseWave(deps: WaveDeps, lease: Lease): Promise<number> {
  const hinted = await deps.ledger.hintedSince(new Date(deps.clock.now().getTime() - MINUTE_MS));
  const room = deps.hintsPerMinute - hinted;
  const wave = room <= 0 ? [] : await deps.ledger.nextWave(room);
  if (wave.length > 0) {
    await deps.bus.publishHints(
      wave.map(({ userId, kind, origin }) => ({
        userId,
        cause: {
          source: 'sweep',
          eventId:
            'sweepId' in origin ? `sweep-${origin.sweepId}` : `policy-${origin.activation.slice(0, 12)}`,
          event: kind,
        },
      })),
    );
    await deps.ledger.recordWave(
      lease,
      wave.map(({ userId }) => userId),
    );
  }
  await deps.ledger.endRolloutIfDone(lease);
  return wave.length;
}

/** Minutes until the last waiting hint is out, at the rate that is allowed; undefined while paused. */
export function minutesLeft(
  overview: { readonly paused: boolean; readonly waiting: number },
  hintsPerMinute: number,
): number | undefined {
  return overview.paused ? undefined : Math.ceil(overview.waiting / hintsPerMinute);
}
