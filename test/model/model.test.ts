/**
 * Any history of people against a model simpler than the system. `SEALWRIGHT_MODEL_RUNS` and `SEALWRIGHT_MODEL_LENGTH` say
 * how many histories of how many commands, `SEALWRIGHT_MODEL_SEED` repeats one that failed; its seed is in the title.
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { readCrl as opensslCrl } from '../stories/openssl.ts';
import { listedSerials } from '../support/elements.ts';
import { keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import { createWorld, type Materials, MINUTE_MS, START, type World } from '../support/fakes/world.ts';
import { nextAuthority } from '../support/next-authority.ts';
import { type Command, join, rekey, USERS, wait } from './commands.ts';
import { KEPT } from './kept.ts';
import { longHistory } from './long-histories.ts';
import { HOUR_MS, type Model, newModel, personOf } from './model.ts';
import { expectAgreement, expectListed, newReal, pass, publicCrl, type Real, RULES } from './real.ts';

const setting = (name: string, usual: number): number =>
  Number(process.env[`SEALWRIGHT_MODEL_${name}`] ?? usual);
const runs = setting('RUNS', 2_000);
const length = setting('LENGTH', 40);
const seed = setting('SEED', randomInt(2 ** 31));
/** A few histories end before they have carried out this many; together they have `length` on average and more. */
const LONGEST = length + 1;
/** No history draws more keys than this, so no key comes back after it was reported as compromised. */
const KEYS = 300;

let materials: Materials;
let next: SampleAuthority;
beforeAll(async () => {
  next = await nextAuthority({ curve: 'P-256' });
  materials = { authority: await sampleAuthority({ curve: 'P-256' }), pool: await keyPoolOfPairs(KEYS) };
}, 60_000);

interface Telling {
  readonly ledger?: 'memory' | 'twins';
  readonly changes?: Partial<ReconcileDeps>;
  /** No more commands than these are carried out. */
  readonly longest?: number;
}

/** Answers how many commands were carried out. */
async function tell(commands: Iterable<Command>, telling: Telling = {}): Promise<number> {
  const { ledger = 'memory', changes = {}, longest } = telling;
  const world = await createWorld(materials, { ledger });
  try {
    const model = newModel(USERS, START.getTime(), RULES, longest);
    const real = newReal({ ...world, deps: { ...world.deps, ...changes } }, next);
    await fc.asyncModelRun(() => ({ model, real }), commands);
    await pass(real, MINUTE_MS);
    model.nowMs += MINUTE_MS;
    await expectListed(real, model);
    return model.done;
  } finally {
    await world.close();
  }
}

describe('the system and a model of it', () => {
  test(`agree after every command of ${runs} histories of ${length} and more (seed ${seed})`, {
    timeout: 60_000 + runs * 5_000,
  }, async () => {
    let told = 0;
    let done = 0;
    await fc.assert(
      fc.asyncProperty(longHistory(3 * length), async (commands) => {
        told += 1;
        done += await tell(commands, { longest: LONGEST });
      }),
      { numRuns: runs, seed, endOnFailure: false },
    );
    console.info(
      `${told} histories, ${done} commands carried out, ${(done / told).toFixed(1)} in each; seed ${seed}`,
    );
    expect(told).toBe(runs);
    expect(done / told).toBeGreaterThanOrEqual(length);
  });

  test('agree with the real ledger too, which answers as the one in memory does, and with keys made on the spot', {
    timeout: 120_000,
  }, async () => {
    const told = fc.asyncProperty(longHistory(3 * length), async (commands) => {
      await tell(commands, {
        ...{ ledger: 'twins', longest: LONGEST },
        changes: { generateKey: (modulusBits) => generateRsaKey(modulusBits) },
      });
    });
    await fc.assert(told, { numRuns: 1, seed, endOnFailure: true });
  });

  test.each(KEPT)('agree on a kept history: $what', { timeout: 30_000 }, async ({ commands }) => {
    expect(await tell(commands)).toBe(commands.length);
  });

  describe('are compared:', () => {
    let world: World;
    let model: Model;
    let real: Real;
    beforeEach(async () => {
      world = await createWorld(materials, { ledger: 'memory' });
      model = newModel(USERS, START.getTime(), RULES);
      real = newReal(world, next);
      await fc.asyncModelRun(
        () => ({ model, real }),
        [join('101'), rekey('101', 'keyCompromise'), rekey('101', 'superseded'), wait(HOUR_MS)],
      );
    });
    afterEach(() => world.close());
    const leafOf = (index: number) => personOf(model, '101').leaves[index] ?? expect.unreachable();

    test('a certificate that is revoked in one alone is found', async () => {
      leafOf(1).revoked = 'superseded';
      await expect(expectAgreement(real, model)).rejects.toThrow('The certificates of 101');
    });

    test('a revoked certificate that the public CRL does not list is found', async () => {
      leafOf(1).revoked = 'superseded';
      await expect(expectListed(real, model)).rejects.toThrow('The CRL of issuing-1');
    });

    test('one that it lists and should not is found, also one that should be listed no more', async () => {
      await expectListed(real, model);
      delete leafOf(0).revoked;
      await expect(expectListed(real, model)).rejects.toThrow('The CRL of issuing-1');
      leafOf(0).revoked = 'superseded';
      leafOf(0).endMs = START.getTime() - 1;
      real.madeMs.set('issuing-1', [START.getTime(), START.getTime() + 1]);
      await expect(expectListed(real, model)).rejects.toThrow('The CRL of issuing-1');
    });

    test('a CRL is read as OpenSSL reads it', async () => {
      const crlDer = publicCrl(real, world.issuer);
      const { revoked } = opensslCrl(crlDer);
      expect(listedSerials(crlDer).serials).toEqual([leafOf(0).serial]);
      expect([...revoked]).toEqual([[leafOf(0).serial, 'Key Compromise']]);
    });
  });
});
