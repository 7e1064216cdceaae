import { describe, expect, it } from 'vitest';
import { migrationOf, readMigrations } from '../../shared/adapters/ledger/migrate.ts';
import { migrationContract } from '../contract/migrate.ts';
import { openBareDatabase } from '../support/ledger.ts';

describe('migrating, on PGlite,', () => {
  migrationContract(openBareDatabase);
});

describe('the migrations that are shipped', () => {
  it('are numbered from 1 without a gap', () => {
    const numbers = readMigrations().map((migration) => migration.number);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeGreaterThan(0);
  });

  it('are named by number and purpose, and nothing else is accepted', () => {
    expect(migrationOf('0042-add-shards.sql', '')).toMatchObject({ number: 42, name: '0042-add-shards' });
    for (const name of ['42-add.sql', '0042_add.sql', '0042-Add.sql', '0042-add.sql.bak', 'README.md']) {
      expect(() => migrationOf(name, ''), name).toThrow(/not named like/);
    }
  });
});
