/**
 * A million damaged certificates, PEM chains, PKCS#7 and PKCS#12 files, certification requests, OCSP messages and CRLs through the ten parsers of
 * what comes from outside: `node --expose-gc bench/fuzz-pki.ts [inputs] [seed]`. A crash is anything thrown that is not one of our
 * errors; a hang is an input that takes over a second of processor time; memory is what is held after a collection, in the heap, outside
 * it and by the whole process, at the end over a tenth of the way. The inputs are shared out evenly among the parsers: a hundred thousand for each. Exit status 1 when there is any of the three.
 */
import { mutate, numbersFrom } from '../test/pki/mutations.ts';
import { isAnswer, type Parser, parsers } from '../test/pki/parsers.ts';
import { fuzzing, fuzzRows, memoryNow } from './fuzzed.ts';
import { report } from './report.ts';

const { inputs, seed } = fuzzing(1_000_000);

interface Count {
  readonly name: string;
  tried: number;
  accepted: number;
  refused: number;
  slowestMs: number;
  readonly crashes: string[];
}

const all = await parsers();
const next = numbersFrom(seed);
const counts = new Map(all.map(({ name }) => [name, emptyCount(name)]));
let early = await memoryNow();
for (let input = 0; input < inputs; input += 1) {
  const parser = all[input % all.length];
  if (parser !== undefined) tryOne(parser);
  if (input === Math.floor(inputs / 10)) early = await memoryNow();
}
const late = await memoryNow();

const total = [...counts.values()];
for (const { crashes } of total) for (const crash of crashes.slice(0, 5)) console.error(crash);
const each = total.map(({ name, tried, accepted }) => `${name} ${tried} (${accepted} taken)`).join(', ');
const good = report(
  'Damaged files from outside',
  fuzzRows({
    inputs,
    crashed: total.reduce((sum, { crashes }) => sum + crashes.length, 0),
    slowestMs: Math.max(...total.map(({ slowestMs }) => slowestMs)),
    early,
    late,
    note: `seed ${seed}; ${each}`,
  }),
);
process.exitCode = good ? 0 : 1;

function emptyCount(name: string): Count {
  return { name, tried: 0, accepted: 0, refused: 0, slowestMs: 0, crashes: [] };
}

function tryOne(parser: Parser): void {
  const count = counts.get(parser.name) ?? emptyCount(parser.name);
  const sample = parser.samples[next(parser.samples.length)] ?? new Uint8Array();
  const bytes = mutate(parser.samples, sample, next);
  // The processor's time: on a busy machine the wall clock says nothing about a parser.
  const started = process.cpuUsage();
  count.tried += 1;
  try {
    parser.parse(bytes);
    count.accepted += 1;
  } catch (error) {
    if (isAnswer(error)) count.refused += 1;
    else {
      count.crashes.push(
        `${error instanceof Error ? error.stack : String(error)} for ${Buffer.from(bytes).toString('base64')}`,
      );
    }
  }
  const { user, system } = process.cpuUsage(started);
  count.slowestMs = Math.max(count.slowestMs, (user + system) / 1000);
}
