/** What the two fuzzers have in common: how many inputs from which seed, the memory they hold on to, and how they report. */
import type { BenchRow } from './report.ts';

/** An input that takes longer is a hang. */
const HANG_MS = 1000;
const GROWTH_MB = 16;

/** `[inputs] [seed]`; 120,000 of them unless something else is asked for. */
export function fuzzing(): { readonly inputs: number; readonly seed: number } {
  const [inputs = 120_000, seed = 20_261_122] = process.argv
    .slice(2)
    .filter((word) => !word.startsWith('-'))
    .map(Number);
  return { inputs, seed };
}

/** Without `--expose-gc` the figure has whatever the collector has left lying about. */
export function heapMb(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** None of these has a peer; what each is compared with is the limit that it must not reach. */
export const fuzzRows = (found: {
  readonly inputs: number;
  readonly crashed: number;
  readonly slowestMs: number;
  readonly growthMb: number;
  readonly note: string;
}): readonly BenchRow[] => [
  {
    name: `crashes in ${found.inputs.toLocaleString('en')} damaged inputs`,
    ours: found.crashed,
    peer: found.inputs,
    peerName: 'all inputs',
    unit: 'inputs',
    target: { atMost: 0 },
    note: found.note,
  },
  {
    name: 'the slowest of them',
    ours: found.slowestMs,
    peer: HANG_MS,
    peerName: 'the second that is a hang',
    unit: 'ms',
    target: { atMost: 1 },
  },
  {
    name: 'heap after the last, over that after a tenth',
    ours: Math.max(0, found.growthMb),
    peer: GROWTH_MB,
    peerName: 'the growth that is a leak',
    unit: 'MB',
    target: { atMost: 1 },
  },
];
