import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { openTestLedger } from '../support/ledger.ts';

const OURS = 'https://kacls.acme.example/v1';
const THEIRS = 'https://kacls.vendor.example/v1';
const digest = (text: string) => createHash('sha256').update(text).digest('hex');
/** A blob as the key service makes it; what is in it does not matter to the ledger. */
const blob = (kekId: string) =>
  sealPrivateKey(
    randomBytes(1200),
    { userId: '1', perimeterId: '', spkiSha256: randomBytes(32) },
    { kek: { id: kekId, key: randomBytes(32) }, tenantId: 'C00sample', random: randomBytes },
  );

let clock: ManualClock;
let ledger: Ledger;
let lease: Lease;
beforeEach(async () => {
  clock = manualClock(new Date('2027-03-01T09:00:00.000Z'));
  ledger = await openTestLedger(clock);
  const held = await ledger.acquireLease('user:1', 60_000);
  if (held === undefined) throw new Error('the user is held');
  lease = held;
  await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'ana@acme.example', aliases: [] });
});
afterEach(() => ledger.close());

async function record(keyId: string, wrappedKey: string, keyServiceUrl = OURS): Promise<string> {
  await ledger.recordKey(lease, {
    ...{ keyId, userId: '1', purpose: 'dual-use', keyServiceUrl, wrappedKey, proof: 'unproven' },
    ...{ spkiSha256Hex: digest(keyId), spkiDer: Buffer.from(keyId), modulusBits: 3072 },
  });
  return wrappedKey;
}
const wanted = { keyServiceUrl: OURS, kekId: 'kek/2', limit: 10 };
const keyIds = async () => (await ledger.keysToRewrap(wanted)).map(({ keyId }) => keyId).toSorted();

describe('the ledger, after a key-encryption key was rotated', () => {
  it('reads the id of the key-encryption key from blobs of our own service, and nothing from others', async () => {
    await record('a', blob('kek/1'));
    await record('b', blob('europe-west1/ring/key/12'));
    await record('c', 'b3BhcXVl', THEIRS);
    expect(await ledger.countWrappedKeys()).toEqual([
      ...['europe-west1/ring/key/12', 'kek/1'].map((kekId) => ({
        ...{ keyServiceUrl: OURS, kekId, keys: 1, rewrappedUnder: {}, unproven: 1, unreadable: 0 },
      })),
      { keyServiceUrl: THEIRS, keys: 1, rewrappedUnder: {}, unproven: 1, unreadable: 0 },
    ]);
  });

  it('finds what is to be wrapped again: blobs of this service under any key-encryption key but the newest', async () => {
    const old = await record('a', blob('kek/1'));
    await record('b', blob('kek/2'));
    await record('c', 'b3BhcXVl', THEIRS);
    expect(await ledger.keysToRewrap(wanted)).toEqual([
      { keyId: 'a', userId: '1', wrappedKey: old, kekId: 'kek/1' },
    ]);
  });

  it('keeps the blob that Gmail has beside the newer one, which counts from then on', async () => {
    const old = await record('a', blob('kek/1'));
    const newer = blob('kek/2');
    const line = {
      ...{ userId: '1', cause: { source: 'due', eventId: 'a', event: 'test' } as const },
      ...{ step: 'rewrap-key', reason: 'It was old.', outcome: 'done' as const },
    };
    await ledger.recordRewrapped('a', newer, line);
    await expect(ledger.recordRewrapped('a', 'b3BhcXVl', line)).rejects.toMatchObject({ code: 'conflict' });
    expect(await ledger.auditTrail({ userId: '1', limit: 10 })).toMatchObject([line]);
    expect(await keyIds()).toEqual([]);
    expect((await ledger.readUser('1')).keys.map(({ wrappedKey }) => wrappedKey)).toEqual([newer]);
    expect(await ledger.newerWrappedKey(digest('a'), old)).toBe(newer);
    expect(await ledger.countWrappedKeys()).toMatchObject([
      { kekId: 'kek/1', keys: 1, rewrappedUnder: { 'kek/2': 1 } },
    ]);
  });

  it('follows several rotations', async () => {
    const [first, second, third] = [await record('a', blob('kek/1')), blob('kek/2'), blob('kek/3')];
    for (const newer of [second, third]) await ledger.recordRewrapped('a', newer);
    for (const earlier of [first, second]) {
      expect(await ledger.newerWrappedKey(digest('a'), earlier)).toBe(third);
    }
    expect(await ledger.newerWrappedKey(digest('a'), third)).toBeUndefined();
  });

  it('gives a newer blob for the very blob it knows and for no other', async () => {
    const old = await record('a', blob('kek/1'));
    await ledger.recordRewrapped('a', blob('kek/2'));
    expect(await ledger.newerWrappedKey(digest('a'), blob('kek/1'))).toBeUndefined();
    expect(await ledger.newerWrappedKey(digest('b'), old)).toBeUndefined();
  });

  it('leaves one that could not be opened alone for a day, counts it, and forgets that when it opens', async () => {
    await record('a', blob('kek/0'));
    await ledger.recordUnreadable('a', {
      kekId: 'kek/0',
      reason: 'The key-encryption key kek/0 is not there.',
    });
    expect(await keyIds()).toEqual([]);
    expect(await ledger.countWrappedKeys()).toMatchObject([{ kekId: 'kek/0', unreadable: 1 }]);
    clock.advance(25 * 3_600_000);
    expect(await keyIds()).toEqual(['a']);
    await ledger.recordUnreadable('a', { kekId: 'kek/0', reason: 'Still not there.' });
    await ledger.recordRewrapped('a', blob('kek/2'));
    expect(await ledger.countWrappedKeys()).toMatchObject([{ kekId: 'kek/0', unreadable: 0 }]);
  });

  it('takes nothing for a newer form that is no blob of ours', async () => {
    await record('a', blob('kek/1'));
    await expect(ledger.recordRewrapped('a', 'b3BhcXVl')).rejects.toMatchObject({ code: 'conflict' });
  });
});
