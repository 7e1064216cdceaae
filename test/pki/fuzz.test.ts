import { beforeAll, describe, expect, it, test } from 'vitest';
import { mutate, numbersFrom } from './mutations.ts';
import { isAnswer, type Parser, parsers } from './parsers.ts';

/** A few hundred of the inputs that `bench/fuzz-pki.ts` tries by the hundred thousand. */
const INPUTS = 400;
const SEED = 20_261_122;
const NAMES = [
  'certificates',
  'PEM chains',
  'PKCS#7',
  'PKCS#12',
  'PKCS#12 contents',
  'certification requests',
  'OCSP requests',
  'OCSP answers',
  'CRLs',
  'CRLs in parts',
];

let all: readonly Parser[];
beforeAll(async () => {
  all = await parsers();
});

describe('the parser of', () => {
  test.each(NAMES)('%s takes its good samples', (name) => {
    const parser = all.find((candidate) => candidate.name === name);
    for (const sample of parser?.samples ?? []) expect(() => parser?.parse(sample)).not.toThrow();
    expect(parser?.samples.length).toBeGreaterThan(0);
  });

  test.each(NAMES)('%s answers every damaged input, with a result or one of our errors', (name) => {
    const parser = all.find((candidate) => candidate.name === name);
    const next = numbersFrom(SEED);
    const crashes: string[] = [];
    const { samples = [] } = parser ?? {};
    for (let input = 0; input < INPUTS; input += 1) {
      const bytes = mutate(samples, samples[next(samples.length)] ?? new Uint8Array(), next);
      try {
        parser?.parse(bytes);
      } catch (error) {
        if (!isAnswer(error)) crashes.push(`${String(error)} for ${Buffer.from(bytes).toString('base64')}`);
      }
    }
    expect(crashes).toEqual([]);
  });
});

describe('the damaged inputs', () => {
  it('are the same for the same seed, and differ from their samples', () => {
    const sample = Buffer.from('30820122300d06092a864886f70d01010105000382010f00', 'hex');
    const run = () => {
      const next = numbersFrom(SEED);
      return Array.from({ length: 200 }, () => Buffer.from(mutate([sample], sample, next)).toString('hex'));
    };
    expect(run()).toEqual(run());
    expect(run().filter((hex) => hex !== sample.toString('hex')).length).toBeGreaterThan(180);
  });
});
