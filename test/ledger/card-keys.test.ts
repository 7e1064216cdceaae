import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { NewUserKey } from '../../shared/domain/records.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { openTestDatabase } from '../support/ledger.ts';

const SPKI = 'ab'.repeat(32);
const card: NewUserKey = {
  ...{ keyId: 'k1', userId: '1', purpose: 'dual-use', spkiSha256Hex: SPKI, modulusBits: 2048 },
  spkiDer: Uint8Array.of(1, 2, 3),
  card: { description: 'a card' },
  proof: 'not-applicable',
};
const wrapped: NewUserKey = {
  ...{ keyId: 'k2', userId: '1', purpose: 'dual-use', spkiSha256Hex: 'cd'.repeat(32), modulusBits: 2048 },
  spkiDer: Uint8Array.of(4),
  ...{ keyServiceUrl: 'https://kacls.acme.example', wrappedKey: 'b3BhcXVl', proof: 'unproven' },
};

let database: Database;
let ledger: Ledger;
let lease: Lease;
const userWith = async (userId: string) => {
  const held = await ledger.acquireLease(`user:${userId}`, 60_000);
  if (held === undefined) throw new Error('the user is held');
  await ledger.recordSighting(held, { userId, primaryEmail: `u${userId}@acme.example`, aliases: [] });
  return held;
};
beforeEach(async () => {
  database = await openTestDatabase();
  ledger = createLedger({ database, clock: manualClock(new Date('2027-03-01T09:00:00.000Z')) });
  lease = await userWith('1');
});
afterEach(() => ledger.close());

describe('the ledger, of a key on a smart card,', () => {
  it('keeps the public half and what Gmail is told, beside wrapped keys', async () => {
    for (const key of [card, wrapped, card]) await ledger.recordKey(lease, key);
    const { keys } = await ledger.readUser('1');
    expect(keys.map(({ createdAt: _, ...key }) => key)).toEqual([card, wrapped]);
  });

  it('counts it apart from wrapped keys, and never asks to wrap it again', async () => {
    for (const key of [card, wrapped]) await ledger.recordKey(lease, key);
    expect(await ledger.countCardKeys()).toBe(1);
    expect(await ledger.countWrappedKeys()).toMatchObject([{ keys: 1, unproven: 1 }]);
    const { rows } = { rows: await database.query('SELECT key_id FROM newest_wrapped_keys', []) };
    expect(rows).toEqual([{ key_id: 'k2' }]);
  });

  it('says who else has it, on a card or wrapped', async () => {
    await ledger.recordKey(lease, card);
    expect(await ledger.otherHolderOfKey(SPKI, '1')).toBeUndefined();
    expect(await ledger.otherHolderOfKey(SPKI, '2')).toBe('1');
  });

  it('refuses to record it for two people', async () => {
    await ledger.recordKey(lease, card);
    const second = await userWith('2');
    await expect(ledger.recordKey(second, { ...card, keyId: 'k9', userId: '2' })).rejects.toThrow();
    expect((await ledger.readUser('2')).keys).toEqual([]);
  });

  it('refuses a proof of it, and to forget or change what it is', async () => {
    for (const key of [card, wrapped]) await ledger.recordKey(lease, key);
    await expect(ledger.recordProof('k1', 'proven')).rejects.toThrow();
    for (const change of [
      "UPDATE user_keys SET card_description = 'another' WHERE key_id = 'k1'",
      "UPDATE user_keys SET card_description = NULL WHERE key_id = 'k1'",
      "UPDATE user_keys SET proof = 'not-applicable' WHERE key_id = 'k2'",
      "UPDATE user_keys SET wrapped_key = NULL WHERE key_id = 'k2'",
      "DELETE FROM user_keys WHERE key_id = 'k1'",
    ]) {
      await expect(database.query(change, []), change).rejects.toThrow();
    }
    await ledger.recordProof('k2', 'proven');
    expect((await ledger.readUser('1')).keys.map(({ proof }) => proof)).toEqual(['not-applicable', 'proven']);
  });

  it('refuses a row that is neither wrapped nor on a card, or both', async () => {
    const row = (url: string, blob: string, description: string, proof: string) =>
      database.query(
        `INSERT INTO user_keys (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key,
                                card_description, proof, created_at)
         VALUES ('x', '1', '${SPKI}', '\\x00', 2048, ${url}, ${blob}, ${description}, '${proof}', now())`,
        [],
      );
    await expect(row('NULL', 'NULL', 'NULL', 'unproven')).rejects.toThrow();
    await expect(row("'https://k'", "'b'", "'card'", 'not-applicable')).rejects.toThrow();
    await expect(row("'https://k'", "'b'", 'NULL', 'not-applicable')).rejects.toThrow();
    await expect(row("'https://k'", "''", 'NULL', 'unproven')).rejects.toThrow();
  });
});
