/** What every ledger promises about issuers that follow one another. Run on PGlite and on PostgreSQL. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { listing, textOf } from '../support/crl-text.ts';
import type { LedgerKind, LedgerSubject } from './subject.ts';

const DAY_MS = 86_400_000;
const START = new Date('2027-03-01T09:00:00.000Z');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const SECRET = 'projects/p/secrets/issuing/versions/3';
const KMS = 'projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1';

const issuer = (issuerId: string, state: IssuerRecord['state'], keyVersion = SECRET): IssuerRecord => ({
  issuerId,
  certificateDer: bytes(`certificate of ${issuerId}`),
  chainDer: [bytes('root')],
  keyVersion,
  crlUrl: `http://pki.acme.example/${issuerId}.crl`,
  issuerUrl: `http://pki.acme.example/${issuerId}.cer`,
  state,
});

export const issuerLifeContract = ({ speaksSql, start }: LedgerKind): void => {
  let rows: LedgerSubject;
  let ledger: Ledger;
  let now: Date;
  beforeEach(async () => {
    now = START;
    rows = await start();
    ledger = rows.open({ now: () => now });
  });
  afterEach(() => rows.close());

  const states = async () =>
    Object.fromEntries((await ledger.issuers()).map(({ issuerId, state }) => [issuerId, state]));
  const take = async (subject: string) => {
    const lease = await ledger.acquireLease(subject, 60_000);
    if (lease === undefined) throw new Error(`${subject} is held`);
    return lease;
  };

  /** A user with one signed leaf of the issuer. */
  async function leafOf(issuerId: string, userId: string, validMs: number, key = userId): Promise<string> {
    const lease = await take(`user:${userId}`);
    const serialHex = `01${Buffer.from(key.padEnd(17)).toString('hex')}`;
    await ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });
    await ledger.recordKey(lease, {
      keyId: `key-${key}`,
      userId,
      spkiSha256Hex: Buffer.from(key.padEnd(32)).toString('hex'),
      spkiDer: bytes(`spki of ${key}`),
      modulusBits: 3072,
      keyServiceUrl: 'https://kacls.acme.example/v1',
      wrappedKey: 'wrapped',
      proof: 'proven',
      purpose: 'dual-use',
    });
    await ledger.recordLeafIntent(lease, {
      serialHex,
      issuerId,
      userId,
      keyId: `key-${key}`,
      profile: 'dual-use-rsa/1',
      addresses: [`${userId}@acme.example`],
      notBefore: now,
      notAfter: new Date(now.getTime() + validMs),
      tbsDer: bytes(`tbs ${serialHex}`),
    });
    await ledger.recordSignedLeaf(serialHex, bytes(`leaf ${serialHex}`));
    await ledger.releaseLease(lease);
    return serialHex;
  }

  async function publishCrl(issuerId: string, crlNumber: bigint, serials: readonly string[]): Promise<void> {
    const lease = await take(`issuer:${issuerId}`);
    const tbsDer = Uint8Array.from(
      serials.flatMap((serial) => [0x02, serial.length / 2, ...Buffer.from(serial, 'hex')]),
    );
    const nextUpdate = new Date(now.getTime() + 7 * DAY_MS);
    await ledger.recordCrlIntent(lease, {
      issuerId,
      crlNumber,
      thisUpdate: now,
      nextUpdate,
      text: textOf(tbsDer),
    });
    await ledger.recordSignedCrl(issuerId, crlNumber, bytes(`crl ${crlNumber}`));
    await ledger.recordPublishedCrl(lease, issuerId, crlNumber, listing(serials));
    await ledger.releaseLease(lease);
  }

  describe('an issuer', () => {
    it.runIf(speaksSql)('says where its key is kept, for whoever reads the table', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      await ledger.recordIssuer(issuer('b', 'prepared', KMS));
      const custody = 'SELECT issuer_id, key_custody FROM issuers ORDER BY issuer_id';
      expect(await rows.database.query(custody)).toEqual([
        { issuer_id: 'a', key_custody: 'secret-manager' },
        { issuer_id: 'b', key_custody: 'cloud-kms' },
      ]);
      expect((await ledger.readIssuer('b'))?.keyVersion).toBe(KMS);
    });

    it('that is prepared takes the place of the active one, once, however often it is asked', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      await ledger.recordIssuer(issuer('b', 'prepared'));
      expect(await ledger.activateIssuer('b')).toEqual({ retiring: 'a' });
      expect(await states()).toEqual({ a: 'retiring', b: 'active' });
      expect(await ledger.activateIssuer('b')).toEqual({});
      expect((await ledger.activeIssuer())?.issuerId).toBe('b');
    });

    it('takes over and is retired with a line of the trail each, once', async () => {
      const lineOf = (step: string) => ({
        ...{ cause: { source: 'admin', eventId: 'a', event: 'test' } as const, step },
        ...{ reason: 'It was time.', outcome: 'done' as const },
      });
      await ledger.recordIssuer(issuer('a', 'active'));
      await ledger.recordIssuer(issuer('b', 'prepared'));
      for (const _time of [1, 2])
        await ledger.activateIssuer('b', ({ retiring }) => lineOf(`${retiring} goes`));
      for (const _time of [1, 2]) await ledger.retireIssuer('a', lineOf('gone'));
      const steps = (await ledger.auditTrail({ limit: 10 })).map(({ step }) => step);
      expect(steps).toEqual(['a goes', 'gone']);
    });

    it('that is the first becomes active with none before it', async () => {
      await ledger.recordIssuer(issuer('a', 'prepared'));
      expect(await ledger.activeIssuer()).toBeUndefined();
      expect(await ledger.activateIssuer('a')).toEqual({});
      expect(await states()).toEqual({ a: 'active' });
    });

    it('never goes back, and only a prepared one becomes active', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      await ledger.recordIssuer(issuer('b', 'prepared'));
      await ledger.activateIssuer('b');
      await expect(ledger.activateIssuer('a')).rejects.toMatchObject({ code: 'conflict' });
      await expect(ledger.activateIssuer('nobody')).rejects.toMatchObject({ code: 'conflict' });
      await expect(ledger.recordIssuer(issuer('a', 'prepared'))).rejects.toThrow();
      expect(await states()).toEqual({ a: 'retiring', b: 'active' });
    });

    it('has as holders whose newest Gmail leaf is of it, until they have one of another, are revoked or it ends', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      await ledger.recordIssuer(issuer('b', 'prepared'));
      const revoked = await leafOf('a', 'ana', 10 * DAY_MS);
      for (const userId of ['ben', 'cleo']) await leafOf('a', userId, 10 * DAY_MS);
      expect(await ledger.holdersUnder('a')).toEqual(['ana', 'ben', 'cleo']);
      expect(await ledger.holdersUnder('b')).toEqual([]);
      await ledger.recordRevocation(await take('user:ana'), { serialHex: revoked, reason: 'superseded' });
      expect(await ledger.holdersUnder('a')).toEqual(['ben', 'cleo']);
      await leafOf('b', 'ben', 10 * DAY_MS, 'ben-2');
      expect([await ledger.holdersUnder('a'), await ledger.holdersUnder('b')]).toEqual([['cleo'], ['ben']]);
      now = new Date(START.getTime() + 10 * DAY_MS + 1);
      expect(await ledger.holdersUnder('a')).toEqual([]);
    });

    it('retires when its last leaf has ended and whoever was revoked was listed after that, not before', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      const serialHex = await leafOf('a', 'ana', 10 * DAY_MS);
      await leafOf('a', 'ben', 20 * DAY_MS);
      expect(await ledger.retireIssuer('a')).toBe(false);
      await ledger.recordIssuer(issuer('b', 'prepared'));
      await ledger.activateIssuer('b');
      const lease = await take('user:ana');
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      expect(await ledger.issuerHoldings('a')).toMatchObject({
        live: 2,
        unlisted: 0,
        lastNotAfter: new Date(START.getTime() + 20 * DAY_MS),
      });
      expect(Buffer.from((await ledger.issuerHoldings('a')).sampleDer ?? [])).toEqual(
        Buffer.from(bytes(`leaf 01${Buffer.from('ben'.padEnd(17)).toString('hex')}`)),
      );
      now = new Date(START.getTime() + 20 * DAY_MS);
      expect(await ledger.retireIssuer('a')).toBe(false);
      now = new Date(START.getTime() + 20 * DAY_MS + 1000);
      expect(await ledger.issuerHoldings('a')).toMatchObject({ live: 0, unlisted: 1 });
      expect(await ledger.retireIssuer('a')).toBe(false);
      await publishCrl('a', 1n, [serialHex]);
      expect(await ledger.issuerHoldings('a')).toMatchObject({ live: 0, unlisted: 0 });
      expect(await ledger.retireIssuer('a')).toBe(true);
      expect(await ledger.retireIssuer('a')).toBe(true);
      expect(await states()).toEqual({ a: 'retired', b: 'active' });
    });

    it('that the CA above has revoked retires whatever is alive under it, unless it is the active one', async () => {
      await ledger.recordIssuer(issuer('a', 'active'));
      await leafOf('a', 'ana', 10 * DAY_MS);
      expect(await ledger.retireIssuer('a', undefined, { isRevoked: true })).toBe(false);
      for (const next of ['b', 'c']) await ledger.recordIssuer(issuer(next, 'prepared'));
      await ledger.activateIssuer('b');
      expect(await ledger.retireIssuer('a')).toBe(false);
      for (const gone of ['a', 'c'])
        expect(await ledger.retireIssuer(gone, undefined, { isRevoked: true })).toBe(true);
      expect(await states()).toEqual({ a: 'retired', b: 'active', c: 'retired' });
    });

    it('asked of another CA is found by its key until it is an issuer', async () => {
      const spkiSha256Hex = 'ab'.repeat(32);
      const request = { spkiSha256Hex, keyVersion: SECRET, csrDer: bytes('csr') };
      await ledger.recordIssuerRequest(request);
      await ledger.recordIssuerRequest({ ...request, csrDer: bytes('csr again') });
      expect(await ledger.openIssuerRequests()).toHaveLength(1);
      expect(Buffer.from((await ledger.readIssuerRequest(spkiSha256Hex))?.csrDer ?? []).toString()).toBe(
        'csr again',
      );
      expect(await ledger.readIssuerRequest('cd'.repeat(32))).toBeUndefined();
      await ledger.recordIssuer(issuer('a', 'prepared'));
      expect(await ledger.openIssuerRequests()).toEqual([]);
    });

    it('dates the ledger, so that a clock that is behind is noticed', async () => {
      expect(await ledger.latestInstant()).toBeUndefined();
      await ledger.recordIssuer(issuer('a', 'active'));
      now = new Date(START.getTime() + DAY_MS);
      await publishCrl('a', 1n, []);
      expect(await ledger.latestInstant()).toEqual(now);
    });
  });
};
