import { GoogleCallError, readFailure } from './call-error.ts';
import { type Pace, unpaced } from './pace.ts';
import { type Repeatable, type RetrySettings, waitBeforeNext } from './retry.ts';

/** Where access tokens come from. Throws `GoogleCallError` of a credential method (`isCredentialFailure`). */
export interface Bearer {
  /** A token that is good for at least a little longer. */
  accessToken(): Promise<string>;
  /** Drops this token, because Google refused it: the next call gets a fresh one. */
  forget(accessToken: string): void;
}

export interface GoogleCall {
  readonly method: string;
  readonly repeatable: Repeatable;
  readonly retry: RetrySettings;
  /** The quota that each attempt spends `units` of; none unless told. */
  readonly pace?: Pace;
  /** 1 unless told. */
  readonly units?: number;
}

/**
 * Makes one call to Google: with a token, again where that helps, and with every failure as a `GoogleCallError`.
 * A 401 drops the token and tries once more with a fresh one, at once (a clock has moved, a grant was renewed).
 */
export async function callGoogle<T>(
  call: GoogleCall,
  bearer: Bearer,
  attempt: (accessToken: string) => Promise<T>,
): Promise<T> {
  let accessToken = await bearer.accessToken();
  let renewed = false;
  return await repeatedly(
    call,
    () => attempt(accessToken),
    async (error) => {
      if (error.failure.httpStatus !== 401 || renewed) return false;
      renewed = true;
      bearer.forget(accessToken);
      accessToken = await bearer.accessToken();
      return true;
    },
  );
}

/** The same without a token, for the token endpoint itself. `recover` answers true when the next try needs no wait. */
export async function repeatedly<T>(
  call: GoogleCall,
  attempt: () => Promise<T>,
  recover: (error: GoogleCallError) => Promise<boolean> = async () => false,
): Promise<T> {
  const { method, repeatable, retry, pace = unpaced, units = 1 } = call;
  const startedMs = retry.clock.now().getTime();
  for (let count = 1; ; ) {
    await pace.take(units);
    try {
      return await attempt();
    } catch (thrown) {
      const error = asCallError(method, thrown, retry.clock.now());
      await pace.failed(error.failure);
      if (await recover(error)) continue;
      const elapsedMs = retry.clock.now().getTime() - startedMs;
      const waitMs = waitBeforeNext(error.failure, repeatable, count, elapsedMs, retry);
      if (waitMs === undefined) throw error;
      await retry.sleep(waitMs);
      count += 1;
    }
  }
}

/** What a client threw, as a `GoogleCallError`; throws on what is no failed call but a bug. */
export function asCallError(method: string, thrown: unknown, now: Date): GoogleCallError {
  if (thrown instanceof GoogleCallError) return thrown;
  const failure = readFailure(method, thrown, now);
  if (failure === undefined) throw thrown;
  return new GoogleCallError(failure);
}
