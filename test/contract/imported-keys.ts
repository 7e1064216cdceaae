/** What every ledger promises about keys of old mail: recorded once, known in every count, closed only for what is there. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { importIdOf } from '../../shared/domain/imported-certificate.ts';
import type { KeyImport } from '../../shared/ports/ledger/imported-keys.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';

const OLD_URL = 'https://kacls.acme.example/v1';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const permanently = (code: string) => expect.objectContaining({ kind: 'permanent', code });

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const importedKeyContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;
  let lease: Lease;

  const enter = async (userId: string): Promise<Lease> => {
    const held = await ledger.acquireLease(`user:${userId}`, 60_000);
    if (held === undefined) throw new Error(`${userId} is held`);
    await ledger.recordSighting(held, { userId, primaryEmail: `u${userId}@acme.example`, aliases: [] });
    return held;
  };
  beforeEach(async () => {
    database = await open();
    ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00.000Z') } });
    lease = await enter('1');
  });
  afterEach(() => database.close());

  const request = (changes: Partial<KeyImport> = {}, key = 'key'): KeyImport => ({
    userId: '1',
    chainDer: [bytes('certificate'), bytes('its CA')],
    addresses: ['ana@old.example'],
    notBefore: new Date('2020-01-01T00:00:00.000Z'),
    notAfter: new Date('2022-01-01T00:00:00.000Z'),
    spkiSha256Hex: sha256(key),
    spkiDer: bytes(key),
    modulusBits: 2048,
    keyServiceUrl: OLD_URL,
    wrappedKey: 'b2xk',
    proof: 'proven',
    requestedBy: 'admin@acme.example',
    ...changes,
  });
  const id = importIdOf(bytes('certificate'));
  const upload = async (importId = id, keypairId = 'pair-old'): Promise<void> => {
    await ledger.recordKeypairIntent(lease, importId);
    await ledger.recordKeypair(lease, { serialHex: importId, keypairId });
    await ledger.closeImport(lease, { importId, state: 'uploaded' });
  };

  describe('a key of old mail', () => {
    it('is its user’s, apart from the keys that certificates are issued over, and wakes them', async () => {
      const recorded = await ledger.recordImport(request());
      expect(recorded).toMatchObject({ importId: id, state: 'open', addresses: ['ana@old.example'] });
      const { keys, imported, user } = await ledger.readUser('1');
      expect([keys, imported]).toEqual([[], [recorded]]);
      expect(imported?.[0]?.chainDer).toEqual(request().chainDer);
      expect(user?.nextAction).toBe('import-keys');
      expect(await ledger.countWrappedKeys()).toMatchObject([{ keyServiceUrl: OLD_URL, keys: 1 }]);
      expect(await ledger.countImportedKeys()).toBe(1);
    });

    it('recorded again is the same, over whatever certificate, and a form that was never seen to open gives way', async () => {
      await ledger.recordImport(request({ proof: 'unproven' }));
      await ledger.closeImport(lease, { importId: id, state: 'refused', detail: 'Gmail refused.' });
      const better = await ledger.recordImport(request({ wrappedKey: 'bmV3' }));
      expect(better).toMatchObject({ importId: id, state: 'open', key: { wrappedKey: 'bmV3' } });
      expect(better.detail).toBeUndefined();
      const again = await ledger.recordImport(request({ wrappedKey: 'YW55' }));
      expect(again.key).toEqual(better.key);
      const other = await ledger.recordImport(request({ chainDer: [bytes('renewed')], wrappedKey: 'YW55' }));
      expect(other.importId).not.toBe(id);
      expect(other.key).toEqual(better.key);
    });

    it('is nobody else’s, and of nobody unknown', async () => {
      await ledger.recordImport(request());
      await enter('2');
      await expect(ledger.recordImport(request({ userId: '2' }))).rejects.toEqual(permanently('conflict'));
      await expect(ledger.recordImport(request({ userId: '9' }, 'other'))).rejects.toEqual(
        permanently('not-found'),
      );
      expect((await ledger.readUser('2')).imported).toBeUndefined();
    });

    it('is closed as uploaded only when its pair is recorded, and then counts among the epochs and moves', async () => {
      await ledger.recordImport(request());
      await expect(ledger.closeImport(lease, { importId: id, state: 'uploaded' })).rejects.toEqual(
        permanently('not-found'),
      );
      await upload();
      expect((await ledger.readImport(id))?.state).toBe('uploaded');
      expect((await ledger.readUser('1')).keypairs).toMatchObject([
        { serialHex: id, state: 'created', keypairId: 'pair-old' },
      ]);
      await ledger.recordImport(request({ chainDer: [bytes('renewed')] }));
      await upload(importIdOf(bytes('renewed')), 'pair-renewed');
      const tied = await ledger.tiedEpochs(OLD_URL, { limit: 10 });
      expect(tied.map(({ serialHex }) => serialHex)).toEqual([id, importIdOf(bytes('renewed'))]);
      expect(await ledger.tiedEpochs(OLD_URL, { after: id, limit: 10 })).toEqual(tied.slice(1));
      const job = { fromUrl: OLD_URL, toUrl: 'https://new.example', disableOld: false };
      const seen = { userId: '1', primaryEmail: '1@acme.example', aliases: [], ruleName: 'trial' };
      await ledger.recordSighting(lease, seen);
      const wanted = (...exceptRules: string[]) => ledger.keyMovesWanted(OLD_URL, exceptRules);
      expect(await wanted()).toEqual({ keypairs: 2, users: 1, observed: 0 });
      expect(await wanted('staff', 'trial')).toEqual({ keypairs: 0, users: 0, observed: 1 });
      expect(
        await ledger.recordKeyMoveJob({ ...job, requestedBy: 'a', paceMs: 0, exceptRules: ['trial'] }),
      ).toMatchObject({ keypairs: 0 });
      expect(
        await ledger.recordKeyMoveJob({ ...job, requestedBy: 'admin@acme.example', paceMs: 0 }),
      ).toMatchObject({ keypairs: 2, users: 1 });
      expect((await ledger.readUser('1')).keyMoves?.map(({ serialHex }) => serialHex)).toEqual(
        tied.map(({ serialHex }) => serialHex),
      );
      expect(await wanted()).toEqual({ keypairs: 0, users: 0, observed: 0 });
    });

    it('is kept, and its certificate never changes, whoever asks', async () => {
      await ledger.recordImport(request());
      for (const statement of [
        'DELETE FROM imported_certificates',
        `UPDATE imported_certificates SET not_after = now()`,
        `UPDATE user_keys SET imported = false`,
        `INSERT INTO keypairs (serial_hex, user_id, state, intended_at)
         VALUES ('imported-${'0'.repeat(32)}', '1', 'intended', now())`,
      ])
        await expect(database.query(statement, [])).rejects.toThrow();
    });
  });
};
