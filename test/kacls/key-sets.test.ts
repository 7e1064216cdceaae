import { generateKeyPairSync } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type KeySets, keySets } from '../../shared/kacls/key-sets.ts';
import type { KeySetDocument } from '../../shared/ports/jwks.ts';
import { jwkOf, ManualClock, memoryLog, type RsaPair, rsaPair } from './support.ts';

const URL_A = 'https://a.example/keys';
const URL_B = 'https://b.example/keys';

let one: RsaPair;
let two: RsaPair;
beforeAll(async () => {
  [one, two] = await Promise.all([rsaPair(2048), rsaPair(2048)]);
});

describe('the kept key sets', () => {
  let clock: ManualClock;
  let fetches: string[];
  let documents: Map<string, KeySetDocument>;
  let failing: boolean;
  let hanging: boolean;
  let sets: KeySets;

  beforeEach(() => {
    clock = new ManualClock();
    fetches = [];
    failing = false;
    hanging = false;
    documents = new Map([
      [URL_A, { keys: [jwkOf(one, 'one')], maxAgeMs: 3_600_000 }],
      [URL_B, { keys: [jwkOf(two, 'two')], maxAgeMs: undefined }],
    ]);
    sets = keySets({
      clock,
      log: memoryLog(),
      documents: {
        fetch: async (url) => {
          fetches.push(url);
          if (hanging) return await new Promise<never>(() => {});
          const document = documents.get(url);
          if (failing || document === undefined) throw new Error('down');
          return document;
        },
      },
    });
  });

  const publish = (keys: readonly Record<string, unknown>[], maxAgeMs: number | undefined = 3_600_000) =>
    documents.set(URL_A, { keys, maxAgeMs });
  /** What goes on behind an answer has ended. */
  const settled = () => turn();
  const found = async (kid: string, url = URL_A) => (await sets.key(url, kid)) !== undefined;

  it('give the key with the id that was asked for', async () => {
    const key = await sets.key(URL_A, 'one');
    expect(key?.export({ type: 'spki', format: 'der' })).toEqual(
      one.publicKey.export({ type: 'spki', format: 'der' }),
    );
  });

  it('are kept apart by address', async () => {
    expect(await found('two')).toBe(false);
    expect(await found('two', URL_B)).toBe(true);
    expect(await found('one', URL_B)).toBe(false);
  });

  it.each([
    ['as long as the issuer says', 3_600_000, 3_600_000],
    ['ten minutes when it says nothing', undefined, 600_000],
    ['a minute at least', 0, 60_000],
    ['a day at most', 30 * 86_400_000, 86_400_000],
  ])('are kept %s', async (_what, maxAgeMs, keptMs) => {
    documents.set(URL_A, { keys: [jwkOf(one, 'one')], maxAgeMs });
    await found('one');
    clock.advance(keptMs - 1);
    await found('one');
    expect(fetches).toHaveLength(1);
    clock.advance(1);
    await found('one');
    expect(fetches).toHaveLength(2);
  });

  it('lose a key that the issuer withdrew once the new set is there, which nobody waits for', async () => {
    await found('one');
    publish([jwkOf(two, 'two')]);
    expect(await found('one')).toBe(true);
    clock.advance(3_600_000);
    expect(await found('one')).toBe(true);
    await settled();
    expect(await found('one')).toBe(false);
    expect(await found('two')).toBe(true);
    expect(fetches).toHaveLength(3);
  });

  it('do not believe a withdrawn key once more after a pause', async () => {
    await found('one');
    publish([jwkOf(two, 'two')]);
    clock.advance(3_600_000 + 60_000);
    expect(await found('one')).toBe(false);
    expect(fetches).toHaveLength(2);
  });

  it('find a new key in the set that is on its way', async () => {
    await found('one');
    publish([jwkOf(two, 'two')]);
    clock.advance(3_600_000);
    expect(await found('two')).toBe(true);
    expect(fetches).toHaveLength(2);
  });

  it('answer at once from what they hold while an issuer hangs', async () => {
    await found('one');
    hanging = true;
    clock.advance(3_600_000);
    // The fetch never ends, so whoever waited for it would wait for ever.
    expect(await Promise.all([found('one'), found('one')])).toEqual([true, true]);
    expect(fetches).toEqual([URL_A, URL_A]);
  });

  it('answer at once, however old, when the fetch before failed, and try again no sooner than the floor allows', async () => {
    await found('one');
    failing = true;
    clock.advance(30 * 86_400_000);
    expect(await found('one')).toBe(true);
    hanging = true;
    clock.advance(4_999);
    expect(await found('one')).toBe(true);
    expect(fetches).toHaveLength(2);
    clock.advance(1);
    expect(await found('one')).toBe(true);
    expect(await found('one')).toBe(true);
    expect(fetches).toHaveLength(3);
  });

  it.each([
    ['cannot be fetched', () => (failing = true)],
    ['is empty', () => publish([])],
    ['holds only keys for other uses', () => publish([{ ...jwkOf(two, 'two'), use: 'enc' }])],
  ])('are never emptied by a set that %s', async (_what, spoil) => {
    await found('one');
    spoil();
    clock.advance(3_600_000);
    expect(await found('one')).toBe(true);
    await settled();
    expect(fetches).toHaveLength(2);
    expect(await found('one')).toBe(true);
    expect(fetches).toHaveLength(2);
    clock.advance(5_000);
    expect(await found('one')).toBe(true);
    expect(fetches).toHaveLength(3);
  });

  it('are fetched once for many requests at the same time', async () => {
    await Promise.all(Array.from({ length: 20 }, () => found('one')));
    expect(fetches).toEqual([URL_A]);
    await Promise.all(Array.from({ length: 20 }, (_, index) => found(`new-${index}`)));
    expect(fetches).toEqual([URL_A, URL_A]);
  });

  it('are not fetched twice for one unknown id at the very start', async () => {
    expect(await found('unknown')).toBe(false);
    expect(fetches).toHaveLength(1);
  });

  it('do not wait longer than a floor because a clock was set back', async () => {
    await found('one');
    await found('unknown');
    clock.advance(-86_400_000);
    await found('unknown');
    expect(fetches).toHaveLength(3);
  });

  it('ask to come back while nothing was ever fetched, and recover by themselves', async () => {
    failing = true;
    const refusal = { kind: 'retryable', code: 'key-service-unavailable', retryAfterMs: 5_000 };
    await expect(sets.key(URL_A, 'one')).rejects.toMatchObject(refusal);
    await expect(sets.key(URL_A, 'one')).rejects.toMatchObject(refusal);
    expect(fetches).toHaveLength(1);
    failing = false;
    clock.advance(5_000);
    expect(await found('one')).toBe(true);
  });

  it.each([
    [
      'of another type',
      () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
    ],
    [
      'of 1024 bits',
      () => generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }),
    ],
    ['for another algorithm', () => ({ ...jwkOf(two, 'odd'), alg: 'RS512' })],
    ['for encryption', () => ({ ...jwkOf(two, 'odd'), use: 'enc' })],
    ['without a modulus', () => ({ ...jwkOf(two, 'odd'), n: undefined })],
    ['with a modulus that is no number', () => ({ ...jwkOf(two, 'odd'), n: '' })],
    ['that is symmetric', () => ({ kty: 'oct', k: 'c2VjcmV0' })],
  ])('leave out a key %s and keep the others', async (_what, odd) => {
    publish([{ ...odd(), kid: 'odd' }, jwkOf(one, 'one')]);
    expect(await found('odd')).toBe(false);
    expect(await found('one')).toBe(true);
  });
});
