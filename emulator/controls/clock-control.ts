import { type EmulatorClock, parseDuration } from '../core/clock.ts';
import { invalidArgument } from '../core/google-error.ts';

/** RFC 3339 with a zone: a time without one would mean something else on the next machine. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/i;

export interface ClockReading {
  /** RFC 3339, UTC. */
  readonly now: string;
  /** How far ahead of the machine's own clock, in milliseconds. */
  readonly offsetMs: number;
}

export const readClock = (clock: EmulatorClock): ClockReading => ({
  now: clock.now().toISOString(),
  offsetMs: clock.offsetMs,
});

/** `{"advance":"35d"}` or `{"set":"2027-01-01T00:00:00Z"}`. Throws 400 with a sentence; the clock only goes forward. */
export function moveClock(clock: EmulatorClock, request: Readonly<Record<string, unknown>>): ClockReading {
  const keys = Object.keys(request);
  const [key] = keys;
  if (keys.length !== 1 || (key !== 'advance' && key !== 'set'))
    throw invalidArgument(
      'Give either {"advance":"35d"} or {"set":"2027-01-01T00:00:00Z"}, and nothing else.',
    );
  const value = request[key];
  if (key === 'advance') {
    const milliseconds = typeof value === 'string' ? parseDuration(value) : undefined;
    if (milliseconds === undefined)
      throw invalidArgument(
        `"advance" must be a length of time such as "35d", "90m" or "1h30m"; ${JSON.stringify(value)} is none. The clock only moves forward.`,
      );
    clock.advance(milliseconds);
    return readClock(clock);
  }
  const instant = typeof value === 'string' && INSTANT.test(value) ? new Date(value) : new Date(Number.NaN);
  if (Number.isNaN(instant.getTime()))
    throw invalidArgument(
      `"set" must be an instant such as "2027-01-01T00:00:00Z"; ${JSON.stringify(value)} is none.`,
    );
  if (instant.getTime() < clock.nowMs())
    throw invalidArgument(
      `The clock only moves forward: ${instant.toISOString()} is before ${clock.now().toISOString()}.`,
    );
  clock.set(instant);
  return readClock(clock);
}
