import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgresLedger } from '../../shared/adapters/ledger/open.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { makePlace, type Place } from './place.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const REFUSED = '42501';

let place: Place;
let owner: Database;
let responder: Database;
let asResponder: string;

beforeAll(async () => {
  place = await makePlace();
  owner = openPostgres({ connectionString: place.connectionString });
  await migrate(owner);
  // The schema `public` is open to everybody's look-ups; this one is the test's own.
  await owner.query(`GRANT USAGE ON SCHEMA ${place.schema} TO sealwright_ocsp`);
  await owner.query(
    `INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, state, recorded_at)
     VALUES ('issuing-1', $1, 'projects/p/secrets/s/versions/1', 'http://p/c', 'http://p/i', 'active', now())`,
    [bytes('issuing')],
  );
  const url = new URL(place.connectionString);
  url.searchParams.set('options', `-c search_path=${place.schema} -c role=sealwright_ocsp`);
  asResponder = url.href;
  responder = openPostgres({ connectionString: asResponder });
});
afterAll(async () => {
  await responder.close();
  await owner.close();
  await place.remove();
});

const tables = async (): Promise<readonly string[]> =>
  (
    await owner.query<{ tablename: string }>(
      'SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename',
    )
  ).map(({ tablename }) => tablename);

const refusal = async (sql: string): Promise<string | undefined> => {
  try {
    await responder.query(sql);
    return undefined;
  } catch (error) {
    return (error as { readonly sqlState?: string }).sqlState ?? String(error);
  }
};

describe('the role sealwright_ocsp', () => {
  it('opens the ledger as the responder does, and reads issuers and answers', async () => {
    const ledger = await openPostgresLedger({ connectionString: asResponder, clock });
    expect(await ledger.ocspIssuers()).toEqual([{ issuerId: 'issuing-1', certificateDer: bytes('issuing') }]);
    expect(await ledger.readOcspAnswer('issuing-1', '0a01', 'sha256')).toBeUndefined();
    await ledger.close();
  });

  it('writes into no table, changes none, empties none and makes none', async () => {
    const names = await tables();
    expect(names.length).toBeGreaterThan(30);
    const written: string[] = [];
    for (const name of names) {
      for (const sql of [
        `DELETE FROM ${name}`,
        `TRUNCATE ${name} CASCADE`,
        `INSERT INTO ${name} DEFAULT VALUES`,
      ]) {
        if ((await refusal(sql)) !== REFUSED) written.push(sql);
      }
      const [may] = await owner.query<{ may: boolean }>(
        `SELECT has_any_column_privilege('sealwright_ocsp', $1::regclass, 'INSERT, UPDATE, REFERENCES')
             OR has_table_privilege('sealwright_ocsp', $1::regclass, 'DELETE, TRUNCATE, TRIGGER') AS may`,
        [name],
      );
      if (may?.may !== false) written.push(name);
    }
    expect(written).toEqual([]);
    expect(await refusal('CREATE TABLE mine ()')).toBe(REFUSED);
  });

  it('reads no table but answers, migrations and three columns of the issuers', async () => {
    const read: string[] = [];
    for (const name of await tables())
      if ((await refusal(`SELECT * FROM ${name} LIMIT 1`)) === undefined) read.push(name);
    expect(read).toEqual(['migrations', 'ocsp_answers']);
    expect(await refusal('SELECT issuer_id, certificate_der, state FROM issuers')).toBeUndefined();
    expect(await refusal('SELECT key_version FROM issuers')).toBe(REFUSED);
  });

  it('may use no sequence', async () => {
    const sequences = await owner.query<{ name: string; may: boolean }>(
      `SELECT sequencename AS name, has_sequence_privilege('sealwright_ocsp', sequencename::regclass, 'USAGE, UPDATE') AS may
         FROM pg_sequences WHERE schemaname = current_schema()`,
    );
    expect(sequences.length).toBeGreaterThan(0);
    expect(sequences.filter(({ may }) => may)).toEqual([]);
  });
});
