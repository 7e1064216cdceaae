import { describe } from 'vitest';
import { deviceKeyContract } from '../contract/device-keys.ts';
import { guardContract } from '../contract/guard.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { ocspContract } from '../contract/ocsp.ts';
import { paceContract } from '../contract/paces.ts';
import { peopleContract } from '../contract/people.ts';
import { inSql } from '../contract/subject.ts';
import { trailContract } from '../contract/trail.ts';
import { openTestDatabase } from '../support/ledger.ts';

describe('the ledger, on PGlite:', () => {
  ledgerContract(inSql(openTestDatabase));
  deviceKeyContract(openTestDatabase);
  ocspContract(openTestDatabase);
  peopleContract(openTestDatabase);
  trailContract(openTestDatabase);
});

describe('the memory of the guard, on PGlite,', () => {
  guardContract(inSql(openTestDatabase));
});

describe('a quota that instances share, on PGlite,', () => {
  paceContract(openTestDatabase);
});
