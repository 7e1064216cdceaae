/**
 * `npm run build`: what is deployed. For each function `dist/NAME/` (index.js, its source map, notices of what is
 * in it, package.json and its lock) and `dist/NAME.zip`, the same files as the platform takes them. `--out DIR` puts
 * them elsewhere, `--json` prints for programs.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { FUNCTION_NAMES, type FunctionName } from '../shared/domain/function-names.ts';
import { bundle, bundleKeyServer } from './build/bundle.ts';
import { manifestOf } from './build/manifest.ts';
import { zip } from './build/zip.ts';

const ROOT = resolve(import.meta.dirname, '..');
export const KEY_SERVER = 'key-server';

export interface Built {
  readonly name: FunctionName;
  readonly folder: string;
  readonly zipFile: string;
  /** Of `index.js`. */
  readonly bytes: number;
  readonly gzipBytes: number;
  readonly zipSha256Hex: string;
  /** Bytes in `index.js` by npm package or own folder, largest first. */
  readonly parts: Readonly<Record<string, number>>;
}

/** Builds every function into `out`. What was there under their names before is removed first. */
export async function buildAll(out: string): Promise<readonly Built[]> {
  return await Promise.all(FUNCTION_NAMES.map((name) => buildOne(out, name)));
}

/** `KEY_SERVER/`: what the container of the key service holds, with its Containerfile; no archive. */
export async function buildKeyServer(out: string): Promise<void> {
  const { files } = await bundleKeyServer(ROOT);
  const folder = join(out, KEY_SERVER);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of files) writeFileSync(join(folder, file), bytes);
  copyFileSync(join(ROOT, 'container/Containerfile'), join(folder, 'Containerfile'));
}

async function buildOne(out: string, name: FunctionName): Promise<Built> {
  const { files, parts } = await bundle(ROOT, name);
  const manifest = [...manifestOf(ROOT, name)].map(([file, text]) => [file, Buffer.from(text)] as const);
  const all = new Map<string, Uint8Array>([...files, ...manifest]);
  const folder = join(out, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of all) writeFileSync(join(folder, file), bytes);
  const archive = zip(all);
  const zipFile = join(out, `${name}.zip`);
  writeFileSync(zipFile, archive);
  const code = all.get('index.js') ?? Buffer.alloc(0);
  return {
    name,
    folder,
    zipFile,
    bytes: code.length,
    gzipBytes: gzipSync(code).length,
    zipSha256Hex: createHash('sha256').update(archive).digest('hex'),
    parts: Object.fromEntries(parts),
  };
}

function table(built: readonly Built[]): string {
  const rows = [
    ['function', 'code', 'gzip', 'largest parts'],
    ...built.map(({ name, bytes, gzipBytes, parts }) => [
      name,
      kilobytes(bytes),
      kilobytes(gzipBytes),
      Object.entries(parts)
        .slice(0, 3)
        .map(([part, size]) => `${part} ${kilobytes(size)}`)
        .join(', '),
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(([name = '', code = '', gzip = '', largest = '']) =>
      [
        name.padEnd(widths[0] ?? 0),
        code.padStart(widths[1] ?? 0),
        gzip.padStart(widths[2] ?? 0),
        largest,
      ].join('  '),
    )
    .join('\n');
}

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000)} kB`;

if (import.meta.main) {
  let options: { out: string; json: boolean };
  try {
    options = parseArgs({
      options: {
        out: { type: 'string', default: join(ROOT, 'dist') },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
  const built = await buildAll(resolve(options.out));
  await buildKeyServer(resolve(options.out));
  process.stdout.write(
    options.json ? `${JSON.stringify(built)}\n` : `${table(built)}\n\nWritten to ${options.out}\n`,
  );
}
