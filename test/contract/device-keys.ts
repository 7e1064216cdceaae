/** What every ledger promises about keys of other mail clients and about keys that were given away. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { LeafIntent, Lease, Ledger } from '../../shared/ports/ledger.ts';

const START = new Date('2027-03-01T09:00:00.000Z');
const LEASE_MS = 60_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const permanently = (code: string) => expect.objectContaining({ kind: 'permanent', code });

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const deviceKeyContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;
  let now: Date;

  beforeEach(async () => {
    now = START;
    database = await open();
    ledger = createLedger({ database, clock: { now: () => now } });
    await ledger.recordIssuer({
      issuerId: 'issuing-1',
      certificateDer: bytes('issuing certificate'),
      chainDer: [],
      keyVersion: 'projects/p/secrets/issuing-1/versions/3',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      state: 'active',
    });
  });
  afterEach(() => database.close());

  const enter = async (userId: string): Promise<Lease> => {
    const lease = await ledger.acquireLease(`user:${userId}`, LEASE_MS);
    if (lease === undefined) throw new Error(`${userId} is held`);
    await ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });
    return lease;
  };
  const request = (userId: string, key = 'phone') => ({
    userId,
    device: 'Ana’s phone',
    spkiSha256Hex: sha256(key),
    spkiDer: bytes(key),
    requestedBy: 'admin@acme.example',
  });
  const wrapped = (userId: string, key: string) => ({
    keyId: `wrapped-${key}-${userId}`,
    userId,
    spkiSha256Hex: sha256(key),
    spkiDer: bytes(key),
    modulusBits: 3072,
    keyServiceUrl: 'https://kacls.acme.example/v1',
    wrappedKey: 'wrapped',
    purpose: 'dual-use' as const,
    proof: 'proven' as const,
  });
  const intent = (
    userId: string,
    serialHex: string,
    key: Pick<LeafIntent, 'keyId' | 'holder'>,
  ): LeafIntent => ({
    serialHex,
    issuerId: 'issuing-1',
    userId,
    ...key,
    profile: 'dual-use-ec/1',
    addresses: [`${userId}@acme.example`],
    notBefore: now,
    notAfter: new Date(now.getTime() + 86_400_000),
    tbsDer: bytes(`tbs ${serialHex}`),
  });

  describe('a device’s key', () => {
    it('is read back with its user, who is due at once', async () => {
      const lease = await enter('1');
      await ledger.recordState(lease, { userId: '1', state: 'ready', reason: '', failures: 0 });
      await ledger.releaseLease(lease);
      const key = await ledger.recordDeviceKey(request('1'));
      expect(key).toEqual({ ...request('1'), keyId: key.keyId, createdAt: START });
      expect((await ledger.readUser('1')).deviceKeys).toEqual([key]);
      expect(await ledger.readDeviceKey(key.keyId)).toEqual(key);
      expect(await ledger.readDeviceKey('other')).toBeUndefined();
      expect(await ledger.dueUsers(5)).toMatchObject([{ userId: '1', nextAction: 'certify-device' }]);
    });

    it('asks whoever works on its user to look again', async () => {
      const lease = await enter('1');
      const { keyId } = await ledger.recordDeviceKey(request('1'));
      const cause = { source: 'admin', eventId: keyId, actor: request('1').requestedBy };
      expect(await ledger.releaseLease(lease)).toEqual({ again: { ...cause, event: 'device-requested' } });
      await ledger.recordDeviceKey(request('1'));
      expect(await ledger.releaseLease(lease)).toEqual({ again: { ...cause, event: 'device-requested' } });
      await ledger.withdrawDeviceKey(keyId, 'ops@acme.example');
      expect(await ledger.releaseLease(lease)).toEqual({
        again: { ...cause, event: 'device-revoked', actor: 'ops@acme.example' },
      });
    });

    it('is the same one when it is asked for again, and nobody else’s', async () => {
      await enter('1');
      await enter('2');
      const key = await ledger.recordDeviceKey(request('1'));
      expect(await ledger.recordDeviceKey({ ...request('1'), device: 'another name' })).toEqual(key);
      await expect(ledger.recordDeviceKey(request('2'))).rejects.toEqual(permanently('conflict'));
    });

    it('of somebody unknown is refused', async () => {
      await expect(ledger.recordDeviceKey(request('9'))).rejects.toEqual(permanently('not-found'));
    });

    it('can be taken back, once and for good', async () => {
      await enter('1');
      const { keyId } = await ledger.recordDeviceKey(request('1'));
      await ledger.withdrawDeviceKey(keyId, 'ops@acme.example');
      now = new Date(START.getTime() + 1000);
      await ledger.withdrawDeviceKey(keyId, 'ops@acme.example');
      expect((await ledger.readDeviceKey(keyId))?.withdrawnAt).toEqual(START);
      await expect(ledger.recordDeviceKey(request('1'))).rejects.toEqual(permanently('conflict'));
      await expect(ledger.withdrawDeviceKey('other', 'ops@acme.example')).rejects.toEqual(
        permanently('not-found'),
      );
    });

    it('has leaves that say so, and never has a wrapped key', async () => {
      const lease = await enter('1');
      const { keyId } = await ledger.recordDeviceKey(request('1'));
      await ledger.recordLeafIntent(lease, intent('1', '0d01', { keyId, holder: 'device' }));
      expect(await ledger.readLeafIntent('0d01')).toMatchObject({
        keyId,
        holder: 'device',
        spkiDer: bytes('phone'),
      });
      const { leaves, keys } = await ledger.readUser('1');
      expect(leaves).toMatchObject([{ serialHex: '0d01', holder: 'device', keyId }]);
      expect(keys).toEqual([]);
    });

    test.each([
      "UPDATE device_keys SET device = 'x'",
      'UPDATE device_keys SET withdrawn_at = NULL',
      'DELETE FROM device_keys',
      'UPDATE leaves SET device_key_id = NULL',
      'DELETE FROM blocked_keys',
      "UPDATE blocked_keys SET blocked_at = 'infinity'",
      'TRUNCATE blocked_keys',
    ])('is protected by the database: %s', async (statement) => {
      const lease = await enter('1');
      const { keyId } = await ledger.recordDeviceKey(request('1'));
      await ledger.recordLeafIntent(lease, intent('1', '0d01', { keyId, holder: 'device' }));
      await ledger.recordRevocation(lease, { serialHex: '0d01', reason: 'keyCompromise' });
      await ledger.withdrawDeviceKey(keyId, 'ops@acme.example');
      await expect(database.query(statement)).rejects.toThrow();
    });
  });

  describe('a key that was revoked for compromise', () => {
    const compromise = async (key: 'device' | 'key-service') => {
      const lease = await enter('1');
      if (key === 'key-service') await ledger.recordKey(lease, wrapped('1', 'phone'));
      const keyId =
        key === 'key-service' ? 'wrapped-phone-1' : (await ledger.recordDeviceKey(request('1'))).keyId;
      await ledger.recordLeafIntent(lease, intent('1', '0d01', { keyId, holder: key }));
      await ledger.recordLeafIntent(lease, intent('1', '0d02', { keyId, holder: key }));
      await ledger.recordRevocation(lease, { serialHex: '0d01', reason: 'keyCompromise' });
      return { lease, keyId };
    };

    test.each(['device', 'key-service'] as const)(
      '(%s) is blocked from then on, and says since when',
      async (key) => {
        await compromise(key);
        expect(await ledger.readBlockedKey(sha256('phone'))).toEqual({
          spkiSha256Hex: sha256('phone'),
          serialHex: '0d01',
          blockedAt: START,
        });
        // An intent that was there before: `sign` is told.
        expect((await ledger.readLeafIntent('0d02'))?.keyBlockedAt).toEqual(START);
      },
    );

    test.each(['device', 'key-service'] as const)(
      '(%s) is in no new intent, for anybody, under either kind',
      async (key) => {
        const { lease, keyId } = await compromise(key);
        await expect(
          ledger.recordLeafIntent(lease, intent('1', '0d03', { keyId, holder: key })),
        ).rejects.toEqual(permanently('key-blocked'));
        const other = await enter('2');
        await ledger.recordKey(other, wrapped('2', 'phone'));
        await expect(
          ledger.recordLeafIntent(
            other,
            intent('2', '0d04', { keyId: 'wrapped-phone-2', holder: 'key-service' }),
          ),
        ).rejects.toEqual(permanently('key-blocked'));
        expect(await ledger.readLeafIntent('0d03')).toBeUndefined();
        expect(await ledger.readLeafIntent('0d04')).toBeUndefined();
      },
    );

    it('is not blocked by another reason, and no other key is', async () => {
      const lease = await enter('1');
      const { keyId } = await ledger.recordDeviceKey(request('1'));
      await ledger.recordLeafIntent(lease, intent('1', '0d01', { keyId, holder: 'device' }));
      await ledger.recordRevocation(lease, { serialHex: '0d01', reason: 'superseded' });
      expect(await ledger.readBlockedKey(sha256('phone'))).toBeUndefined();
      await ledger.recordLeafIntent(lease, intent('1', '0d02', { keyId, holder: 'device' }));
      expect((await ledger.readLeafIntent('0d02'))?.keyBlockedAt).toBeUndefined();
    });
  });

  it('knows every public key there ever was, in pages', async () => {
    const lease = await enter('1');
    for (const key of ['one', 'two']) await ledger.recordKey(lease, wrapped('1', key));
    await ledger.recordDeviceKey(request('1', 'three'));
    const found: string[] = [];
    for (let after: string | undefined, more = true; more; ) {
      const page = await ledger.knownPublicKeys({ limit: 2, ...(after === undefined ? {} : { after }) });
      found.push(...page.spkisDer.map((der) => new TextDecoder().decode(der)));
      after = page.next;
      more = after !== undefined;
    }
    expect(found.toSorted()).toEqual(['one', 'three', 'two']);
  });

  it('finds each page of public keys by an index, however many keys there are', async () => {
    const asked: { sql: string; parameters: readonly unknown[] }[] = [];
    const watched: Database = {
      ...database,
      query: (sql, parameters = []) => {
        asked.push({ sql, parameters });
        return database.query(sql, parameters);
      },
    };
    await createLedger({ database: watched, clock: { now: () => now } }).knownPublicKeys({
      limit: 2,
      after: 'gkey',
    });
    const plans = await database.transaction(async (queries) => {
      // On tables that are empty nearly, any other way is cheaper.
      for (const way of ['seqscan', 'bitmapscan', 'sort'])
        await queries.query(`SET LOCAL enable_${way} = off`);
      const [statement] = asked;
      return await queries.query(
        `EXPLAIN ${statement?.sql.replace(/\$(\d)/g, (_, at) => {
          const value = statement.parameters[Number(at) - 1];
          return typeof value === 'string' ? `'${value}'` : String(value ?? 'NULL');
        })}`,
      );
    });
    const plan = JSON.stringify(plans);
    expect(plan).toMatch(/Index Scan using user_keys_\w+ on user_keys/);
    expect(plan).toContain('Index Cond: (key_id > ');
    expect(plan).not.toContain('Seq Scan');
  });
};
