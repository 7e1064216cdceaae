import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { ReportsReading } from '../../../shared/ports/ledger/reports.ts';
import { entryKey } from '../../../shared/sources/admin-event.ts';
import {
  DEEP_EVERY_MS,
  DEEP_OVERLAP_MS,
  isReadingDue,
  nextWindow,
  OVERLAP_MS,
  READ_EVERY_MS,
  SETTLE_MS,
} from '../../../shared/sources/reports/window.ts';

const NOW = new Date('2027-03-01T09:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const ago = (ms: number) => new Date(NOW.getTime() - ms);
const NEVER: ReportsReading = { gaps: 0, failures: 0 };
const read = (changes: Partial<ReportsReading> = {}): ReportsReading => ({
  ...NEVER,
  since: ago(30 * DAY_MS),
  through: ago(SETTLE_MS + READ_EVERY_MS),
  readAt: ago(READ_EVERY_MS),
  deepAt: ago(HOUR_MS),
  ...changes,
});

describe('a reading of the Reports API', () => {
  test.each<[string, boolean, ReportsReading]>([
    ['at first', true, NEVER],
    ['ten minutes after the last one', true, read()],
    ['a moment before that', false, read({ through: ago(SETTLE_MS + READ_EVERY_MS - 1) })],
    [
      'at once where one is under way',
      true,
      read({
        through: ago(SETTLE_MS),
        underWay: { from: ago(HOUR_MS), to: ago(0), isDeep: false, application: 'admin', gaps: 0 },
      }),
    ],
    ['not while the last one failed a moment ago', false, read({ failures: 1, triedAt: ago(MINUTE_MS) })],
    ['ten minutes after one that failed', true, read({ failures: 1, triedAt: ago(READ_EVERY_MS) })],
  ])('is due %s: %s', (_when, due, reading) => {
    expect(isReadingDue(reading, NOW)).toBe(due);
  });

  it('leaves the last ten minutes to the log sink and reaches four hours back over the one before', () => {
    expect(nextWindow(read(), NOW)).toEqual({
      from: ago(SETTLE_MS + READ_EVERY_MS + OVERLAP_MS),
      to: ago(SETTLE_MS),
      isDeep: false,
    });
  });

  it('reaches back for days every six hours', () => {
    expect(nextWindow(read({ deepAt: ago(DEEP_EVERY_MS) }), NOW)).toEqual({
      from: ago(SETTLE_MS + READ_EVERY_MS + DEEP_OVERLAP_MS),
      to: ago(SETTLE_MS),
      isDeep: true,
    });
  });

  it('never reaches back before the first one, nor beyond what Google keeps', () => {
    expect(nextWindow(NEVER, NOW)).toMatchObject({ from: ago(SETTLE_MS + OVERLAP_MS), isDeep: true });
    expect(nextWindow(read({ since: ago(HOUR_MS) }), NOW).from).toEqual(ago(HOUR_MS));
    const long = read({ since: ago(400 * DAY_MS), through: ago(300 * DAY_MS) });
    expect(nextWindow(long, NOW).from).toEqual(ago(SETTLE_MS + 179 * DAY_MS));
  });

  it('is of a window that has a length, whatever the clocks have done', () => {
    const { from, to } = nextWindow(read({ through: new Date(NOW.getTime() + DAY_MS), since: NOW }), NOW);
    expect(from.getTime()).toBeLessThan(to.getTime());
  });

  it('finds every entry, up to a day and a half late, whenever readings come and however many of them fail', () => {
    const steps = fc.array(
      fc.record({ waitMs: fc.integer({ min: MINUTE_MS, max: 10 * HOUR_MS }), fails: fc.boolean() }),
      { minLength: 1, maxLength: 60 },
    );
    const happened = fc.record({
      afterMs: fc.integer({ min: 0, max: 5 * DAY_MS }),
      lateMs: fc.integer({ min: 0, max: 36 * HOUR_MS }),
    });
    fc.assert(
      fc.property(steps, happened, (turns, { afterMs, lateMs }) => {
        const atMs = NOW.getTime() + afterMs;
        let reading: ReportsReading = NEVER;
        let nowMs = NOW.getTime();
        let found = false;
        const turn = (fails: boolean): void => {
          const now = new Date(nowMs);
          if (!isReadingDue(reading, now)) return;
          const { from, to, isDeep } = nextWindow(reading, now);
          if (fails) {
            reading = { ...reading, failures: reading.failures + 1, triedAt: now };
            return;
          }
          found ||= atMs >= from.getTime() && atMs <= to.getTime() && nowMs >= atMs + lateMs;
          const { since = from, deepAt } = reading;
          reading = {
            since,
            through: to,
            gaps: 0,
            failures: 0,
            ...(isDeep ? { deepAt: now } : deepAt && { deepAt }),
          };
        };
        turn(false);
        for (const { waitMs, fails } of turns) {
          nowMs += waitMs;
          turn(fails);
        }
        // Readings go well again, every ten minutes, for as long as it may take from now or from its coming.
        const endMs = Math.max(nowMs, atMs + lateMs) + DEEP_EVERY_MS + 2 * READ_EVERY_MS + SETTLE_MS;
        while (nowMs < endMs && !found) {
          nowMs += READ_EVERY_MS;
          turn(false);
        }
        expect(found).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the key of an entry', () => {
  it('is the same from microseconds with a signed number and from milliseconds with an unsigned one', () => {
    expect(entryKey(1663476083593, '-8299540676987354861')).toBe('1663476083593:-8299540676987354861');
    expect(entryKey(1663476083593, '10147203396722196755')).toBe('1663476083593:-8299540676987354861');
  });
});
