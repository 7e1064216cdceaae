import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GoogleCallFailure } from '../../../shared/adapters/google/call-error.ts';
import {
  isTransient,
  type Prospect,
  prospectOf,
  retrySettings,
  waitBeforeNext,
} from '../../../shared/adapters/google/retry.ts';
import { TestClock } from '../world.ts';

const failure = (changes: Partial<GoogleCallFailure>): GoogleCallFailure => ({
  method: 'directory.users.list',
  reached: 'answered',
  reasons: [],
  text: '',
  ...changes,
});

describe('the prospect of calling Google again', () => {
  it.each<[string, Partial<GoogleCallFailure>, Prospect]>([
    ['a connection that was refused', { reached: 'never' }, 'no-effect'],
    ['an answer that was lost', { reached: 'maybe' }, 'effect-unknown'],
    ['429', { httpStatus: 429 }, 'no-effect'],
    ['403 userRateLimitExceeded', { httpStatus: 403, reasons: ['userRateLimitExceeded'] }, 'no-effect'],
    ['403 rateLimitExceeded', { httpStatus: 403, reasons: ['rateLimitExceeded'] }, 'no-effect'],
    ['403 quotaExceeded', { httpStatus: 403, reasons: ['quotaExceeded'] }, 'no-effect'],
    [
      '403 RATE_LIMIT_EXCEEDED in the details',
      { httpStatus: 403, reasons: ['RATE_LIMIT_EXCEEDED'] },
      'no-effect',
    ],
    [
      '403 with nothing but the wording "Quota exceeded"',
      { httpStatus: 403, reasons: ['forbidden'], text: "Quota exceeded for quota metric 'Queries'" },
      'no-effect',
    ],
    [
      '403 "Queries per minute per user"',
      {
        httpStatus: 403,
        reasons: ['rateLimitExceeded'],
        text: "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com'",
      },
      'no-effect',
    ],
    [
      '403 with nothing but the wording "User-rate limit exceeded"',
      { httpStatus: 403, text: 'User-rate limit exceeded. Retry after 2023-03-07T18:18:23.688Z' },
      'no-effect',
    ],
    ['403 RESOURCE_EXHAUSTED', { httpStatus: 403, status: 'RESOURCE_EXHAUSTED' }, 'no-effect'],
    ['403 forbidden', { httpStatus: 403, reasons: ['forbidden'], text: 'Not Authorized' }, 'final'],
    ['409 ABORTED', { httpStatus: 409, status: 'ABORTED' }, 'effect-unknown'],
    ['409 aborted, by its reason alone', { httpStatus: 409, reasons: ['aborted'] }, 'effect-unknown'],
    ['409 ALREADY_EXISTS', { httpStatus: 409, status: 'ALREADY_EXISTS' }, 'final'],
    ['408', { httpStatus: 408 }, 'effect-unknown'],
    ['500', { httpStatus: 500 }, 'effect-unknown'],
    ['502', { httpStatus: 502 }, 'effect-unknown'],
    ['503', { httpStatus: 503 }, 'effect-unknown'],
    ['504', { httpStatus: 504 }, 'effect-unknown'],
    ['501, which stays unimplemented', { httpStatus: 501 }, 'final'],
    ['400', { httpStatus: 400, status: 'FAILED_PRECONDITION' }, 'final'],
    ['401', { httpStatus: 401 }, 'final'],
    ['404', { httpStatus: 404 }, 'final'],
    ['412', { httpStatus: 412 }, 'final'],
    ['a failure without any status', {}, 'final'],
  ])('after %s is %j → %s', (_name, changes, prospect) => {
    expect(prospectOf(failure(changes))).toBe(prospect);
    expect(isTransient(failure(changes))).toBe(prospect !== 'final');
  });
});

describe('the wait before the next attempt', () => {
  const settings = (random: number) => retrySettings(new TestClock(), { random: () => random });
  const busy = failure({ httpStatus: 503 });

  it('is bounded by a limit that doubles up to the longest wait', () => {
    const almostOne = settings(1);
    expect([1, 2, 3, 4].map((attempt) => waitBeforeNext(busy, 'any-time', attempt, 0, almostOne))).toEqual([
      1000, 2000, 4000, 8000,
    ]);
    const patient = retrySettings(new TestClock(), { random: () => 1, attempts: 9 });
    expect(waitBeforeNext(busy, 'any-time', 8, 0, patient)).toBe(16_000);
  });

  it('ends with the last attempt', () => {
    expect(waitBeforeNext(busy, 'any-time', 4, 0, settings(0))).toBe(0);
    expect(waitBeforeNext(busy, 'any-time', 5, 0, settings(0))).toBeUndefined();
  });

  it('ends with the time limit', () => {
    expect(waitBeforeNext(busy, 'any-time', 1, 59_000, settings(1))).toBe(1000);
    expect(waitBeforeNext(busy, 'any-time', 1, 59_001, settings(1))).toBeUndefined();
  });

  it('does not exist where a second call could make a second thing', () => {
    expect(waitBeforeNext(busy, 'without-effect', 1, 0, settings(0))).toBeUndefined();
    expect(waitBeforeNext(failure({ httpStatus: 429 }), 'without-effect', 1, 0, settings(0))).toBe(0);
    expect(waitBeforeNext(failure({ reached: 'never' }), 'without-effect', 1, 0, settings(0))).toBe(0);
    expect(
      waitBeforeNext(failure({ reached: 'maybe' }), 'without-effect', 1, 0, settings(0)),
    ).toBeUndefined();
  });

  it('is never shorter than Retry-After, and gives up rather than come too early', () => {
    const asked = failure({ httpStatus: 429, retryAfterMs: 30_000 });
    expect(waitBeforeNext(asked, 'any-time', 1, 0, settings(0))).toBe(30_000);
    expect(waitBeforeNext(asked, 'any-time', 1, 30_001, settings(0))).toBeUndefined();
  });

  it('keeps every promise whatever the numbers', () => {
    fc.assert(
      fc.property(
        fc.record({
          attempt: fc.integer({ min: 1, max: 40 }),
          elapsedMs: fc.integer({ min: 0, max: 200_000 }),
          random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
          retryAfterMs: fc.option(fc.integer({ min: 0, max: 120_000 }), { nil: undefined }),
          attempts: fc.integer({ min: 1, max: 40 }),
          totalMs: fc.integer({ min: 0, max: 120_000 }),
          firstWaitMs: fc.integer({ min: 1, max: 5000 }),
          longestWaitMs: fc.integer({ min: 1, max: 32_000 }),
        }),
        ({ attempt, elapsedMs, random, retryAfterMs, ...limits }) => {
          const asked = failure({ httpStatus: 429, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
          const given = retrySettings(new TestClock(), { ...limits, random: () => random });
          const waitMs = waitBeforeNext(asked, 'any-time', attempt, elapsedMs, given);
          if (waitMs === undefined) {
            const earliest = retryAfterMs ?? 0;
            const longest = Math.max(
              earliest,
              Math.min(limits.longestWaitMs, limits.firstWaitMs * 2 ** (attempt - 1)),
            );
            return attempt >= limits.attempts || elapsedMs + longest > limits.totalMs;
          }
          return (
            waitMs >= (retryAfterMs ?? 0) &&
            waitMs <= Math.max(limits.longestWaitMs, retryAfterMs ?? 0) &&
            waitMs <= Math.max(limits.firstWaitMs * 2 ** (attempt - 1), retryAfterMs ?? 0) &&
            elapsedMs + waitMs <= limits.totalMs &&
            attempt < limits.attempts
          );
        },
      ),
    );
  });
});
