/**
 * `npm run bench`: every benchmark, or `-- NAME…`. Each runs in a process of its own and reports rows; together they
 * are one table and `bench-out/results.json`.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchRow, report } from './report.ts';

const BENCHES = [
  'crl',
  'crl-publication',
  'issue',
  'kacls',
  'kacls-start',
  'kacls-padding',
  'sweep',
  'ocsp',
  'join-storm',
  'fuzz-pki',
  'fuzz-ocsp',
] as const;
/** A tenth of what each of these does by itself, `node --expose-gc bench/fuzz-….ts`. */
const FUZZED_INPUTS = '12000';
const OUT = 'bench-out';

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => !(BENCHES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    process.stderr.write(`There is no benchmark "${unknown}"; there are ${BENCHES.join(', ')}.\n`);
    return 2;
  }
  const rows: BenchRow[] = [];
  for (const name of names.length === 0 ? BENCHES : names) {
    process.stderr.write(`${name}…\n`);
    rows.push(...(await rowsOf(name)));
  }
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, 'results.json'), `${JSON.stringify(rows, null, 2)}\n`);
  return report('All ratios are to a peer measured in the same run', rows) ? 0 : 1;
}

/** Rejects when the benchmark fails without rows; one that misses a target has rows and says so in them. */
function rowsOf(name: string): Promise<readonly BenchRow[]> {
  const file = join(import.meta.dirname, `${name}.ts`);
  const words = name.startsWith('fuzz-') ? ['--expose-gc', file, FUZZED_INPUTS] : [file];
  const child = spawn(process.execPath, [...words, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const rows = output
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as BenchRow);
      if (rows.length === 0) reject(new Error(`The benchmark ${name} ended with ${code} and no rows.`));
      else resolve(rows);
    });
  });
}

process.exitCode = await main(process.argv.slice(2).filter((word) => word !== '--json'));
