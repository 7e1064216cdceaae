import { describe } from 'vitest';
import { ledgerContract } from '../contract/ledger.ts';
import { migrationContract } from '../contract/migrate.ts';
import { openBarePostgres, openTestPostgres } from './support.ts';

describe('the ledger, on PostgreSQL:', () => {
  ledgerContract(openTestPostgres);
});

describe('migrating, on PostgreSQL,', () => {
  migrationContract(openBarePostgres);
});
