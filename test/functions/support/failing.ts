import { type ErrorCode, retryable, type SealwrightError } from '../../../shared/errors.ts';
import type { PortCall } from '../../support/fakes/calls.ts';

/** Fails the calls named `method` while it is on; for `surround`. */
export interface Failing {
  on: boolean;
  readonly around: (call: PortCall, perform: () => Promise<unknown>) => Promise<unknown>;
}

export function failing(
  method: string,
  code: ErrorCode,
  error: SealwrightError | Error = retryable(code, `The other side of ${method} is away.`, {
    retryAfterMs: 6_500,
  }),
): Failing {
  const failure: Failing = {
    on: true,
    around: async (call, perform) => {
      if (failure.on && call.method === method) throw error;
      return await perform();
    },
  };
  return failure;
}
