import { readFileSync } from 'node:fs';
import { invalidInput } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/**
 * The machine's clock plus an offset that a file holds (decimal milliseconds) and that is read at every call: how the
 * functions follow an emulator whose clock is moved, across processes and restarts. Throws `settings-invalid` when
 * the file is missing or holds no number.
 */
export function offsetClock(file: string): Clock {
  return {
    now() {
      return new Date(Date.now() + readOffset(file));
    },
  };
}

function readOffset(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw invalidInput('settings-invalid', `The clock file ${file} cannot be read.`, { cause: error });
  }
  const offset = Number(text);
  if (text === '' || !Number.isFinite(offset))
    throw invalidInput('settings-invalid', `The clock file ${file} holds no number of milliseconds.`);
  return offset;
}
