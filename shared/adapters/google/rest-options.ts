import { leanFetch } from './lean-fetch.ts';
import type { RetrySettings } from './retry.ts';

export interface RestCallOptions {
  readonly headers: { readonly authorization: string };
  readonly responseType: 'json';
  readonly retry: false;
  readonly fetchImplementation: typeof fetch;
}

/** One attempt within the time limit, and the answer read as JSON whatever its content type says. */
const oneAttempt = (retry: RetrySettings) =>
  ({
    responseType: 'json',
    retry: false,
    fetchImplementation: leanFetch(retry.attemptTimeoutMs),
  }) as const;

/**
 * Options of one googleapis call: the token in its header, one attempt, a time limit. The answer is read as JSON
 * whatever its content type says, because what is no JSON then stays text, and text is never taken for an empty list.
 */
export const withToken = (accessToken: string, retry: RetrySettings): RestCallOptions => ({
  headers: { authorization: `Bearer ${accessToken}` },
  ...oneAttempt(retry),
});
