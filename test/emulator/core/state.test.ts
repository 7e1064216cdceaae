import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmulatorState } from '../../../emulator/core/state.ts';
import { until } from './world.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the emulator state', () => {
  it('makes a section once and hands out the same object', () => {
    const state = new EmulatorState();
    const section = state.section('room', () => ({ count: 1 }));
    section.count = 2;
    expect(state.section('room', () => ({ count: 99 }))).toBe(section);
    expect(state.has('room')).toBe(true);
    expect(state.has('other')).toBe(false);
  });

  it.each(['constructor', 'toString', '__proto__'])('takes %s for a section like any other', (name) => {
    const state = new EmulatorState();
    expect(state.has(name)).toBe(false);
    expect(state.section(name, () => ({ count: 1 }))).toEqual({ count: 1 });
    expect(state.section(name, () => ({ count: 2 }))).toEqual({ count: 1 });
  });

  it('is for its owner alone to read, as it holds emulated keys', () => {
    const file = join(folder, 'state.json');
    const state = new EmulatorState(file);
    state.section('room', () => ({ users: ['ann'] }));
    state.flush();
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  });

  it('is read back by the next one', () => {
    const file = join(folder, 'deep', 'state.json');
    const state = new EmulatorState(file);
    state.section('room', () => ({ users: ['ann'] }));
    state.flush();
    const next = new EmulatorState(file);
    expect(next.has('room')).toBe(true);
    expect(next.section('room', () => ({ users: [] as string[] }))).toEqual({ users: ['ann'] });
  });

  it('writes itself shortly after a change and leaves no other file behind', async () => {
    const file = join(folder, 'state.json');
    const state = new EmulatorState(file);
    state.section('room', () => ({ count: 1 })).count = 5;
    state.changed();
    await until(() => readdirSync(folder).includes('state.json'));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ room: { count: 5 } });
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  it('without a file keeps everything in memory', () => {
    const state = new EmulatorState();
    state.section('room', () => ({}));
    state.changed();
    expect(() => state.flush()).not.toThrow();
  });

  it.each([
    ['is cut off', '{"room":', 'is not JSON'],
    ['is empty', '', 'is not JSON'],
    ['holds a list', '[]', 'holds no state'],
    ['holds null', 'null', 'holds no state'],
  ])('refuses a file that %s, naming it and the way out', (_what, content, sentence) => {
    const file = join(folder, 'state.json');
    writeFileSync(file, content);
    expect(() => new EmulatorState(file)).toThrow(sentence);
    expect(() => new EmulatorState(file)).toThrow(file);
    expect(() => new EmulatorState(file)).toThrow('Remove it to start anew');
  });
});
