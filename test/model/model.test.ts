/**
 * Any history of people against a model simpler than the system. `SEALWRIGHT_MODEL_RUNS` and `SEALWRIGHT_MODEL_LENGTH` say
 * how many histories of how many commands, `SEALWRIGHT_MODEL_SEED` repeats one that failed; its seed is in the title.
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import { createWorld, KEY_SERVICE_URL, type Materials, START } from '../support/fakes/world.ts';
import { anyCommand, type Command, join, rekey, USERS } from './commands.ts';
import { KEPT } from './kept.ts';
import { newModel, personOf } from './model.ts';
import { expectAgreement, newReal } from './real.ts';

const setting = (name: string, usual: number): number =>
  Number(process.env[`SEALWRIGHT_MODEL_${name}`] ?? usual);
const runs = setting('RUNS', 2_000);
const length = setting('LENGTH', 40);
const seed = setting('SEED', randomInt(2 ** 31));
/** No history draws more keys than this, so no key comes back after it was reported as compromised. */
const KEYS = 150;

let materials: Materials;
let next: SampleAuthority;
beforeAll(async () => {
  next = await sampleAuthority({ curve: 'P-256' });
  materials = { authority: await sampleAuthority({ curve: 'P-256' }), pool: await keyPoolOfPairs(KEYS) };
}, 60_000);

async function tell(
  commands: Iterable<Command>,
  ledger: 'memory' | 'twins' = 'memory',
  changes: Partial<ReconcileDeps> = {},
): Promise<void> {
  const world = await createWorld(materials, { ledger });
  try {
    const model = newModel(USERS, START.getTime(), KEY_SERVICE_URL);
    const real = newReal({ ...world, deps: { ...world.deps, ...changes } }, next);
    await fc.asyncModelRun(() => ({ model, real }), commands);
  } finally {
    await world.close();
  }
}

describe('the system and a model of it', () => {
  test(`agree after every command of ${runs} histories (seed ${seed})`, {
    timeout: 60_000 + runs * 5_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(anyCommand, { maxCommands: 2 * length, size: 'max' }), (commands) =>
        tell(commands),
      ),
      {
        numRuns: runs,
        seed,
        endOnFailure: false,
      },
    );
  });

  test('agree with the real ledger too, which answers as the one in memory does, and with keys made on the spot', {
    timeout: 120_000,
  }, async () => {
    const told = fc.asyncProperty(fc.commands(anyCommand, { maxCommands: length, size: 'max' }), (commands) =>
      tell(commands, 'twins', { generateKey: (modulusBits) => generateRsaKey(modulusBits) }),
    );
    await fc.assert(told, { numRuns: 2, seed, endOnFailure: true });
  });

  test.each(KEPT)('agree on a kept history: $what', { timeout: 30_000 }, ({ commands }) => tell(commands));

  test('are compared: a certificate that is revoked in one alone is found', async () => {
    const world = await createWorld(materials, { ledger: 'memory' });
    try {
      const model = newModel(USERS, START.getTime(), KEY_SERVICE_URL);
      const real = newReal(world, next);
      await fc.asyncModelRun(() => ({ model, real }), [join('101'), rekey('101', 'superseded')]);
      const [leaf] = personOf(model, '101').leaves;
      if (leaf === undefined) throw new Error('nothing was issued');
      leaf.revoked = true;
      await expect(expectAgreement(real, model)).rejects.toThrow('certificates of 101');
    } finally {
      await world.close();
    }
  });
});
