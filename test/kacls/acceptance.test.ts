import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/key-service-checks.md'), 'utf8');

/** Rows of the page's tables: the first cell, and the last, which names tests. */
const rows = PAGE.split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| No.') && !line.startsWith('| What is'))
  .map((line) => line.slice(2, -2).split(' | '))
  .map((cells) => ({ name: cells[0] ?? '', tests: cells.at(-1) ?? '' }));

/** `file: "title", "title"; file: "title"`; a file may also follow a comma. A title may hold quotes of its own. */
function namedTests(cell: string): { file: string; title: string }[] {
  const found: { file: string; title: string }[] = [];
  let file = '';
  for (const [, path, title] of cell.matchAll(/([a-z][a-z0-9/-]*): (?=")|"(.+?)"(?=[,;]|$)/g)) {
    if (path !== undefined) file = path;
    else if (title !== undefined) found.push({ file, title });
  }
  return found;
}

const literal = (title: string) => ["'", '"', '`'].map((quote) => `${quote}${title}${quote}`);

describe('the page of checks', () => {
  test('has every number once', () => {
    const numbers = rows.map(({ name }) => name).filter((name) => /^\d+$/.test(name));
    expect(numbers).toEqual(Array.from({ length: 47 }, (_, index) => String(index + 1)));
  });

  test.each(rows)('names tests that exist for $name', ({ tests }) => {
    const named = namedTests(tests);
    if (named.length === 0) expect(tests).toMatch(/a benchmark|^Nos\./);
    const missing = named.filter(({ file, title }) => {
      const path = join(ROOT, 'test', `${file}.test.ts`);
      if (!existsSync(path)) return true;
      const source = readFileSync(path, 'utf8');
      return !literal(title).some((text) => source.includes(text));
    });
    expect(missing).toEqual([]);
  });
});
