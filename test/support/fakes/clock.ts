import type { Clock } from '../../../shared/ports/clock.ts';

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  set(instant: Date): void;
  advance(milliseconds: number): void;
}

export function manualClock(start: Date): ManualClock {
  let atMs = start.getTime();
  return {
    now: () => new Date(atMs),
    set: (instant) => {
      atMs = instant.getTime();
    },
    advance: (milliseconds) => {
      atMs += milliseconds;
    },
  };
}
