import { describe, expect, test } from 'vitest';
import { slowRetryMs } from '../../shared/plan/timing.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe('a user who keeps failing', () => {
  test('is looked at after one minute, then after twice as long each time, an hour at most, and once a day after a day', () => {
    const waits = Array.from({ length: 10 }, (_, failures) => slowRetryMs(failures, 0) / MINUTE_MS);
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    expect(slowRetryMs(1_000_000, DAY_MS - 1)).toBe(HOUR_MS);
    expect([0, 3, 1_000_000].map((failures) => slowRetryMs(failures, DAY_MS))).toEqual([
      DAY_MS,
      DAY_MS,
      DAY_MS,
    ]);
  });
});
