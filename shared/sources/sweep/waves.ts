/**
 * Lets waiting hints out, so many a minute, joiners before those looked at because of age. Fewer go out when those before them do
 * not get through: the key service or Gmail refuses them, or the looks themselves come late.
 */

import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';

export interface WaveDeps {
  readonly clock: Clock;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly ledger: Pick<Ledger, 'nextWave' | 'wavesLately' | 'recordWave' | 'endRolloutIfDone'>;
  /** How many hints may go out in a minute; docs/scale.md has the arithmetic. */
  readonly hintsPerMinute: number;
}

/** With so many minutes' worth of users late, nobody else goes out; with half as many, half. */
const MINUTES_LATE = 5;

/** Answers how many went out. Called often it still lets out no more than a minute's worth in a minute. */
export async function releaseWave(deps: WaveDeps, lease: Lease): Promise<number> {
  const { lastMinute, late } = await deps.ledger.wavesLately();
  const room = paceOf(deps.hintsPerMinute, late) - lastMinute;
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

/**
 * How many go out in a minute while `late` users are not through. The late ones are tried again by themselves and so find out when
 * things get better; each counts for an hour, so that some who never get through slow a rollout and do not end it.
 */
export function paceOf(hintsPerMinute: number, late: number): number {
  return Math.max(0, hintsPerMinute - Math.ceil(late / MINUTES_LATE));
}

/** More steps change the estimate by less than its own error. */
const MAX_STEPS = 20;

/**
 * Minutes until the last waiting hint is out; undefined while nobody goes out. Whoever is due goes first: those whose time has come
 * at the whole pace, and those whose time comes before the rollout is over take their places in it. What changes on the way is not
 * foreseen: events need no place, but whoever the key service refuses is due again, and slows the waves besides.
 */
export async function minutesLeft(
  { clock, ledger, hintsPerMinute }: EstimateDeps,
  { paused, waiting, late }: { readonly paused: boolean; readonly waiting: number; readonly late: number },
): Promise<number | undefined> {
  const pace = paceOf(hintsPerMinute, late);
  if (paused || pace === 0) return undefined;
  if (waiting === 0) return 0;
  const nowMs = clock.now().getTime();
  const dueNow = await ledger.dueBy(new Date(nowMs));
  let minutes = 0;
  let due = dueNow;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const longer = Math.ceil(dueNow / hintsPerMinute + (waiting + due - dueNow) / pace);
    if (longer === minutes) break;
    minutes = longer;
    due = await ledger.dueBy(new Date(nowMs + minutes * 60_000));
  }
  return minutes;
}

export interface EstimateDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'dueBy'>;
  readonly hintsPerMinute: number;
}
