/** How the bytes of CRLs lie in the ledger: before, while and after blocks came. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate, readMigrations } from '../../shared/adapters/ledger/migrate.ts';
import { bitString, octetString, sequence } from '../../shared/pki/der.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { listingNobody, signedCrlDer, tbsOf } from '../support/crl-text.ts';
import { openBareDatabase, openTestDatabase } from '../support/ledger.ts';
import { revokedLeaves } from '../support/packed-entries.ts';

const NOW = new Date('2027-03-01T09:00:00Z');
const DAY_MS = 86_400_000;
const ALGORITHM = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
/** The migrations that this is about. */
const BLOCKS = 20;
const FIRST_LISTINGS = 38;

let database: Database;
afterEach(() => database.close());

const insertIssuer = (queries: Pick<Database, 'query'>) =>
  queries.query(
    `INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, state, recorded_at)
     VALUES ('i', '\\x00', 'projects/p/secrets/s/versions/1', 'http://pki.acme.example/i.crl',
             'http://pki.acme.example/i.cer', 'active', now())`,
  );

async function insertPerson(queries: Pick<Database, 'query'>): Promise<void> {
  await queries.query(
    `INSERT INTO users (user_id, primary_email, state, reason, since) VALUES ('1', 'a@acme.example', 'ready', '', now())`,
  );
  await queries.query(
    `INSERT INTO user_keys (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof, created_at)
     VALUES ('k', '1', repeat('0', 64), '\\x00', 2048, 'https://kacls.acme.example', 'w', 'proven', now())`,
  );
}

const insertLeaf = (queries: Pick<Database, 'query'>, serialHex: string, issuerId = 'i') =>
  queries.query(
    `INSERT INTO leaves (serial_hex, issuer_id, user_id, key_id, profile, addresses, not_before, not_after, tbs_der, state, intended_at)
     VALUES ($1, $3, '1', 'k', 'dual-use-rsa/1', '{a@acme.example}', $2, $2::timestamptz + interval '1 day', '\\x00', 'intended', $2)`,
    [serialHex, NOW, issuerId],
  );

describe('a ledger from before there were blocks', () => {
  it('has each CRL byte for byte afterwards, whatever its length, and lists whoever must be listed', async () => {
    database = await openBareDatabase();
    await migrate(database, readMigrations().slice(0, BLOCKS - 1));
    await insertIssuer(database);
    const crls = [3, 90, 200, 300, 70_000].map((length) => {
      const tbsDer = sequence(octetString(new Uint8Array(length).fill(7)));
      return { tbsDer, crlDer: sequence(tbsDer, ALGORITHM, bitString(new Uint8Array(20).fill(length))) };
    });
    for (const [index, { tbsDer, crlDer }] of crls.entries()) {
      await database.query(
        `INSERT INTO crls (issuer_id, crl_number, this_update, next_update, tbs_der, crl_der, state, intended_at, signed_at)
         VALUES ('i', $1, $2, $2::timestamptz + interval '7 days', $3, $4, 'signed', $2, $2)`,
        [index + 1, NOW, tbsDer, crlDer],
      );
    }
    await insertPerson(database);
    for (const serial of ['0101', '0102', '0103']) await insertLeaf(database, serial);
    await database.query(
      `INSERT INTO revocations (serial_hex, reason, revoked_at) VALUES ('0103', 'superseded', $1), ('0101', 'superseded', $1)`,
      [NOW],
    );
    await database.query(
      `INSERT INTO last_entries (serial_hex, issuer_id, crl_number) VALUES ('0103', 'i', 1)`,
    );
    await migrate(database);
    const ledger = createLedger({ database, clock: { now: () => NOW } });
    for (const [index, { tbsDer, crlDer }] of crls.entries()) {
      const number = BigInt(index + 1);
      expect(Buffer.compare(await tbsOf(await ledger.readCrl('i', number)), tbsDer)).toBe(0);
      expect(Buffer.compare((await signedCrlDer(ledger, 'i', number)) ?? Buffer.of(), crlDer)).toBe(0);
    }
    expect((await revokedLeaves(ledger, 'i')).map(({ serialHex }) => serialHex)).toEqual(['0101']);
  });
});

