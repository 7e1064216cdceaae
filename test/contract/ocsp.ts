/** What every ledger promises about OCSP: signers, batches, answers that only move on, and public addresses that were verified. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { SignedOcspAnswer } from '../../shared/ports/ledger/ocsp.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';

const START = new Date('2027-03-01T09:00:00.000Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ISSUER_ID = 'issuing-1';
const SIGNER = '0b01';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const ocspContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;
  let now: Date;
  const later = (ms: number) => new Date(START.getTime() + ms);

  beforeEach(async () => {
    now = START;
    database = await open();
    ledger = createLedger({ database, clock: { now: () => now } });
    await ledger.recordIssuer({
      issuerId: ISSUER_ID,
      certificateDer: bytes('issuing'),
      chainDer: [],
      keyVersion: 'projects/p/secrets/issuing-1/versions/3',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      ocspUrl: 'http://pki.acme.example/ocsp',
      state: 'active',
    });
  });
  afterEach(() => ledger.close());

  const signerIntent = (serialHex = SIGNER) => ({
    serialHex,
    issuerId: ISSUER_ID,
    spkiDer: bytes('spki'),
    keySecretVersion: 'projects/p/secrets/ocsp/versions/1',
    profile: 'ocsp-signer/1',
    notBefore: START,
    notAfter: later(14 * DAY_MS),
    tbsDer: bytes(`tbs ${serialHex}`),
  });

  const certify = async (serialHex: string): Promise<Lease> => {
    const userId = `of-${serialHex}`;
    const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
    if (lease === undefined) throw new Error(`${userId} is held`);
    await ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });
    const keyId = `key-of-${serialHex}`;
    await ledger.recordKey(lease, {
      keyId,
      userId,
      purpose: 'dual-use',
      spkiSha256Hex: createHash('sha256').update(keyId).digest('hex'),
      spkiDer: bytes(keyId),
      modulusBits: 3072,
      keyServiceUrl: 'https://kacls.acme.example/v1',
      wrappedKey: 'wrapped',
      proof: 'proven',
    });
    await ledger.recordLeafIntent(lease, {
      serialHex,
      issuerId: ISSUER_ID,
      userId,
      keyId,
      profile: 'dual-use-rsa/1',
      addresses: [`${userId}@acme.example`],
      notBefore: START,
      notAfter: later(30 * DAY_MS),
      tbsDer: bytes(serialHex),
    });
    await ledger.recordSignedLeaf(serialHex, bytes(`leaf ${serialHex}`));
    return lease;
  };
  const revoke = (lease: Lease, serialHex: string) =>
    ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });

  const answer = (
    serialHex: string,
    status: 'good' | 'revoked',
    thisUpdate: Date,
    hash: 'sha1' | 'sha256' = 'sha256',
  ): SignedOcspAnswer => ({
    serialHex,
    hash,
    status,
    thisUpdate,
    nextUpdate: new Date(thisUpdate.getTime() + 3 * DAY_MS),
    notAfter: later(30 * DAY_MS),
    answerDer: bytes(`${serialHex} ${status} ${thisUpdate.toISOString()} ${hash}`),
  });
  const batchOf = (...serials: readonly string[]) =>
    ledger.recordOcspBatch({
      issuerId: ISSUER_ID,
      signerSerialHex: SIGNER,
      intents: [...new Set(serials)].map((serialHex) => ({
        serialHex,
        hash: 'sha256',
        tbsDer: bytes(`tbs ${serialHex}`),
      })),
    });
  const sign = async (...answers: readonly SignedOcspAnswer[]) =>
    ledger.recordSignedOcspBatch(await batchOf(...answers.map(({ serialHex }) => serialHex)), answers);
  const statusOf = async (serialHex: string) =>
    (await ledger.readOcspAnswer(ISSUER_ID, serialHex, 'sha256'))?.status;

  describe('an OCSP signer', () => {
    it('is signed once, under a serial that is never used again, and is found until it ends', async () => {
      await ledger.recordOcspSignerIntent(signerIntent());
      await expect(ledger.recordOcspSignerIntent(signerIntent())).rejects.toMatchObject({ code: 'conflict' });
      expect(await ledger.ocspSigners(ISSUER_ID)).toEqual([signerIntent()]);
      await ledger.recordSignedOcspSigner(SIGNER, bytes('signer'));
      await ledger.recordSignedOcspSigner(SIGNER, bytes('signer'));
      await expect(ledger.recordSignedOcspSigner(SIGNER, bytes('another'))).rejects.toMatchObject({
        code: 'intent-mismatch',
      });
      expect(await ledger.readOcspSigner(SIGNER)).toEqual({
        ...signerIntent(),
        certificateDer: bytes('signer'),
      });
      now = later(14 * DAY_MS);
      expect(await ledger.ocspSigners(ISSUER_ID)).toEqual([]);
      await expect(database.query('DELETE FROM ocsp_signers')).rejects.toMatchObject({ code: 'conflict' });
    });
  });

  describe('a batch of OCSP answers', () => {
    beforeEach(() => ledger.recordOcspSignerIntent(signerIntent()));

    it('tells whoever signs it what the ledger knows of each serial at that moment', async () => {
      const lease = await certify('0a01');
      const batchId = await batchOf('0a01', '0a02');
      await revoke(lease, '0a01');
      expect(await ledger.readOcspBatch(batchId)).toMatchObject({
        batchId,
        issuerId: ISSUER_ID,
        isSigned: false,
        intents: [
          {
            serialHex: '0a01',
            tbsDer: bytes('tbs 0a01'),
            subject: { revocation: { reason: 'keyCompromise' } },
          },
          { serialHex: '0a02', tbsDer: bytes('tbs 0a02') },
        ],
      });
      const batch = (await ledger.readOcspBatch(batchId)) ?? expect.unreachable();
      expect(batch.intents[1]?.subject).toBeUndefined();
      expect(batch.signer).toEqual(await ledger.readOcspSigner(SIGNER));
      expect(batch.issuer).toEqual(await ledger.readIssuer(ISSUER_ID));
    });

    it('about a new leaf is made of its issuer, of the signer that ends last, and of how the leaf is', async () => {
      const lease = await certify('0a01');
      const issuer = await ledger.readIssuer(ISSUER_ID);
      const read = async () => await ledger.readLeafStatus('0a01');
      const [subject] = await ledger.readOcspSubjects(ISSUER_ID, ['0a01']);
      expect(subject?.serialHex).toBe('0a01');
      expect(await read(), 'the signer has no certificate yet').toEqual({ issuer, subject });
      await ledger.recordSignedOcspSigner(SIGNER, bytes('signer'));
      const { spkiDer, notAfter } = signerIntent();
      const signer = { serialHex: SIGNER, spkiDer, notAfter };
      expect(await read()).toEqual({ issuer, subject, signer });
      await revoke(lease, '0a01');
      const [revoked] = await ledger.readOcspSubjects(ISSUER_ID, ['0a01']);
      expect(revoked?.revocation?.reason).toBe('keyCompromise');
      expect(await read()).toEqual({ issuer, subject: revoked, signer });
      now = later(14 * DAY_MS);
      expect(await read(), 'the signer has ended').toEqual({ issuer, subject: revoked });
      expect(await ledger.readLeafStatus('0a02')).toBeUndefined();
    });

    it('is signed once; asked again nothing more is taken', async () => {
      await certify('0a01');
      const batchId = await batchOf('0a01');
      expect(await ledger.recordSignedOcspBatch(batchId, [answer('0a01', 'good', START)])).toBe(1);
      expect(await ledger.recordSignedOcspBatch(batchId, [answer('0a01', 'good', later(HOUR_MS))])).toBe(0);
      expect(await ledger.readOcspBatch(batchId)).toMatchObject({ isSigned: true, intents: [] });
      expect((await ledger.readOcspAnswer(ISSUER_ID, '0a01', 'sha256'))?.thisUpdate).toEqual(START);
      await expect(ledger.recordSignedOcspBatch(99n, [])).rejects.toMatchObject({ code: 'intent-mismatch' });
    });
  });

  describe('an OCSP answer', () => {
    beforeEach(() => ledger.recordOcspSignerIntent(signerIntent()));

    it('is read back to the byte, each digest by itself', async () => {
      await certify('0a01');
      const given = answer('0a01', 'good', START);
      await sign(given);
      const { serialHex: _serial, hash: _hash, ...read } = given;
      expect(await ledger.readOcspAnswer(ISSUER_ID, '0a01', 'sha256')).toEqual(read);
      expect(await ledger.readOcspAnswer(ISSUER_ID, '0a01', 'sha1')).toBeUndefined();
      expect(await ledger.readOcspAnswer('another', '0a01', 'sha256')).toBeUndefined();
    });

    it('is replaced by a newer one and never by an older one', async () => {
      await certify('0a01');
      await sign(answer('0a01', 'good', later(HOUR_MS)));
      expect(await sign(answer('0a01', 'good', START))).toBe(0);
      expect(await sign(answer('0a01', 'good', later(2 * HOUR_MS)))).toBe(1);
      expect(await ledger.oldestOcspAnswer(ISSUER_ID)).toEqual({
        serialHex: '0a01',
        thisUpdate: later(2 * HOUR_MS),
        nextUpdate: later(2 * HOUR_MS + 3 * DAY_MS),
      });
    });

    it('never says good of somebody who was revoked while it was being signed, nor good after revoked', async () => {
      const lease = await certify('0a01');
      await revoke(lease, '0a01');
      expect(await sign(answer('0a01', 'good', START))).toBe(0);
      expect(await statusOf('0a01')).toBeUndefined();
      expect(await sign(answer('0a01', 'revoked', START))).toBe(1);
      expect(await sign(answer('0a01', 'good', later(HOUR_MS)))).toBe(0);
      expect(await statusOf('0a01')).toBe('revoked');
      await expect(
        database.query(`UPDATE ocsp_answers SET status = 'good' WHERE serial_hex = '0a01'`),
      ).rejects.toMatchObject({ code: 'conflict' });
    });

    it.each([
      [
        'good where revoked was, of somebody',
        `UPDATE ocsp_answers SET status = 'good' WHERE serial_hex = '0a01'`,
      ],
      [
        'an older one',
        `UPDATE ocsp_answers SET this_update = this_update - interval '1 s' WHERE serial_hex = '0a02'`,
      ],
      [
        'good of somebody revoked who has none',
        `INSERT INTO ocsp_answers SELECT issuer_id, serial_hex, 'sha1', 'good', this_update, next_update, not_after, answer_der, batch_id
           FROM ocsp_answers WHERE serial_hex = '0a01'`,
      ],
      [
        'good once more of somebody revoked since, among others',
        `UPDATE ocsp_answers SET this_update = this_update + interval '1 s' WHERE status = 'good'`,
      ],
    ])('is kept by the database itself, whoever writes %s', async (_what, statement) => {
      const lease = await certify('0a01');
      await certify('0a02');
      const leaseOf03 = await certify('0a03');
      await sign(answer('0a02', 'good', START), answer('0a03', 'good', START));
      await revoke(lease, '0a01');
      await revoke(leaseOf03, '0a03');
      await sign(answer('0a01', 'revoked', START));
      await expect(database.query(statement)).rejects.toMatchObject({ code: 'conflict' });
      expect(await statusOf('0a01')).toBe('revoked');
    });
  });

  it.each([
    [
      'an intent',
      `INSERT INTO ocsp_intents (batch_id, serial_hex, hash, tbs_der) VALUES (1000, '0a02', 'sha256', '\\x30')`,
      'ocsp_intents_have_a_batch',
    ],
    [
      'an answer',
      `INSERT INTO ocsp_answers SELECT issuer_id, serial_hex, 'sha1', status, this_update, next_update, not_after, answer_der, 1000
         FROM ocsp_answers`,
      'ocsp_answers_have_a_batch',
    ],
    [
      'a newer answer, among others',
      `UPDATE ocsp_answers SET batch_id = CASE serial_hex WHEN '0a02' THEN 1000 ELSE batch_id END`,
      'ocsp_answers_still_have_a_batch',
    ],
  ])(
    '%s of a batch that is not there is refused by the database itself',
    async (_what, statement, constraint) => {
      await ledger.recordOcspSignerIntent(signerIntent());
      await certify('0a01');
      await certify('0a02');
      await sign(answer('0a01', 'good', START), answer('0a02', 'good', START));
      await expect(database.query(statement)).rejects.toMatchObject({ sqlState: '23503', constraint });
      expect(await statusOf('0a02')).toBe('good');
    },
  );

  describe('certificates that need an answer', () => {
    beforeEach(() => ledger.recordOcspSignerIntent(signerIntent()));
    const wanting = async (filter: { behind?: boolean; afterSerialHex?: string; limit?: number } = {}) =>
      (await ledger.ocspSubjects({ issuerId: ISSUER_ID, madeBefore: START, limit: 10, ...filter })).map(
        ({ serialHex }) => serialHex,
      );
    const both = (serialHex: string, status: 'good' | 'revoked', at: Date) =>
      sign(answer(serialHex, status, at), answer(serialHex, status, at, 'sha1'));

    it('are those without one in both digests, with an old one, or with one that the revocation has overtaken', async () => {
      const lease = await certify('0a01');
      await certify('0a02');
      await ledger.recordSignedOcspSigner(SIGNER, bytes('signer'));
      expect(await wanting()).toEqual(['0a01', '0a02', SIGNER]);
      expect(await wanting({ limit: 2 })).toEqual(['0a01', '0a02']);
      expect(await wanting({ afterSerialHex: '0a01' })).toEqual(['0a02', SIGNER]);
      expect(await wanting({ behind: true })).toEqual([]);
      await both('0a01', 'good', later(HOUR_MS));
      await both('0a02', 'good', START);
      expect(await wanting(), 'made at madeBefore is too old').toEqual(['0a02', SIGNER]);
      await revoke(lease, '0a01');
      expect(await wanting({ behind: true })).toEqual(['0a01']);
      await both('0a01', 'revoked', later(HOUR_MS));
      expect(await wanting({ behind: true })).toEqual([]);
      now = later(31 * DAY_MS);
      expect(await wanting(), 'nobody after their end').toEqual([]);
    });
  });

  describe('what is of no use any more', () => {
    beforeEach(() => ledger.recordOcspSignerIntent(signerIntent()));
    const count = async (table: 'ocsp_answers' | 'ocsp_intents') =>
      Number((await database.query<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n);

    it('is forgotten in steps: answers about certificates that ended, and intents that nobody signed', async () => {
      await certify('0a01');
      await certify('0a02');
      for (const serialHex of ['0a01', '0a02'])
        await sign(answer(serialHex, 'good', START), answer(serialHex, 'good', START, 'sha1'));
      const { issuerId, serialHex: signerSerialHex } = signerIntent();
      const intents = [{ serialHex: '0a01', hash: 'sha256' as const, tbsDer: bytes('never signed') }];
      const refused = await ledger.recordOcspBatch({ issuerId, signerSerialHex, intents });
      now = later(HOUR_MS);
      const fresh = await ledger.recordOcspBatch({ issuerId, signerSerialHex, intents });
      expect(await ledger.forgetOcsp(ISSUER_ID, later(1), 100)).toEqual({ answers: 0, intents: 1 });
      expect((await ledger.readOcspBatch(refused))?.intents).toEqual([]);
      expect((await ledger.readOcspBatch(fresh))?.intents).toHaveLength(1);
      const ended = later(31 * DAY_MS);
      expect(await ledger.forgetOcsp('another', ended, 100)).toEqual({ answers: 0, intents: 0 });
      expect(await ledger.forgetOcsp(ISSUER_ID, ended, 3)).toEqual({ answers: 3, intents: 1 });
      expect(await ledger.forgetOcsp(ISSUER_ID, ended, 3)).toEqual({ answers: 1, intents: 0 });
      expect([await count('ocsp_answers'), await count('ocsp_intents')]).toEqual([0, 0]);
    });
  });

  describe('a public address of an issuer', () => {
    const url = 'http://pki.acme.example/issuing-1.crl';

    it('stays verified through later failures, which are kept beside', async () => {
      const check = { kind: 'crl' as const, url };
      await ledger.recordAddressCheck(ISSUER_ID, { ...check, failure: 'It answered 404.' });
      expect((await ledger.issuerAddresses(ISSUER_ID))[0]?.verifiedAt).toBeUndefined();
      await ledger.recordAddressCheck(ISSUER_ID, { ...check, sha256Hex: 'a'.repeat(64), found: 'CRL 1' });
      now = later(HOUR_MS);
      await ledger.recordAddressCheck(ISSUER_ID, { ...check, failure: 'It answered 503.' });
      expect(await ledger.issuerAddresses(ISSUER_ID)).toMatchObject([
        { ...check, verifiedAt: START, failure: 'It answered 503.' },
      ]);
      await expect(
        database.query('UPDATE issuer_addresses SET verified_at = NULL, seen_at = NULL, sha256_hex = NULL'),
      ).rejects.toMatchObject({ code: 'conflict' });
    });
  });
};
