/** What the two fuzzers have in common: how many inputs from which seed, the memory they hold on to, and how they report. */
import type { BenchRow } from './report.ts';

/** An input that takes longer is a hang. */
const HANG_MS = 1000;
const GROWTH_MB = 16;
/** The process keeps pages that it was given and no longer needs; a leak of native code would pass this in no time. */
const RESIDENT_GROWTH_MB = 64;
const MB = 2 ** 20;

/** `[inputs] [seed]`; as many as this unless something else is asked for. */
export function fuzzing(usual: number): { readonly inputs: number; readonly seed: number } {
  const [inputs = usual, seed = 20_261_122] = process.argv
    .slice(2)
    .filter((word) => !word.startsWith('-'))
    .map(Number);
  return { inputs, seed };
}

const KINDS = ['heapUsed', 'external', 'arrayBuffers', 'rss'] as const;

/** In MB. `external` is what objects hold outside the heap, `arrayBuffers` a part of it; `rss` all that the process has, native code's too. */
export type Memory = Readonly<Record<(typeof KINDS)[number], number>>;

/** After a collection. Without `--expose-gc` the figures have whatever the collector has left lying about. */
export async function memoryNow(): Promise<Memory> {
  // What a collection finds may be freed by a task that comes after it, and buffers are freed by a second one.
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const used = process.memoryUsage();
  return {
    heapUsed: used.heapUsed / MB,
    external: used.external / MB,
    arrayBuffers: used.arrayBuffers / MB,
    rss: used.rss / MB,
  };
}

/** None of these has a peer; what each is compared with is the limit that it must not reach. */
export const fuzzRows = (found: {
  readonly inputs: number;
  readonly crashed: number;
  readonly slowestMs: number;
  /** At a tenth of the way and at the end. */
  readonly early: Memory;
  readonly late: Memory;
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
    name: 'heap and what it holds outside, after the last over that after a tenth',
    ours: Math.max(0, held(found.late) - held(found.early)),
    peer: GROWTH_MB,
    peerName: 'the growth that is a leak',
    unit: 'MB',
    target: { atMost: 1 },
    note: KINDS.map((kind) => `${kind} ${signed(found.late[kind] - found.early[kind])} MB`).join(', '),
  },
  {
    name: 'resident memory, after the last over that after a tenth',
    ours: Math.max(0, found.late.rss - found.early.rss),
    peer: RESIDENT_GROWTH_MB,
    peerName: 'the growth that is a leak',
    unit: 'MB',
    target: { atMost: 1 },
    note: `${found.late.rss.toFixed(0)} MB in the end`,
  },
];

const held = ({ heapUsed, external }: Memory): number => heapUsed + external;
const signed = (mb: number): string => `${mb < 0 ? '−' : '+'}${Math.abs(mb).toFixed(2)}`;
