import { describe, expect, it } from 'vitest';
import { CallLog } from '../../../emulator/core/call-log.ts';

const record = (path: string) => ({
  at: '2026-11-23T10:00:00.000Z',
  method: 'directory.users.get',
  verb: 'GET',
  path,
  caller: undefined,
  status: 200,
  durationMs: 1,
});

describe('the call log', () => {
  it('numbers calls from 1 and answers those after a number', () => {
    const log = new CallLog();
    expect(log.last).toBe(0);
    for (const path of ['/a', '/b', '/c']) log.add(record(path));
    expect(log.last).toBe(3);
    expect(log.since(1).map((call) => [call.n, call.path])).toEqual([
      [2, '/b'],
      [3, '/c'],
    ]);
    expect(log.since(3)).toEqual([]);
  });

  it('keeps the last 50,000 and goes on counting', () => {
    const log = new CallLog();
    for (let index = 0; index < 60_001; index += 1) log.add(record('/x'));
    const kept = log.since(0);
    expect(kept).toHaveLength(50_000);
    expect(kept[0]?.n).toBe(10_002);
    expect(log.last).toBe(60_001);
  });
});
