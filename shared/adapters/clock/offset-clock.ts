import { readFileSync, type Stats, statSync } from 'node:fs';
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/**
 * The machine's clock plus an offset that a file holds (decimal milliseconds), read when the file is another one: how the functions
 * follow an emulator whose clock is moved, across processes and restarts. The file is replaced as a whole, never written in place.
 * Throws `settings-invalid` when it is missing or holds no number.
 *
 * The file is looked at once in a turn of the event loop, because a join asks for the time a hundred times. Whoever moves the clock
 * does so before what they send next, and that is heard in a later turn.
 */
export function offsetClock(file: string): Clock {
  let read: { readonly state: string; readonly offsetMs: number } | undefined;
  let isOfThisTurn = false;
  const look = (): number => {
    if (read !== undefined && isOfThisTurn) return read.offsetMs;
    const state = stateOf(file);
    if (read?.state !== state) read = { state, offsetMs: readOffset(file) };
    isOfThisTurn = true;
    setImmediate(() => {
      isOfThisTurn = false;
    });
    return read.offsetMs;
  };
  return { now: () => new Date(Date.now() + look()) };
}

/** Another one after each replacement. */
function stateOf(file: string): string {
  const { ino, mtimeMs, size } = orUnreadable(file, (): Stats => statSync(file));
  return `${ino} ${mtimeMs} ${size}`;
}

function readOffset(file: string): number {
  const text = orUnreadable(file, () => readFileSync(file, 'utf8')).trim();
  const offset = Number(text);
  if (text === '' || !Number.isFinite(offset))
    throw invalidInput('settings-invalid', `The clock file ${file} holds no number of milliseconds.`);
  return offset;
}

function orUnreadable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalidInput('settings-invalid', `The clock file ${file} cannot be read.`, { cause: error });
  }
}
