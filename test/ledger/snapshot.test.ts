import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { databaseOf, openEmbedded } from '../../shared/adapters/ledger/embedded.ts';
import { migrate, readMigrations, SCHEMA_NUMBER } from '../../shared/adapters/ledger/migrate.ts';
import { snapshotFile } from '../../shared/adapters/ledger/snapshot.ts';
import { schemaOf } from '../support/schema.ts';

describe('the prepared snapshot', () => {
  let prepared: Database;
  let made: Database;

  beforeAll(async () => {
    prepared = await openEmbedded();
    // A cluster of its own from nothing: the slow start that the snapshot replaces.
    made = databaseOf(await PGlite.create());
    await migrate(made);
  });
  afterAll(async () => {
    await prepared.close();
    await made.close();
  });

  it('holds exactly the schema that the migrations make (if not: node shared/adapters/ledger/build-snapshot.ts)', async () => {
    const schema = await schemaOf(made);
    expect(schema.length).toBeGreaterThan(100);
    expect(await schemaOf(prepared)).toEqual(schema);
  });

  it('remembers each migration with its checksum, so that later ones apply on top', async () => {
    const applied = 'SELECT number, name, sha256_hex FROM migrations ORDER BY number';
    expect(await prepared.query(applied)).toEqual(
      readMigrations().map(({ number, name, sha256Hex }) => ({ number, name, sha256_hex: sha256Hex })),
    );
    expect(await migrate(prepared)).toEqual([]);
  });

  it('holds no data', async () => {
    const tables = await prepared.query<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'`,
    );
    for (const { tablename } of tables) {
      expect(await prepared.query(`SELECT count(*)::int AS rows FROM ${tablename}`), tablename).toEqual([
        { rows: 0 },
      ]);
    }
  });

  it('was made by the PostgreSQL that this PGlite is', async () => {
    const version = 'SELECT version() AS version';
    expect(await prepared.query(version)).toEqual(await made.query(version));
  });

  it('is small enough to be kept beside the code', () => {
    expect(readFileSync(snapshotFile).length).toBeLessThan(2_500_000);
  });

  it('goes with a number in the code that says which migration it needs', () => {
    expect(readMigrations().length).toBe(SCHEMA_NUMBER);
  });
});
