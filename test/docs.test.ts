import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../cli/commands.ts';

/** The words of a command, without what it takes. */
const wordsOf = (text: string) => text.split(' ').filter((word) => /^[a-z][a-z-]*$/.test(word));

const ROOT = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Folders that commands make and git ignores. */
const MADE = ['node_modules', 'demo-out', 'bench-out', 'dist', 'coverage'];

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

describe('the documentation', () => {
  test('explains every error code, and none that does not exist', () => {
    const union = /export type ErrorCode =([\s\S]*?);/.exec(read('shared/errors.ts'))?.[1] ?? '';
    const codes = [...union.matchAll(/'([a-z-]+)'/g)].map((match) => match[1]).toSorted();
    const explained = [...read('docs/errors.md').matchAll(/^\| `([a-z-]+)` \|/gm)]
      .map((match) => match[1])
      .toSorted();
    expect(explained).toEqual(codes);
  });

  test('has every command in the table at the top of docs/cli.md, and no command that is not there', () => {
    const [table = ''] = /^\| Command \|[\s\S]*?\n\n/m.exec(read('docs/cli.md')) ?? [];
    const listed = [...table.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = '']) => {
      const named = [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => wordsOf(text));
      const parents = named[0]?.slice(0, -1) ?? [];
      // A row names a family once: `held list`, then `show DIGEST`.
      return named.map((words) => (words.length === 1 ? [...parents, ...words] : words).join(' '));
    });
    expect(listed.toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
  });

  test('has every room of the tree in docs/architecture.md, and no room that is not there', () => {
    const block = /```\n(functions\/[\s\S]*?)```/.exec(read('docs/architecture.md'))?.[1] ?? '';
    const top = [...block.matchAll(/^([a-z]+)\//gm)].map((match) => `${match[1]}/`);
    const shared = [...block.matchAll(/^ {2}([a-z-]+)\/ /gm)].map((match) => `shared/${match[1]}/`);
    const folders = (parent: string) =>
      readdirSync(join(ROOT, parent), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !MADE.includes(entry.name))
        .map(({ name }) => `${parent}${name}/`);
    expect(top.toSorted()).toEqual(folders('').toSorted());
    expect(shared.toSorted()).toEqual(folders('shared/').toSorted());
  });

  test('counts decisions from 1, without gaps and none twice', () => {
    const numbers = pages.flatMap((page) => /^docs\/decisions\/(\d{4})-/.exec(page)?.[1] ?? []);
    expect(numbers.map(Number).toSorted((left, right) => left - right)).toEqual(
      numbers.map((_, index) => index + 1),
    );
  });

  test('says in docs/deploy.md what each file of terraform/ makes', () => {
    const listed = [
      ...read('docs/deploy.md').matchAll(/^\| (`[a-z-]+\.tf`(?:, `[a-z-]+\.tf`)*) \|/gm),
    ].flatMap((match) => [...(match[1] ?? '').matchAll(/[a-z-]+\.tf/g)].map(([name]) => name));
    const files = readdirSync(join(ROOT, 'terraform')).filter((name) => name.endsWith('.tf'));
    expect(listed.toSorted()).toEqual(files.toSorted());
  });

  test.each(pages)('%s links to pages that exist', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(
      (match) => match[1] ?? '',
    );
    expect(links.filter((link) => !existsSync(resolve(ROOT, dirname(page), link)))).toEqual([]);
  });

  test.each(pages)('%s names only npm scripts that exist', (page) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...read(page).matchAll(/npm (?:run )?(start|test|[a-z]+:[a-z]+|(?<=run )[a-z]+)/g)].map(
      (match) => match[1] ?? '',
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
