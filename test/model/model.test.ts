/**
 * Any history of people against a model simpler than the system. `SEALWRIGHT_MODEL_RUNS` and `SEALWRIGHT_MODEL_LENGTH` say
 * how many histories of how many commands, `SEALWRIGHT_MODEL_SEED` repeats one that failed; its seed is in the title.
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GmailIdentity } from '../../shared/domain/gmail.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { readCrl as opensslCrl } from '../stories/openssl.ts';
import { listedSerials } from '../support/elements.ts';
import { keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import { createWorld, type Materials, MINUTE_MS, START, type World } from '../support/fakes/world.ts';
import { nextAuthority } from '../support/next-authority.ts';
import { type Command, join, move, rekey, setRule, USERS, wait } from './commands.ts';
import { KEPT } from './kept.ts';
import { longHistory } from './long-histories.ts';
import { addressOf, HOUR_MS, type Model, newModel, personOf } from './model.ts';
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
}, 300_000);

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
    timeout: 300_000,
  }, async () => {
    const told = fc.asyncProperty(longHistory(3 * length), async (commands) => {
      await tell(commands, {
        ...{ ledger: 'twins', longest: LONGEST },
        changes: { generateKey: (modulusBits) => generateRsaKey(modulusBits) },
      });
    });
    await fc.assert(told, { numRuns: 1, seed, endOnFailure: true });
  });

  test.each(KEPT)('agree on a kept history: $what', { timeout: 120_000 }, async ({ commands }) => {
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
    type Identities = Map<string, GmailIdentity['use']>;
    const ADDRESS = addressOf('101', 'a');
    const pairOf = (index: number) =>
      world.gmail.account('101').pairs[index]?.keypairId ?? expect.unreachable();
    const used = () => world.gmail.account('101').identities.get(ADDRESS) ?? expect.unreachable();

    test('a certificate that is revoked in one alone is found', async () => {
      leafOf(1).revoked = 'superseded';
      await expect(expectAgreement(real, model)).rejects.toThrow('The certificates of 101');
    });

    test('a user in another state is found, and one who is active and not ready', async () => {
      await expectAgreement(real, model);
      personOf(model, '101').state = 'leaving';
      await expect(expectAgreement(real, model)).rejects.toThrow('The state of 101');
      personOf(model, '101').state = 'active';
      personOf(model, '102').state = 'out';
      await expect(expectAgreement(real, model)).rejects.toThrow('The state of 102');
      personOf(model, '102').state = 'none';
      const lease = (await world.ledger.acquireLease('user:101', 60_000)) ?? expect.unreachable();
      const blocked = { userId: '101', state: 'blocked', reason: 'Stuck.', failures: 3 } as const;
      await world.ledger.recordState(lease, blocked);
      await world.ledger.releaseLease(lease);
      await expect(expectAgreement(real, model)).rejects.toThrow('blocked Stuck.');
    });

    test.each([
      ['names another address', { addresses: ['b-101@acme.example'] }],
      ['is over another key', { keyNumber: 0 }],
      ['has another purpose', { purpose: 'signing' }],
    ] as const)('a certificate that %s is found', async (_what, changes) => {
      Object.assign(leafOf(2), changes);
      await expect(expectAgreement(real, model)).rejects.toThrow('The certificates of 101');
    });

    test('one that lasts for another time is found when it is first seen', async () => {
      const { serial: _seen, ...leaf } = { ...leafOf(2), validityDays: 90 };
      personOf(model, '101').leaves[2] = leaf;
      await expect(expectAgreement(real, model)).rejects.toThrow('not after 90 days');
    });

    test.each([
      ['is gone', (identities: Identities) => identities.clear()],
      [
        'uses an earlier pair',
        (identities: Identities) => identities.set(ADDRESS, { kind: 'dual', keypairId: pairOf(0) }),
      ],
      ['is there for a second address', (identities: Identities) => identities.set('b@acme.example', used())],
    ] as const)('an identity that %s is found', async (_what, plant) => {
      plant(world.gmail.account('101').identities as Identities);
      await expect(expectAgreement(real, model)).rejects.toThrow('The identity of 101 and what it uses');
    });

    test('a pair in use that is disabled is found, and one kept for old mail', async () => {
      await world.gmail.disableKeypair(ADDRESS, pairOf(0));
      await expect(expectAgreement(real, model)).rejects.toThrow('The enabled pairs of 101');
      await world.gmail.enableKeypair(ADDRESS, pairOf(0));
      await expectAgreement(real, model);
      await world.gmail.disableKeypair(ADDRESS, pairOf(2));
      await expect(expectAgreement(real, model)).rejects.toThrow('The identity of 101 and what it uses');
    });

    test('an identity or a pair that leaving took and that is there is found, and one that it left and is gone', async () => {
      const identities = world.gmail.account('101').identities as Identities;
      const use = used();
      await fc.asyncModelRun(
        () => ({ model, real }),
        [
          setRule('staff', { onLeave: { identity: 'delete', keypair: 'disable' } }),
          move('101', '/Contractors'),
          wait(25 * HOUR_MS),
        ],
      );
      await expectAgreement(real, model);
      identities.set(ADDRESS, use);
      await expect(expectAgreement(real, model)).rejects.toThrow('The identities of 101');
      identities.clear();
      await world.gmail.enableKeypair(ADDRESS, pairOf(1));
      await expect(expectAgreement(real, model)).rejects.toThrow('The enabled pairs of 101');
      await world.gmail.disableKeypair(ADDRESS, pairOf(1));
      personOf(model, '101').taken = { identity: false, pairs: true };
      await expect(expectAgreement(real, model)).rejects.toThrow('The identities of 101');
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

    test('a certificate whose first CRL the ledger takes for another one is found', async () => {
      await expectListed(real, model);
      const crlListings: Ledger['crlListings'] = async (serials) =>
        (await world.ledger.crlListings(serials)).map((listing) => ({
          ...listing,
          crl: { crlNumber: 99n, publishedAt: START },
        }));
      const liar = { ...real, world: { ...world, ledger: { ...world.ledger, crlListings } } };
      await expect(expectListed(liar, model)).rejects.toThrow('The first CRLs of issuing-1');
    });

    test('a CRL is read as OpenSSL reads it', async () => {
      const crlDer = publicCrl(real, world.issuer);
      const { revoked } = opensslCrl(crlDer);
      expect(listedSerials(crlDer).serials).toEqual([leafOf(0).serial]);
      expect([...revoked]).toEqual([[leafOf(0).serial, 'Key Compromise']]);
    });
  });
});
