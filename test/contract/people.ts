/** What every ledger promises about purposes of keys, notices, and addresses that change hands. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { KeyPurpose, Notice } from '../../shared/domain/records.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';

const START = new Date('2027-03-01T09:00:00.000Z');
const DAY_MS = 86_400_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const peopleContract = (open: () => Promise<Database>): void => {
  let clock: ManualClock;
  let ledger: Ledger;
  beforeEach(async () => {
    clock = manualClock(START);
    ledger = createLedger({ database: await open(), clock });
    await ledger.recordIssuer({
      issuerId: 'issuing-1',
      certificateDer: bytes('issuing'),
      chainDer: [bytes('root')],
      keyVersion: 'projects/p/secrets/issuing-1/versions/3',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      state: 'active',
    });
  });
  afterEach(() => ledger.close());

  async function enter(userId: string, addresses: readonly [string, ...string[]]): Promise<Lease> {
    const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
    if (lease === undefined) throw new Error(`user ${userId} is held`);
    const [primaryEmail, ...aliases] = addresses;
    await ledger.recordSighting(lease, { userId, primaryEmail, aliases });
    return lease;
  }

  async function certify(
    lease: Lease,
    userId: string,
    serialHex: string,
    addresses: readonly string[],
    purpose: KeyPurpose = 'dual-use',
  ): Promise<void> {
    const keyId = `key-of-${serialHex}`;
    await ledger.recordKey(lease, {
      keyId,
      userId,
      purpose,
      spkiSha256Hex: createHash('sha256').update(keyId).digest('hex'),
      spkiDer: bytes(keyId),
      modulusBits: 3072,
      keyServiceUrl: 'https://kacls.acme.example/v1',
      wrappedKey: 'wrapped',
      proof: 'proven',
    });
    await ledger.recordLeafIntent(lease, {
      serialHex,
      issuerId: 'issuing-1',
      userId,
      keyId,
      profile: `${purpose}-rsa/1`,
      addresses,
      notBefore: START,
      notAfter: new Date(START.getTime() + 365 * DAY_MS),
      tbsDer: bytes(serialHex),
    });
    await ledger.recordSignedLeaf(serialHex, bytes(`leaf ${serialHex}`));
  }

  describe('the ledger', () => {
    it.each(['dual-use', 'signing', 'encryption'] as const)(
      'remembers of a key and of its leaf that they are for %s',
      async (purpose) => {
        const lease = await enter('1', ['ana@acme.example']);
        await certify(lease, '1', '0a01', ['ana@acme.example'], purpose);
        const { keys, leaves } = await ledger.readUser('1');
        expect([keys[0]?.purpose, leaves[0]?.purpose]).toEqual([purpose, purpose]);
      },
    );

    it('remembers which pairs we disabled and why, the first cause of several, until they are in use again', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await certify(lease, '1', '0a01', ['ana@acme.example']);
      await expect(
        ledger.recordKeypairDisabled(lease, { serialHex: '0a01', because: 'left' }),
      ).rejects.toMatchObject({ code: 'not-found' });
      await ledger.recordKeypair(lease, { serialHex: '0a01', keypairId: 'pair' });
      await ledger.recordKeypairDisabled(lease, { serialHex: '0a01', because: 'left' });
      clock.advance(DAY_MS);
      await ledger.recordKeypairDisabled(lease, { serialHex: '0a01', because: 'compromised' });
      expect((await ledger.readUser('1')).keypairs[0]?.disabled).toEqual({ at: START, because: 'left' });
      await ledger.recordKeypairEnabled(lease, '0a01');
      expect((await ledger.readUser('1')).keypairs[0]?.disabled).toBeUndefined();
      await ledger.releaseLease(lease);
      await expect(
        ledger.recordKeypairDisabled(lease, { serialHex: '0a01', because: 'left' }),
      ).rejects.toMatchObject({ code: 'lease-lost' });
      await expect(ledger.recordKeypairEnabled(lease, '0a01')).rejects.toMatchObject({ code: 'lease-lost' });
    });

    it('remembers that a re-key shall disable what it replaces', async () => {
      await enter('1', ['ana@acme.example']);
      const job = {
        requestedBy: 'admin@acme.example',
        reason: 'keyCompromise' as const,
        users: [{ userId: '1', primaryEmail: 'ana@acme.example' }],
      };
      await ledger.recordRekeyJob({ ...job, disableKeypairs: true });
      await ledger.recordRekeyJob(job);
      const { openWishes } = await ledger.readUser('1');
      expect(openWishes.map((wish) => wish.disableKeypairs ?? false).toSorted()).toEqual([false, true]);
    });
  });

  describe('notices about a user', () => {
    const notice = (key: string, message = 'Something.'): Notice => ({
      key,
      kind: 'foreign-keypair',
      message,
    });
    const tell = (lease: Lease, ...notices: readonly Notice[]) =>
      ledger.recordNotices(lease, { userId: '1', kinds: ['foreign-keypair'], notices });

    it('are new once, stay open while they are told, and are over when they are told no more', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await tell(lease, notice('a'), notice('b'));
      clock.advance(DAY_MS);
      await tell(lease, notice('a'), notice('c'));
      expect((await ledger.readUser('1')).notices).toEqual([
        { ...notice('a'), since: START },
        { ...notice('c'), since: clock.now() },
      ]);
    });

    it('are new again when they come back', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await tell(lease, notice('a'));
      await tell(lease);
      expect((await ledger.readUser('1')).notices).toEqual([]);
      clock.advance(DAY_MS);
      await tell(lease, notice('a'));
      expect((await ledger.readUser('1')).notices).toEqual([{ ...notice('a'), since: clock.now() }]);
    });

    it('of a kind that nobody looked for stay as they are', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await tell(lease, notice('a'));
      await ledger.recordNotices(lease, { userId: '1', kinds: ['certificate-expiring'], notices: [] });
      expect((await ledger.readUser('1')).notices).toHaveLength(1);
    });

    it('are refused to whoever lost the lease', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await ledger.releaseLease(lease);
      await expect(tell(lease, notice('a'))).rejects.toMatchObject({ code: 'lease-lost' });
    });
  });

  describe('an address that two users had', () => {
    const ask = (addresses: readonly string[], exceptUserId: string) =>
      ledger.liveLeavesNaming({ addresses, exceptUserId, at: clock.now() });

    it('belongs to whoever was seen with it last', async () => {
      const lease = await enter('1', ['ana@acme.example', 'shared@acme.example']);
      await enter('2', ['bo@acme.example', 'shared@acme.example']);
      const addresses = ['ana@acme.example', 'shared@acme.example', 'nobody@acme.example'];
      expect(await ledger.latestHolders(addresses)).toEqual([
        { address: 'ana@acme.example', userId: '1' },
        { address: 'shared@acme.example', userId: '2' },
      ]);
      const again = { userId: '1', primaryEmail: 'ana@acme.example', aliases: ['shared@acme.example'] };
      await ledger.recordSighting(lease, again);
      expect(await ledger.latestHolders(['shared@acme.example'])).toEqual([
        { address: 'shared@acme.example', userId: '1' },
      ]);
      expect(await ledger.latestHolders([])).toEqual([]);
    });

    it('is named by the leaves of others that are neither revoked nor expired', async () => {
      const lease = await enter('1', ['ana@acme.example']);
      await certify(lease, '1', '0a01', ['ana@acme.example', 'shared@acme.example']);
      await certify(lease, '1', '0a02', ['shared@acme.example']);
      await certify(lease, '1', '0a03', ['ana@acme.example']);
      await ledger.recordRevocation(lease, { serialHex: '0a02', reason: 'superseded' });
      expect(await ask(['shared@acme.example', 'other@acme.example'], '2')).toEqual([
        { address: 'shared@acme.example', userId: '1', serialHex: '0a01' },
      ]);
      expect(await ask(['shared@acme.example'], '1')).toEqual([]);
      expect(await ask([], '2')).toEqual([]);
      clock.advance(366 * DAY_MS);
      expect(await ask(['shared@acme.example'], '2')).toEqual([]);
    });

    it('is told of those whose Gmail certificate is neither revoked nor over, whatever became of them', async () => {
      const [ana, ben] = [await enter('1', ['ana@acme.example']), await enter('2', ['ben@acme.example'])];
      await enter('3', ['cem@acme.example']);
      await certify(ana, '1', '0a01', ['ana@acme.example']);
      await certify(ben, '2', '0a02', ['ben@acme.example']);
      const unit = '/Staff/Legal';
      await ledger.recordSighting(ana, { userId: '1', primaryEmail: 'ana@acme.example', aliases: [], unit });
      const [first, second] = [
        { userId: '1', primaryEmail: 'ana@acme.example', unit: '/staff/legal' },
        { userId: '2', primaryEmail: 'ben@acme.example' },
      ];
      expect(await ledger.liveHolders()).toEqual([first, second]);
      expect(await ledger.liveHolders(['2', '3', 'nobody'])).toEqual([second]);
      expect(await ledger.liveHolders([])).toEqual([]);
      await ledger.recordRevocation(ben, { serialHex: '0a02', reason: 'superseded' });
      expect(await ledger.liveHolders()).toEqual([first]);
      clock.advance(366 * DAY_MS);
      expect(await ledger.liveHolders()).toEqual([]);
    });
  });
};
