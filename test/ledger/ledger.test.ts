import { describe } from 'vitest';
import { deviceKeyContract } from '../contract/device-keys.ts';
import { guardContract } from '../contract/guard.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { inSql } from '../contract/subject.ts';
import { openTestDatabase } from '../support/ledger.ts';

describe('the ledger, on PGlite:', () => {
  ledgerContract(inSql(openTestDatabase));
  deviceKeyContract(openTestDatabase);
});

describe('the memory of the guard, on PGlite,', () => {
  guardContract(inSql(openTestDatabase));
});
