import { describe, expect, it } from 'vitest';
import { parseCron } from '../../../emulator/scheduler/cron.ts';

const next = (schedule: string, after: string): string =>
  new Date(parseCron(schedule).nextAfter(Date.parse(after))).toISOString().replace(':00.000Z', 'Z');

describe('a unix-cron schedule', () => {
  it.each([
    ['* * * * *', '2026-11-23T10:00:00.000Z', '2026-11-23T10:01Z'],
    ['* * * * *', '2026-11-23T10:00:59.999Z', '2026-11-23T10:01Z'],
    ['*/5 * * * *', '2026-11-23T10:00:00Z', '2026-11-23T10:05Z'],
    ['*/5 * * * *', '2026-11-23T10:57:00Z', '2026-11-23T11:00Z'],
    ['7/20 * * * *', '2026-11-23T10:08:00Z', '2026-11-23T10:27Z'],
    ['10-20/5 * * * *', '2026-11-23T10:20:00Z', '2026-11-23T11:10Z'],
    ['0 */6 * * *', '2026-11-23T18:00:00Z', '2026-11-24T00:00Z'],
    ['30 4 * * *', '2026-11-23T04:30:00Z', '2026-11-24T04:30Z'],
    ['30 4 * * *', '2026-12-31T23:59:59Z', '2027-01-01T04:30Z'],
    ['0 0 1 * *', '2026-11-23T10:00:00Z', '2026-12-01T00:00Z'],
    ['0 0 31 * *', '2026-11-23T10:00:00Z', '2026-12-31T00:00Z'],
    ['0 0 29 2 *', '2026-11-23T10:00:00Z', '2028-02-29T00:00Z'],
    ['0 9 * * 1', '2026-11-23T09:00:00Z', '2026-11-30T09:00Z'],
    ['0 9 * * MON-FRI', '2026-11-27T09:00:00Z', '2026-11-30T09:00Z'],
    ['0 9 * * 0', '2026-11-23T09:00:00Z', '2026-11-29T09:00Z'],
    ['0 9 * * 7', '2026-11-23T09:00:00Z', '2026-11-29T09:00Z'],
    ['0 9 * jan,jul *', '2026-11-23T09:00:00Z', '2027-01-01T09:00Z'],
    ['0,15,45 8 * * *', '2026-11-23T08:15:00Z', '2026-11-23T08:45Z'],
  ])('%s comes due after %s at %s', (schedule, after, due) => {
    expect(next(schedule, after)).toBe(due);
  });

  it('with both day fields restricted comes due on either', () => {
    expect(next('0 0 25 * 5', '2026-11-23T10:00:00Z')).toBe('2026-11-25T00:00Z');
    expect(next('0 0 25 * 5', '2026-11-25T00:00:00Z')).toBe('2026-11-27T00:00Z');
  });

  it.each([
    ['* * * *', 'has 4 fields'],
    ['* * * * * *', 'has 6 fields'],
    ['60 * * * *', '"60" is no minute'],
    ['* 24 * * *', '"24" is no hour'],
    ['* * 0 * *', '"0" is no day of month'],
    ['* * * 13 *', '"13" is no month'],
    ['* * * * 8', '"8" is no day of week'],
    ['*/0 * * * *', '"*/0" is no minute'],
    ['20-10 * * * *', '"20-10" is no minute'],
    ['5,,6 * * * *', '"5,,6" is no minute'],
    ['x * * * *', '"x" is no minute'],
    ['every 5 minutes', 'has 3 fields'],
    ['0 0 30 2 *', 'never comes due'],
  ])('%s is refused', (schedule, sentence) => {
    expect(() => parseCron(schedule)).toThrow(sentence);
  });
});
