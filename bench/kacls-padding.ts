/**
 * Does the time of a PKCS#1 v1.5 decryption say whether the padding was right? Decrypts as many good as bad paddings
 * in random order and prints Welch's t of the two sets of times. |t| below 4.5 is the usual bar for "no difference
 * seen" (Goodwill et al., "A testing methodology for side-channel resistance validation", 2011). Ends with exit code 1 where one is.
 *
 * Run on a quiet machine: node bench/kacls-padding.ts [pairs, default 10000] [modulus bits, default 2048] [--json]
 */
import { constants, generateKeyPairSync, publicEncrypt, randomBytes, randomInt } from 'node:crypto';
import { decryptContentKey } from '../shared/kacls/decryption.ts';
import { type BenchRow, report } from './report.ts';

const [pairs = 10_000, modulusLength = 2048] = process.argv
  .slice(2)
  .filter((word) => !word.startsWith('--'))
  .map(Number);
const BAR = 4.5;
const WARM_UP = 500;

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });

/** 00, type, padding without zeros, 00, 32 bytes: as RFC 8017 section 7.2.1 has it, but for the type of bad ones. */
function ciphertext(good: boolean): Buffer {
  const padding = randomBytes(modulusLength / 8 - 35).map((byte) => byte || 1);
  const block = Buffer.concat([Buffer.of(0, good ? 2 : 1), padding, Buffer.of(0), randomBytes(32)]);
  return publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block);
}

function nanosecondsFor(bytes: Buffer): number {
  const start = process.hrtime.bigint();
  decryptContentKey(privateKey, { scheme: 'pkcs1' }, bytes, { oaepMgf1: 'same' });
  return Number(process.hrtime.bigint() - start);
}

/** Good and bad ones are made, and then timed, in the same random order, so that neither meets another machine. */
function measure(): { readonly good: number[]; readonly bad: number[] } {
  const order = Array.from({ length: 2 * pairs }, (_, index) => index % 2 === 0);
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other] ?? false, order[at] ?? false];
  }
  const inputs = order.map(ciphertext);
  for (const input of inputs.slice(0, WARM_UP)) nanosecondsFor(input);
  const good: number[] = [];
  const bad: number[] = [];
  inputs.forEach((input, index) => {
    (order[index] === true ? good : bad).push(nanosecondsFor(input));
  });
  return { good, bad };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

const welchT = (left: readonly number[], right: readonly number[]): number =>
  (mean(left) - mean(right)) / Math.sqrt(variance(left) / left.length + variance(right) / right.length);

/** Without the slowest of both together: they are interruptions, and drown small differences. */
function below(share: number, { good, bad }: { good: readonly number[]; bad: readonly number[] }) {
  const all = [...good, ...bad].toSorted((left, right) => left - right);
  const limit = all[Math.ceil(all.length * share) - 1] ?? Number.POSITIVE_INFINITY;
  const upTo = (values: readonly number[]) => values.filter((value) => value <= limit);
  return { good: upTo(good), bad: upTo(bad) };
}

const times = measure();
const rows = [1, 0.99, 0.9, 0.5].map((share): BenchRow => {
  const { good, bad } = below(share, times);
  const microseconds = (values: readonly number[]) => (mean(values) / 1000).toFixed(1);
  const t = Math.abs(welchT(good, bad));
  return {
    name: `RSA-${modulusLength}, ${pairs} good and bad paddings, fastest ${share * 100} %`,
    ours: t,
    peer: BAR,
    peerName: 'the bar for a difference',
    unit: '|t|',
    target: { atMost: 1 },
    note: `good ${microseconds(good)} µs, bad ${microseconds(bad)} µs: ${t <= BAR ? 'no difference seen' : 'DIFFERENT'}`,
  };
});
const title = `The time of a PKCS#1 v1.5 decryption by its padding, Node ${process.versions.node}`;
process.exitCode = report(title, rows) ? 0 : 1;
