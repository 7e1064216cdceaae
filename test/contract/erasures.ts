/** What every ledger promises about erasing wrapped keys: in one way only, every form of them, and never of who is not deleted. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { ChainChecker } from '../../shared/audit/chain-checker.ts';
import type { Erasure } from '../../shared/ports/ledger/erasures.ts';
import type { AuditEntry, Lease, Ledger } from '../../shared/ports/ledger.ts';

const NOW = new Date('2027-03-01T09:00:00.000Z');
const URL = 'https://kacls.acme.example/v1';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
/** A blob as ours begin: magic, version, length and name of the key-encryption key. */
const blob = (fill: string) =>
  Buffer.from(`SWPK\u0001\u0005kek/1${fill.repeat(300)}`, 'latin1').toString('base64');
const refusedBy = (why: string) =>
  expect.objectContaining({ code: 'conflict', message: expect.stringContaining(why) });
const conflict = expect.objectContaining({ kind: 'permanent', code: 'conflict' });

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const erasureContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;
  let lease: Lease;

  const enter = async (userId: string): Promise<Lease> => {
    const held = await ledger.acquireLease(`user:${userId}`, 60_000);
    if (held === undefined) throw new Error(`${userId} is held`);
    await ledger.recordSighting(held, { userId, primaryEmail: `u${userId}@acme.example`, aliases: [] });
    return held;
  };
  const withKey = (held: Lease, keyId: string, userId: string, spki = keyId) =>
    ledger.recordKey(held, {
      ...{ keyId, userId, purpose: 'dual-use', modulusBits: 2048, proof: 'proven' },
      ...{ spkiSha256Hex: sha256(spki), spkiDer: new TextEncoder().encode(spki) },
      ...{ keyServiceUrl: URL, wrappedKey: blob('a') },
    });
  const goneFor = (held: Lease, userId: string) =>
    ledger.recordState(held, { userId, state: 'out', reason: 'r', failures: 0, deleted: true });
  beforeEach(async () => {
    database = await open();
    ledger = createLedger({ database, clock: { now: () => NOW } });
    lease = await enter('1');
    await withKey(lease, 'key-1', '1');
    await ledger.recordRewrapped('key-1', blob('b'));
  });
  afterEach(() => database.close());

  const asked = async (): Promise<Erasure> =>
    ledger.recordErasure({
      digest: sha256('set'),
      shown: (await ledger.keysOfDeleted()).map(({ keyId, userId, spkiSha256Hex, certificates }) => ({
        ...{ keyId, userId, certificates, user: userId, deletedSince: NOW.toISOString() },
        spkiSha256: spkiSha256Hex,
      })),
      noLegalHold: 'Nobody is on hold.',
      requestedBy: 'ana@acme.example',
    });
  const confirmed = async (): Promise<string> => {
    const { erasureId } = await asked();
    await ledger.decideErasure(erasureId, { kind: 'confirmed', by: 'bob@acme.example' }, () => {});
    return erasureId;
  };
  const audit: AuditEntry = {
    userId: '1',
    cause: { source: 'admin', eventId: 'e', event: 'erasure-confirmed', actor: 'bob@acme.example' },
    step: 'erase-wrapped-keys',
    reason: 'r',
    outcome: 'done',
  };
  const erase = (erasureId: string, keyIds = ['key-1']) =>
    ledger.eraseKeys(lease, { erasureId, keyIds, audit });
  const forms = async () =>
    (
      await database.query<{ forms: number }>(
        `SELECT (SELECT count(wrapped_key) FROM user_keys)::int + (SELECT count(*) FROM rewrapped_keys)::int AS forms`,
        [],
      )
    )[0]?.forms;

  describe('erasing wrapped keys', () => {
    it('takes every form of the key and leaves its fingerprint, in the audit chain, once', async () => {
      await goneFor(lease, '1');
      const erasureId = await confirmed();
      expect(await forms()).toBe(2);
      expect(await erase(erasureId)).toBe(1);
      expect(await forms()).toBe(0);
      expect(await erase(erasureId)).toBe(0);
      await ledger.closeErasure(erasureId, 'd');
      expect((await ledger.readUser('1')).keys).toEqual([]);
      expect(await ledger.erasedKeys('1')).toEqual([
        {
          ...{ keyId: 'key-1', spkiSha256Hex: sha256('key-1'), erasureId, erasedAt: NOW },
          ...{ requestedBy: 'ana@acme.example', confirmedBy: 'bob@acme.example' },
        },
      ]);
      expect(await ledger.countWrappedKeys()).toEqual([]);
      expect(await ledger.keysToRewrap({ keyServiceUrl: URL, kekId: 'kek/2', limit: 9 })).toEqual([]);
      expect(await ledger.newerWrappedKey(sha256('key-1'), blob('a'))).toBeUndefined();
      expect(await ledger.otherHolderOfKey(sha256('key-1'), '2')).toBe('1');
      const trail = await ledger.auditTrail({ limit: 100 });
      expect(trail.map(({ step }) => step)).toEqual([
        'erasure-requested',
        'erasure-confirmed',
        'erase-wrapped-keys',
        'erasure-done',
      ]);
      const checker = new ChainChecker();
      expect([...trail.flatMap((entry) => checker.take(entry)), ...checker.end()]).toEqual([]);
    });

    it('is refused to whoever opens the database by hand: without an erasure, unconfirmed, by one admin, or for another key', async () => {
      await goneFor(lease, '1');
      const byHand = (to: string) => database.query(`UPDATE user_keys SET ${to} WHERE key_id = 'key-1'`, []);
      await expect(byHand('wrapped_key = NULL')).rejects.toEqual(refusedBy('only the proof may change'));
      await expect(byHand(`wrapped_key = 'other'`)).rejects.toEqual(refusedBy('only the proof may change'));
      await expect(database.query('DELETE FROM user_keys', [])).rejects.toEqual(
        refusedBy('wrapped keys are never deleted'),
      );
      await expect(database.query('DELETE FROM rewrapped_keys', [])).rejects.toEqual(
        refusedBy('never changed or deleted'),
      );
      const { erasureId } = await asked();
      await expect(erase(erasureId)).rejects.toEqual(
        refusedBy('that two admins confirmed and that names it'),
      );
      await expect(
        ledger.decideErasure(erasureId, { kind: 'confirmed', by: 'ana@acme.example' }, () => {}),
      ).rejects.toEqual(conflict);
      await ledger.decideErasure(erasureId, { kind: 'confirmed', by: 'bob@acme.example' }, () => {});
      await withKey(lease, 'key-2', '1');
      await expect(erase(erasureId, ['key-2'])).rejects.toEqual(refusedBy('that names it'));
      await expect(
        byHand(`wrapped_key = 'x', erasure_id = '${erasureId}', erased_at = now()`),
      ).rejects.toEqual(refusedBy('only the proof may change'));
      expect(await forms()).toBe(3);
      expect(await erase(erasureId)).toBe(1);
      await expect(byHand(`wrapped_key = 'x'`)).rejects.toEqual(refusedBy('only the proof may change'));
      await expect(
        database.query(
          `INSERT INTO rewrapped_keys (key_id, wrapped_key, rewrapped_at) VALUES ('key-1', $1, now())`,
          [blob('c')],
        ),
      ).rejects.toEqual(refusedBy('an erased key has no wrapped form'));
      expect(await ledger.recordRewrapped('key-1', blob('c'))).toBe('erased');
    });

    it('is refused for whoever was seen again, and for a key that the living have too', async () => {
      await goneFor(lease, '1');
      const erasureId = await confirmed();
      const two = await enter('2');
      await withKey(two, 'same', '2', 'key-1');
      expect(await ledger.keysOfDeleted()).toMatchObject([{ keyId: 'key-1', against: 'used-by-the-living' }]);
      await expect(erase(erasureId)).rejects.toEqual(refusedBy('used by somebody who is not deleted'));
      await goneFor(two, '2');
      await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'u1@acme.example', aliases: [] });
      expect((await ledger.keysOfDeleted('1')).length).toBe(0);
      await expect(erase(erasureId)).rejects.toEqual(refusedBy('who is not deleted are kept'));
      expect(await forms()).toBe(3);
      expect(await ledger.auditTrail({ userId: '1', limit: 9 })).toEqual([]);
    });

    it('is of the deleted since the first look that saw it, and one at a time', async () => {
      expect(await ledger.keysOfDeleted()).toEqual([]);
      await goneFor(lease, '1');
      expect(await ledger.keysOfDeleted()).toMatchObject([
        { keyId: 'key-1', userId: '1', deletedAt: NOW, certificates: [] },
      ]);
      await asked();
      await expect(asked()).rejects.toEqual(conflict);
    });
  });

  describe('erasing a wrapped key with the obliteration of its key pair', () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const withPair = async (serialHex: string, keyId: string) => {
      await ledger.recordLeafIntent(lease, {
        ...{ serialHex, issuerId: 'issuing-1', userId: '1', keyId, profile: 'dual-rsa-1' },
        ...{ addresses: ['u1@acme.example'], notBefore: NOW, notAfter: new Date('2028-03-01T09:00:00Z') },
        tbsDer: bytes(`tbs ${serialHex}`),
      });
      await ledger.recordSignedLeaf(serialHex, bytes(`leaf ${serialHex}`));
      await ledger.recordKeypairIntent(lease, serialHex);
      await ledger.recordKeypair(lease, { serialHex, keypairId: `pair-${serialHex}` });
    };
    beforeEach(async () => {
      await ledger.recordIssuer({
        ...{ issuerId: 'issuing-1', certificateDer: bytes('issuing'), chainDer: [bytes('root')] },
        ...{ keyVersion: 'v1', crlUrl: 'http://x/c.crl', issuerUrl: 'http://x/c.cer', state: 'active' },
      });
      await withPair('0a', 'key-1');
    });
    const requested = async (serialHex = '0a') => {
      const { requestId } = await ledger.recordKeypairRequest({
        ...{ kind: 'obliterate', userId: '1', primaryEmail: 'u1@acme.example', serialHex },
        ...{ keypairId: `pair-${serialHex}`, reason: 'Nobody is on hold.', requestedBy: 'ana@acme.example' },
        statement: {},
      });
      return requestId;
    };
    const confirm = (requestId: string) =>
      ledger.decideKeypairRequest(requestId, { kind: 'confirmed', by: 'bob@acme.example' }, () => {});
    const close = (requestId: string, spki = 'key-1') =>
      ledger.closeKeypairRequest(lease, {
        ...{ requestId, state: 'done', detail: 'd' },
        erase: { spkiSha256Hex: sha256(spki), audit },
      });
    const revoke = (serialHex: string) => ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
    const stateOf = async (requestId: string) => (await ledger.readKeypairRequest(requestId))?.state;

    it('takes every form of it, in every row that the user has of that key, and says with which obliteration', async () => {
      await withKey(lease, 'key-1-again', '1', 'key-1');
      await withKey(lease, 'key-2', '1');
      await revoke('0a');
      const requestId = await requested();
      await confirm(requestId);
      expect(await forms()).toBe(4);
      await close(requestId);
      expect(await forms()).toBe(1);
      expect((await ledger.readUser('1')).keys.map(({ keyId }) => keyId)).toEqual(['key-2']);
      const by = { requestedBy: 'ana@acme.example', confirmedBy: 'bob@acme.example' };
      const said = { spkiSha256Hex: sha256('key-1'), obliterationId: requestId, erasedAt: NOW, ...by };
      expect(await ledger.erasedKeys('1')).toEqual([
        { keyId: 'key-1', ...said },
        { keyId: 'key-1-again', ...said },
      ]);
      expect(await ledger.recordRewrapped('key-1', blob('c'))).toBe('erased');
      await close(requestId);
      const trail = await ledger.auditTrail({ userId: '1', limit: 100 });
      expect(trail.filter(({ step }) => step === 'erase-wrapped-keys')).toHaveLength(1);
    });

    it('is refused, and the request stays open, while a certificate over the key is good', async () => {
      const requestId = await requested();
      await confirm(requestId);
      await expect(close(requestId)).rejects.toEqual(refusedBy('a certificate over the key is good still'));
      expect([await stateOf(requestId), await forms()]).toEqual(['confirmed', 2]);
      await revoke('0a');
      await close(requestId);
      expect([await stateOf(requestId), await forms()]).toEqual(['done', 0]);
    });

    it('is refused while somebody else has the key, and for a key that the pair did not hold', async () => {
      await revoke('0a');
      const requestId = await requested();
      await confirm(requestId);
      await withKey(lease, 'key-2', '1');
      await expect(close(requestId, 'key-2')).rejects.toEqual(refusedBy('of its own that two admins'));
      const two = await enter('2');
      await withKey(two, 'same', '2', 'key-1');
      await expect(close(requestId)).rejects.toEqual(refusedBy('somebody else has the same key'));
      expect([await stateOf(requestId), await forms()]).toEqual(['confirmed', 4]);
    });

    it('is refused while the key is being moved to another key service', async () => {
      await revoke('0a');
      const requestId = await requested();
      await confirm(requestId);
      const move = { fromUrl: URL, toUrl: 'https://other.example', disableOld: false, paceMs: 0 };
      const { jobId } = await ledger.recordKeyMoveJob({ ...move, requestedBy: 'ana@acme.example' });
      await expect(close(requestId)).rejects.toEqual(refusedBy('being moved to another key service'));
      await ledger.closeKeyMove(lease, { jobId, serialHex: '0a', state: 'refused', detail: 'd' });
      await close(requestId);
      expect(await forms()).toBe(0);
    });

    it('is refused to whoever opens the database by hand: unconfirmed, not carried out, or for a request to disable', async () => {
      await revoke('0a');
      const byHand = (requestId: string) =>
        database.query(
          `UPDATE user_keys SET wrapped_key = NULL, obliteration_id = $1, erased_at = $2 WHERE key_id = 'key-1'`,
          [requestId, NOW],
        );
      const requestId = await requested();
      await expect(byHand(requestId)).rejects.toEqual(refusedBy('that two admins had obliterated'));
      await close(requestId);
      expect([await stateOf(requestId), await forms()]).toEqual(['requested', 2]);
      await confirm(requestId);
      await expect(byHand(requestId)).rejects.toEqual(refusedBy('that two admins had obliterated'));
      await ledger.decideKeypairRequest(requestId, { kind: 'cancelled', by: 'ana@acme.example' }, () => {});
      await expect(byHand(requestId)).rejects.toEqual(refusedBy('that two admins had obliterated'));
      const disable = await ledger.recordKeypairRequest({
        ...{ kind: 'disable', userId: '1', primaryEmail: 'u1@acme.example', serialHex: '0a' },
        ...{ keypairId: 'pair-0a', reason: 'r', requestedBy: 'ana@acme.example' },
      });
      await ledger.closeKeypairRequest(lease, { ...disable, state: 'done', detail: 'd' });
      await expect(byHand(disable.requestId)).rejects.toEqual(refusedBy('that two admins had obliterated'));
      expect(await forms()).toBe(2);
    });
  });
};
