import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { offsetClock } from '../../../shared/adapters/clock/offset-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'clock-'));
const file = join(folder, 'offset');
afterAll(() => rmSync(folder, { recursive: true }));

const replace = (text: string): void => {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
};
const unreadable = expect.objectContaining({ code: 'settings-invalid' });

test('a clock that follows a file is as far ahead as the file says from the next turn of the event loop on, and refuses one that says nothing', async () => {
  const clock = offsetClock(file);
  expect(() => clock.now()).toThrow(unreadable);
  for (const ahead of [0, 1000, 2000, 86_400_000]) {
    replace(String(ahead));
    await turn();
    const before = Date.now();
    expect(clock.now().getTime()).toBeGreaterThanOrEqual(before + ahead);
    expect(clock.now().getTime()).toBeLessThanOrEqual(Date.now() + ahead);
  }
  replace('soon');
  await turn();
  expect(() => clock.now()).toThrow(unreadable);
});
