import { invalidArgument } from '../core/google-error.ts';

/**
 * A protobuf duration in JSON (`600s`, `0.5s`) in milliseconds. Throws 400 naming the field when it is none or
 * outside the limits, both of which are in seconds and inclusive.
 */
export function durationMs(
  text: string,
  field: string,
  limits?: { readonly minSeconds: number; readonly maxSeconds: number },
): number {
  if (!/^-?\d{1,12}(\.\d{1,9})?s$/.test(text)) {
    throw invalidArgument(
      `Invalid value at '${field}' (type.googleapis.com/google.protobuf.Duration), "${text}"`,
    );
  }
  const seconds = Number(text.slice(0, -1));
  if (limits !== undefined && (seconds < limits.minSeconds || seconds > limits.maxSeconds)) {
    throw invalidArgument(
      `The value for ${field} is out of bounds. You passed ${text} in the request, but the value must be between ${limits.minSeconds}s and ${limits.maxSeconds}s.`,
    );
  }
  return Math.round(seconds * 1000);
}

/** Milliseconds of a duration that was checked when it was stored. */
export const storedDurationMs = (text: string): number => Math.round(Number(text.slice(0, -1)) * 1000);
