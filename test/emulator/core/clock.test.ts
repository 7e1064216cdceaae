import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmulatorClock, parseDuration } from '../../../emulator/core/clock.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clock-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the emulator clock', () => {
  it('shows real time until it is moved', () => {
    const before = Date.now();
    const now = new EmulatorClock().nowMs();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });

  it('goes on from where it was moved to', () => {
    const clock = new EmulatorClock();
    clock.advance(1000);
    clock.advance(500);
    expect(clock.offsetMs).toBe(1500);
    clock.set(new Date('2040-01-01T00:00:00Z'));
    expect(clock.now().toISOString()).toMatch(/^2040-01-01T00:00:0/);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('does not advance by %s', (milliseconds) => {
    const clock = new EmulatorClock();
    expect(() => clock.advance(milliseconds)).toThrow('The clock only moves forward');
    expect(clock.offsetMs).toBe(0);
  });

  it.each(['2001-01-01T00:00:00Z', 'never'])('is not set to %s', (instant) => {
    expect(() => new EmulatorClock().set(new Date(instant))).toThrow(RangeError);
  });

  it('tells its listeners after each move, in the order they came', () => {
    const clock = new EmulatorClock();
    const heard: string[] = [];
    clock.onMove(() => heard.push(`first at ${clock.offsetMs}`));
    clock.onMove(() => heard.push('second'));
    clock.advance(10);
    expect(heard).toEqual(['first at 10', 'second']);
  });

  it('shares its offset through a file, also with the next process', () => {
    const file = join(folder, 'deep', 'offset');
    const clock = new EmulatorClock(file);
    expect(readFileSync(file, 'utf8')).toBe('0');
    clock.advance(90_000);
    expect(readFileSync(file, 'utf8')).toBe('90000');
    expect(new EmulatorClock(file).offsetMs).toBe(90_000);
  });

  it.each([
    ['text', 'soon'],
    ['nothing', ''],
    ['blanks', ' \n'],
    ['a negative number', '-5'],
  ])('refuses a file that holds %s', (_what, content) => {
    const file = join(folder, 'damaged');
    writeFileSync(file, content);
    expect(() => new EmulatorClock(file)).toThrow(`The clock file ${file} holds no number of milliseconds.`);
  });
});

describe('a length of time', () => {
  it.each([
    ['500ms', 500],
    ['5m', 300_000],
    ['5ms', 5],
    ['1h30m', 5_400_000],
    ['35d', 3_024_000_000],
    ['0.5h', 1_800_000],
    ['0s', 0],
  ])('%s is %i milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '5', 'd', '-5d', '5 d', '5w', '5d!', 'PT5M', '1e3s'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
