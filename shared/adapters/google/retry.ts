/**
 * When a failed call to Google is made again, and how long that waits. The clients' own retries are switched off:
 * they look at the HTTP status only, and Google throttles with 403 as well.
 */
import { setTimeout as realSleep } from 'node:timers/promises';
import type { Clock } from '../../ports/clock.ts';
import type { GoogleCallFailure } from './call-error.ts';

export interface RetrySettings {
  readonly clock: Clock;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** Calls in all, the first one included. */
  readonly attempts: number;
  /** No new attempt starts later than this after the first one. */
  readonly totalMs: number;
  /** Upper bound of the first wait; each later bound is twice the one before. */
  readonly firstWaitMs: number;
  /** Upper bound of every wait, except where `Retry-After` asks for more. */
  readonly longestWaitMs: number;
  /** A single attempt is given up after this. */
  readonly attemptTimeoutMs: number;
}

/**
 * Google's advice for the Directory API (five tries, 1 to 16 s), in at most a minute: a push delivery has ten, and
 * what is not done by then is delivered again.
 */
export const retrySettings = (
  clock: Clock,
  changes: Partial<Omit<RetrySettings, 'clock'>> = {},
): RetrySettings => ({
  sleep: async (milliseconds) => {
    await realSleep(milliseconds);
  },
  random: Math.random,
  attempts: 5,
  totalMs: 60_000,
  firstWaitMs: 1000,
  longestWaitMs: 16_000,
  attemptTimeoutMs: 30_000,
  ...changes,
  clock,
});

/**
 * What a failure says about a second try.
 * `no-effect`: worth it, and the first one certainly did nothing (throttled, never sent).
 * `effect-unknown`: worth it, but the first one may have done its work (a 5xx, a lost answer).
 * `final`: the same call will fail in the same way.
 */
export type Prospect = 'no-effect' | 'effect-unknown' | 'final';

const THROTTLED = new Set([
  'rateLimitExceeded',
  'userRateLimitExceeded',
  'quotaExceeded',
  'dailyLimitExceeded',
  'RATE_LIMIT_EXCEEDED',
]);

/**
 * https://developers.google.com/workspace/gmail/api/guides/handle-errors ,
 * https://developers.google.com/workspace/admin/directory/v1/limits (403 for quotas)
 */
export function prospectOf(failure: GoogleCallFailure): Prospect {
  if (failure.reached === 'never') return 'no-effect';
  if (failure.reached === 'maybe') return 'effect-unknown';
  switch (failure.httpStatus) {
    case 429:
      return 'no-effect';
    case 403:
      return isQuotaRefusal(failure) ? 'no-effect' : 'final';
    case 409:
      return failure.status === 'ABORTED' || failure.reasons.includes('aborted') ? 'effect-unknown' : 'final';
    case 408:
    case 499:
      return 'effect-unknown';
    case 501:
    case 505:
    case undefined:
      return 'final';
    default:
      return failure.httpStatus >= 500 ? 'effect-unknown' : 'final';
  }
}

/** 429, or a refusal for a quota: those come as 403 with a reason or, newer, with nothing but their wording. */
export const isThrottling = (failure: GoogleCallFailure): boolean =>
  failure.httpStatus === 429 || (failure.httpStatus === 403 && isQuotaRefusal(failure));

const isQuotaRefusal = (failure: GoogleCallFailure): boolean =>
  failure.status === 'RESOURCE_EXHAUSTED' ||
  failure.reasons.some((reason) => THROTTLED.has(reason)) ||
  /\b(quota exceeded|rate limit exceeded)\b/i.test(failure.text);

/** True when the same call may succeed later. */
export const isTransient = (failure: GoogleCallFailure): boolean => prospectOf(failure) !== 'final';

/**
 * May a call be repeated whose answer was lost? `any-time` where twice equals once; `without-effect` where a second
 * one would make a second thing, so that it is repeated only when the first certainly did nothing.
 */
export type Repeatable = 'any-time' | 'without-effect';

/**
 * How long to wait before the next attempt, in milliseconds; undefined when there is none. `attempt` counts from 1,
 * `elapsedMs` since the first one began. Full jitter: uniform from 0 to a bound that doubles. Never earlier than
 * `Retry-After` says; when that lies beyond the time limit the answer is to stop now, not to come too early.
 */
export function waitBeforeNext(
  failure: GoogleCallFailure,
  repeatable: Repeatable,
  attempt: number,
  elapsedMs: number,
  settings: RetrySettings,
): number | undefined {
  const prospect = prospectOf(failure);
  if (prospect === 'final') return undefined;
  if (prospect === 'effect-unknown' && repeatable === 'without-effect') return undefined;
  if (attempt >= settings.attempts) return undefined;
  const bound = Math.min(settings.longestWaitMs, settings.firstWaitMs * 2 ** (attempt - 1));
  const waitMs = Math.max(Math.round(settings.random() * bound), failure.retryAfterMs ?? 0);
  return elapsedMs + waitMs > settings.totalMs ? undefined : waitMs;
}
