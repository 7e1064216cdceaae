import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

/** Which rooms a room may import from, itself always included. Anything else in the tree is forbidden to it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'shared/errors.ts': [],
  'shared/domain': [],
  'shared/audit': ['shared/domain', 'shared/errors.ts', 'shared/pki', 'shared/ports'],
  'shared/ports': ['shared/domain', 'shared/errors.ts'],
  'shared/config': ['shared/domain', 'shared/errors.ts'],
  'shared/plan': ['shared/domain'],
  'shared/activation': ['shared/domain', 'shared/errors.ts', 'shared/ports', 'shared/config', 'shared/plan'],
  'shared/pki': ['shared/domain', 'shared/errors.ts'],
  'shared/kacls': ['shared/domain', 'shared/errors.ts', 'shared/ports'],
  'shared/reconcile': [
    'shared/domain',
    'shared/errors.ts',
    'shared/ports',
    'shared/plan',
    'shared/pki',
    'shared/activation',
  ],
  'shared/what-if': [
    'shared/domain',
    'shared/errors.ts',
    'shared/ports',
    'shared/plan',
    'shared/activation',
    'shared/reconcile',
  ],
  'shared/sources': ['shared/domain', 'shared/errors.ts', 'shared/ports', 'shared/plan', 'shared/activation'],
  'shared/authority': ['shared/audit', 'shared/domain', 'shared/errors.ts', 'shared/ports', 'shared/pki'],
  'shared/adapters': ['shared/domain', 'shared/errors.ts', 'shared/ports', 'shared/pki', 'shared/kacls'],
  functions: [
    'shared/audit',
    'shared/domain',
    'shared/errors.ts',
    'shared/ports',
    'shared/config',
    'shared/plan',
    'shared/activation',
    'shared/what-if',
    'shared/pki',
    'shared/kacls',
    'shared/reconcile',
    'shared/sources',
    'shared/authority',
    'functions/compose',
  ],
  'functions/compose': [],
  cli: [
    'shared/audit',
    'shared/domain',
    'shared/errors.ts',
    'shared/ports',
    'shared/config',
    'shared/pki',
    'shared/kacls',
    'shared/authority',
    'functions/compose',
  ],
  emulator: [],
};

/** One folder knows which adapter stands behind which port. */
const COMPOSITION = 'functions/compose';
const READS_ENVIRONMENT = [
  'shared/config/settings.ts',
  'functions/index.ts',
  'functions/key-server/main.ts',
  'cli/main.ts',
];
const VENDOR = /^(googleapis|google-auth-library|@google-cloud\/(?!functions-framework)|pg$|@electric-sql\/)/;

interface Import {
  readonly file: string;
  readonly target: string;
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const specifiers = [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]/g,
    ),
  ];
  return specifiers.map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? '' }));
}

const roomOf = (path: string): string | undefined =>
  Object.keys(MAY_IMPORT)
    .filter((room) => path === room || path.startsWith(`${room}/`))
    .toSorted((left, right) => right.length - left.length)[0];

const files = ['shared', 'functions', 'cli', 'emulator'].flatMap(filesUnder);
const imports = files.flatMap(importsOf);

describe('imports', () => {
  test('are found at all (the reader of import lines works)', () => {
    expect(imports.length).toBeGreaterThan(200);
    expect(imports).toContainEqual({ file: 'shared/reconcile/run.ts', target: '../plan/plan.ts' });
  });

  test('point one way between rooms', () => {
    const wrong = imports
      .filter(({ file, target }) => target.startsWith('.') && roomOf(file) !== COMPOSITION)
      .filter(({ file, target }) => {
        const from = roomOf(file);
        const path = relative(ROOT, resolve(ROOT, dirname(file), target));
        const to = roomOf(path);
        return (
          from !== to && !(from !== undefined && to !== undefined && (MAY_IMPORT[from] ?? []).includes(to))
        );
      })
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(wrong).toEqual([]);
  });

  test('of a vendor SDK stand in adapters alone', () => {
    const wrong = imports
      .filter(({ file, target }) => VENDOR.test(target) && !file.startsWith('shared/adapters/'))
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(wrong).toEqual([]);
  });

  test('never take googleapis whole, which costs a second and a half at every cold start', () => {
    expect(imports.filter(({ target }) => target === 'googleapis')).toEqual([]);
  });

  test('of the functions stand, on one machine, in the process that runs them and not in the one that plays Google', () => {
    const local = filesUnder('local').flatMap(importsOf);
    const loading = local.filter(({ target }) => target.startsWith('../functions/'));
    expect(new Set(loading.map(({ file }) => file))).toEqual(new Set(['local/functions-process.ts']));
  });

  test('of files exist with their extension', () => {
    const wrong = imports.filter(({ target }) => target.startsWith('.') && !/\.(ts|json)$/.test(target));
    expect(wrong).toEqual([]);
  });
});

describe('the environment', () => {
  test('is read by the settings and the entry points alone', () => {
    const wrong = ['shared', 'functions', 'cli']
      .flatMap(filesUnder)
      .filter(
        (file) =>
          readFileSync(join(ROOT, file), 'utf8').includes('process.env') && !READS_ENVIRONMENT.includes(file),
      );
    expect(wrong).toEqual([]);
  });
});
