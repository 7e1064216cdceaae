import { describe, expect, it } from 'vitest';
import type { GoogleCallFailure } from '../../../shared/adapters/google/call-error.ts';
import { googlePace, type Pace } from '../../../shared/adapters/google/pace.ts';
import { memoryPaces } from '../world.ts';

/** A clock that moves only when somebody sleeps. */
function stand() {
  let nowMs = 0;
  const ledger = memoryPaces(() => nowMs);
  const instance = (unitsPerMinute: number, unitsPerBooking = 1, hasUserQuotas = false): Pace =>
    googlePace({
      ledger,
      pace: 'directory',
      unitsPerMinute,
      unitsPerBooking,
      hasUserQuotas,
      code: 'directory-unavailable',
      sleep: async (ms) => {
        nowMs += ms;
      },
      elapsedMs: () => nowMs,
    });
  return { instance, now: () => nowMs };
}

const refusal = (changes: Partial<GoogleCallFailure>): GoogleCallFailure => ({
  method: 'directory.users.get',
  reached: 'answered',
  reasons: [],
  text: '',
  ...changes,
});

/** As Gmail has been seen to refuse one mailbox; its guide to errors has the third. */
const MAILBOX_LIMITS: readonly (readonly [string, Partial<GoogleCallFailure>])[] = [
  ['403 userRateLimitExceeded', { httpStatus: 403, reasons: ['userRateLimitExceeded'] }],
  [
    '429 "User-rate limit exceeded", whose reason is the project\'s',
    {
      httpStatus: 429,
      reasons: ['rateLimitExceeded'],
      text: 'User-rate limit exceeded. Retry after 2023-03-07T18:18:23.688Z',
    },
  ],
  [
    '429 "Too many concurrent requests for user"',
    { httpStatus: 429, reasons: ['rateLimitExceeded'], text: 'Too many concurrent requests for user' },
  ],
  ...[403, 429].map(
    (httpStatus) =>
      [
        `${httpStatus} for the limit of queries per minute per user`,
        {
          httpStatus,
          reasons: ['rateLimitExceeded'],
          text: "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com' for consumer 'project_number:1'.",
        },
      ] as const,
  ),
];

/** The most calls in any window of a minute. */
const mostInAMinute = (atMs: readonly number[]): number =>
  Math.max(...atMs.map((from) => atMs.filter((at) => at >= from && at < from + 60_000).length));

describe('a quota that several instances spend together', () => {
  it.each([1, 5])('never gives more than its limit in any minute, %i units a booking', async (perBooking) => {
    const { instance, now } = stand();
    const instances = [instance(600, perBooking), instance(600, perBooking)];
    const calls: number[] = [];
    while (now() < 300_000) {
      for (const one of instances) {
        await one.take(1);
        calls.push(now());
      }
    }
    expect(mostInAMinute(calls)).toBeLessThanOrEqual(600);
    expect(calls.length, 'and most of it is used').toBeGreaterThan(5 * 600 * 0.85);
  });

  it('is fair to calls in their order, and counts what each costs', async () => {
    const { instance, now } = stand();
    const gmail = instance(6_000, 100);
    const ends: number[] = [];
    await Promise.all([300, 300, 300].map((units) => gmail.take(units).then(() => ends.push(now()))));
    expect(ends).toEqual(ends.toSorted((one, other) => one - other));
    expect(ends.at(-1)).toBeGreaterThan(5_000);
  });

  it('fails with a wish to wait where it is spent for too long, and makes no call', async () => {
    const { instance } = stand();
    const slow = instance(60);
    await slow.take(30);
    await expect(slow.take(60)).rejects.toMatchObject({
      kind: 'retryable',
      code: 'directory-unavailable',
      retryAfterMs: 30_000,
    });
  });

  it.each([
    ['429 with Retry-After', refusal({ httpStatus: 429, retryAfterMs: 7_000 }), 7_000],
    ['403 userRateLimitExceeded', refusal({ httpStatus: 403, reasons: ['userRateLimitExceeded'] }), 1_000],
    [
      '403 quotaExceeded in words',
      refusal({ httpStatus: 403, text: 'Quota exceeded for quota metric' }),
      1_000,
    ],
    ['a plain 403', refusal({ httpStatus: 403, reasons: ['forbidden'] }), 0],
    ['503', refusal({ httpStatus: 503, retryAfterMs: 7_000 }), 0],
  ])('keeps the other instance waiting as well after %s', async (_what, failure, waitMs) => {
    const { instance, now } = stand();
    const [one, other] = [instance(600), instance(600)];
    await one.take(1);
    await one.failed(failure);
    await other.take(1);
    expect(now()).toBeGreaterThanOrEqual(waitMs);
    expect(now()).toBeLessThan(waitMs + 500);
  });

  it.each(MAILBOX_LIMITS)(
    'lets nobody else wait after one mailbox has spent its own quota: %s',
    async (_what, failure) => {
      const { instance, now } = stand();
      const [one, other] = [instance(600, 1, true), instance(600, 1, true)];
      await one.take(1);
      await one.failed(refusal({ retryAfterMs: 7_000, ...failure }));
      await other.take(1);
      expect(now()).toBeLessThan(500);
    },
  );

  it.each([
    ['by its reason alone', { httpStatus: 403, reasons: ['rateLimitExceeded'], text: 'Rate Limit Exceeded' }],
    [
      'by the name of its limit',
      {
        httpStatus: 403,
        reasons: ['rateLimitExceeded'],
        text: "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'gmail.googleapis.com' for consumer 'project_number:1'.",
      },
    ],
  ])('lets everybody wait after the project has spent its, %s', async (_how, failure) => {
    const { instance, now } = stand();
    const [one, other] = [instance(600, 1, true), instance(600, 1, true)];
    await one.take(1);
    await one.failed(refusal({ retryAfterMs: 7_000, ...failure }));
    await other.take(1);
    expect(now()).toBeGreaterThanOrEqual(7_000);
  });

  it.each(MAILBOX_LIMITS)(
    'lets everybody wait where the one user of the quota is our own account: %s',
    async (_what, failure) => {
      const { instance, now } = stand();
      const [one, other] = [instance(600), instance(600)];
      await one.take(1);
      await one.failed(refusal({ retryAfterMs: 7_000, ...failure }));
      await other.take(1);
      expect(now()).toBeGreaterThanOrEqual(7_000);
    },
  );
});
