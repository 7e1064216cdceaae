import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/ca-promises.md'), 'utf8');
const rows = [...page.matchAll(/^\| ([PI]\d+) \| .*? \| `(.*?)` \| (.*?) \|$/gm)].map(
  ([, promise = '', file = '', title = '']) => ({ promise, file, title }),
);

test('each promise of the CA from P1 to P14 is named on the page, and each incident', () => {
  const numbered = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
  expect([...new Set(rows.map(({ promise }) => promise))]).toEqual([
    ...numbered('P', 14),
    ...numbered('I', 13),
  ]);
});

test.each([
  ...rows,
  {
    promise: 'Policies',
    file: 'test/pki/authority.test.ts',
    title: 'names a reserved policy beside its own only when configured',
  },
])('$promise: $file has "$title"', ({ file, title }) => {
  expect(page).toContain(title);
  // As a test's own title, and not one that is skipped for good.
  const source = readFileSync(join(ROOT, file), 'utf8');
  const at = source.indexOf(`'${title}'`);
  expect(at).toBeGreaterThan(0);
  expect(source.slice(0, at)).toMatch(/(?:^|\n) *(?:(?:it|test)\(|(?:it|test)\.each\(.*\)\()\s*$/);
});
