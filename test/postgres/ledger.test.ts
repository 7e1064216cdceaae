import { describe } from 'vitest';
import { deviceKeyContract } from '../contract/device-keys.ts';
import { erasureContract } from '../contract/erasures.ts';
import { guardContract } from '../contract/guard.ts';
import { importedKeyContract } from '../contract/imported-keys.ts';
import { issuerLifeContract } from '../contract/issuer-life.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { migrationContract } from '../contract/migrate.ts';
import { ocspContract } from '../contract/ocsp.ts';
import { paceContract } from '../contract/paces.ts';
import { peopleContract } from '../contract/people.ts';
import { inSql } from '../contract/subject.ts';
import { sweptTableContract } from '../contract/swept-table.ts';
import { trailContract } from '../contract/trail.ts';
import { openBarePostgres, openTestPostgres } from './support.ts';

describe('the ledger, on PostgreSQL:', () => {
  ledgerContract(inSql(openTestPostgres));
  sweptTableContract(inSql(openTestPostgres));
  deviceKeyContract(openTestPostgres);
  importedKeyContract(openTestPostgres);
  erasureContract(openTestPostgres);
  ocspContract(openTestPostgres);
  peopleContract(openTestPostgres);
  trailContract(openTestPostgres);
});

describe('the ledger, on PostgreSQL:', () => {
  issuerLifeContract(inSql(openTestPostgres));
});

describe('the memory of the guard, on PostgreSQL,', () => {
  guardContract(inSql(openTestPostgres));
});

describe('migrating, on PostgreSQL,', () => {
  migrationContract(openBarePostgres);
});

describe('a quota that instances share, on PostgreSQL,', () => {
  paceContract(openTestPostgres);
});
