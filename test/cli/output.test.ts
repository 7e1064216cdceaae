import { describe, expect, it, test } from 'vitest';
import { withProgress } from '../../cli/progress.ts';
import { facts, table } from '../../cli/table.ts';
import { printable, type Terminal } from '../../cli/terminal.ts';
import { counted, duration, instant } from '../../cli/words.ts';

describe('a table', () => {
  const columns = [
    { title: 'NAME', value: (row: readonly string[]) => row[0] ?? '' },
    { title: 'WHY', value: (row: readonly string[]) => row[1] ?? '' },
  ];

  it('pads all columns but the last, and fills gaps so that columns can be counted', () => {
    expect(
      table(columns, [
        ['a', 'x'],
        ['longer', ''],
        ['', 'y'],
      ]),
    ).toBe('NAME    WHY\na       x\nlonger  –\n–       y');
  });

  it('counts characters, not UTF-16 units', () => {
    expect(table(columns, [['🐎', 'x']])).toBe('NAME  WHY\n🐎     x');
  });

  it('keeps a row on one line', () => {
    expect(table(columns, [['a', 'one\n  two']])).toBe('NAME  WHY\na     one two');
  });

  it('can be as wide as its earlier pages, and without a header', () => {
    const wide = columns.map((column) => ({ ...column, minimum: 6 }));
    expect(table(wide, [['a', 'x']], false)).toBe('a       x');
  });
});

test('facts leave out what is not known', () => {
  expect(
    facts([
      ['User', 'ben'],
      ['Next', undefined],
      ['Reason', 'none'],
    ]),
  ).toBe('User    ben\nReason  none');
});

test.each([
  ['2026-11-23T15:29:57.874Z', '2026-11-23 15:29Z'],
  ['2026-11-23T15:29:57+02:00', '2026-11-23 13:29Z'],
  ['soon', 'soon'],
  [undefined, ''],
])('the instant %s is shown as "%s"', (text, shown) => {
  expect(instant(text)).toBe(shown);
});

test.each([
  [0, '0s'],
  [1_500, '1.5s'],
  [5_400_000, '90m'],
  [129_600_000, '36h'],
  [2_592_000_000, '30d'],
])('%i milliseconds are shown as %s', (milliseconds, shown) => {
  expect(duration(milliseconds)).toBe(shown);
});

test.each([
  [0, '0 users'],
  [1, '1 user'],
  [12_345, '12,345 users'],
])('%i of them are counted as "%s"', (count, shown) => {
  expect(counted(count, 'user')).toBe(shown);
});

test.each([
  ['an escape sequence', '\u001b[31mred', '\\u001b[31mred'],
  ['a C1 control', '\u009b2J', '\\u009b2J'],
  ['a carriage return', 'good\rbad', 'good\\u000dbad'],
  ['a mark that turns the writing direction', 'a\u202eb', 'a\\u202eb'],
  ['tabs, line breaks and other scripts', 'a\tb\nгаваней 🐎', 'a\tb\nгаваней 🐎'],
])('%s in a text is made harmless or left as it is', (_what, text, shown) => {
  expect(printable(text)).toBe(shown);
});

describe('progress', () => {
  it('says what is waited for, as it is by then, and then what came of it', async () => {
    let count = 0;
    let finish = (_value: string) => {};
    const work = new Promise<string>((resolve) => {
      finish = resolve;
    });
    const told: string[] = [];
    const terminal: Terminal = {
      print: () => {},
      tell: (text) => {
        told.push(text);
        count += 1;
        if (told.length === 3) finish('done');
      },
    };
    const label = () => `reading, ${count} so far`;
    expect(await withProgress(terminal, label, () => work, { firstMs: 1, nextMs: 1 })).toBe('done');
    expect(told.slice(0, 3)).toEqual(
      ['… reading, 0 so far (0 s)', '… reading, 1 so far (0 s)', '… reading, 2 so far (0 s)'].map((line) =>
        expect.stringMatching(line.replace('… ', '^… ').replace('(0 s)', '\\(\\d+ s\\)$')),
      ),
    );
  });

  it('is silent afterwards, also when the work fails', async () => {
    const told: string[] = [];
    const terminal: Terminal = { print: () => {}, tell: (text) => told.push(text) };
    const failing = withProgress(
      terminal,
      () => 'x',
      () => Promise.reject(new Error('no')),
      {
        firstMs: 5,
        nextMs: 5,
      },
    );
    await expect(failing).rejects.toThrow('no');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told).toEqual([]);
  });
});