describe('a ledger from before first listings were recorded', () => {
  const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
  /** Made, signed and published a tenth of a second after its time, which is cut to the second. */
  const insertCrl = (issuerId: string, crlNumber: number, seconds: number, state = 'published') =>
    database.query(
      `INSERT INTO crls (issuer_id, crl_number, this_update, next_update, tbs_head, tbs_tail, end_der, state, intended_at, signed_at, published_at)
       VALUES ($1, $2, $3, $3::timestamptz + interval '7 days', '\\x00', '\\x', '\\x00', $4, $5, $5, $6)`,
      [
        ...[issuerId, crlNumber, at(Math.floor(seconds)), state, at(seconds)],
        state === 'published' ? at(seconds + 0.1) : null,
      ],
    );

  it('infers them once, from when lists were complete, and publishes whoever is in none', async () => {
    database = await openBareDatabase();
    await migrate(database, readMigrations().slice(0, FIRST_LISTINGS - 1));
    await insertIssuer(database);
    await database.query(
      `INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, state, recorded_at)
       VALUES ('j', '\\x01', 'projects/p/secrets/s/versions/2', 'http://pki.acme.example/j.crl',
               'http://pki.acme.example/j.cer', 'retired', now())`,
    );
    await insertCrl('i', 1, 0.1);
    await insertCrl('i', 2, 10.9);
    await insertCrl('i', 3, 20, 'signed');
    await insertCrl('i', 4, 30);
    await insertCrl('j', 7, 5);
    await insertPerson(database);
    const revoked: readonly (readonly [serial: string, issuerId: string, seconds: number])[] = [
      ['0101', 'i', -3600],
      ['0102', 'i', 10.4],
      ['0103', 'i', 15],
      ['0104', 'i', 40],
      ['0105', 'j', 1],
      ['0106', 'i', 50],
    ];
    for (const [serial, issuerId, seconds] of revoked) {
      await insertLeaf(database, serial, issuerId);
      await database.query(
        `INSERT INTO revocations (serial_hex, reason, revoked_at) VALUES ($1, 'superseded', $2)`,
        [serial, at(seconds)],
      );
    }
    await database.query(
      `INSERT INTO last_entries (serial_hex, issuer_id, crl_number) VALUES ('0104', 'i', 4)`,
    );
    await database.query(`DELETE FROM unlisted_revocations WHERE serial_hex <> '0106'`);
    await migrate(database);
    const ledger = createLedger({ database, clock: { now: () => NOW } });
    const listings = await ledger.crlListings(revoked.map(([serial]) => serial));
    expect(listings.map(({ serialHex, crl }) => `${serialHex} ${crl?.crlNumber ?? 'none'}`)).toEqual([
      ...['0101 1', '0102 2', '0103 4', '0104 4', '0105 7', '0106 none'],
    ]);
    expect(listings[1]?.crl?.publishedAt).toEqual(at(11));
    expect(await ledger.hasUnlistedRevocations('i')).toBe(true);
    expect(await ledger.publicationToFinish('i')).toBeUndefined();
  });
});

describe('the entries of CRLs', () => {
  async function open(): Promise<{ ledger: Ledger; lease: Lease; clock: { now: () => Date } }> {
    database = await openTestDatabase();
    await insertIssuer(database);
    const clock = { now: () => NOW };
    const ledger = createLedger({ database, clock: { now: () => clock.now() } });
    const lease = await ledger.acquireLease('issuer:i', 3_600_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    return { ledger, lease, clock };
  }
  const intend = (ledger: Ledger, lease: Lease, crlNumber: bigint, letters: string) =>
    ledger.recordCrlIntent(lease, {
      ...{ issuerId: 'i', crlNumber, thisUpdate: NOW, nextUpdate: new Date(NOW.getTime() + DAY_MS) },
      text: {
        blocks: [...letters].map((letter) => Buffer.from(letter.repeat(100))),
        around: () => ({ head: Buffer.from(`${crlNumber}`), tail: Buffer.of() }),
      },
    });
  const blocks = async () =>
    (
      await database.query<{ first: string }>(
        `SELECT chr(get_byte(bytes, 0)) AS first FROM crl_blocks ORDER BY 1`,
      )
    )
      .map(({ first }) => first)
      .join('');

  it('are kept once, and go with the last CRL that has them', async () => {
    const { ledger, lease, clock } = await open();
    await intend(ledger, lease, 1n, 'abc');
    await intend(ledger, lease, 2n, 'abdc');
    expect(await blocks()).toBe('abcd');
    await ledger.recordSignedCrl('i', 2n, Buffer.of(1));
    await ledger.recordPublishedCrl(lease, 'i', 2n, listingNobody);
    await intend(ledger, lease, 3n, 'bd');
    await ledger.recordSignedCrl('i', 3n, Buffer.of(1));
    await ledger.recordPublishedCrl(lease, 'i', 3n, listingNobody);
    clock.now = () => new Date(NOW.getTime() + DAY_MS + 1);
    expect(await ledger.pruneCrls(lease, 'i')).toBe(2);
    expect(await blocks()).toBe('bd');
    expect(await tbsOf(await ledger.readCrl('i', 3n))).toEqual(
      new Uint8Array(Buffer.from(`3${'b'.repeat(100)}${'d'.repeat(100)}`)),
    );
  });

  it.each([
    ['changed', "UPDATE crl_blocks SET bytes = '\\x00'", 'not what was recorded'],
    ['removed', 'DELETE FROM crl_blocks', 'missing in'],
  ])('that somebody has %s are not handed on', async (_what, sql, says) => {
    const { ledger, lease } = await open();
    await intend(ledger, lease, 1n, 'a');
    await database.transaction(async (queries) => {
      await queries.script(`SET LOCAL session_replication_role = replica; ${sql}`);
    });
    await expect(tbsOf(await ledger.readCrl('i', 1n))).rejects.toMatchObject({
      code: 'intent-mismatch',
      message: expect.stringContaining(says),
    });
  });
});
