import { describe } from 'vitest';
import { issuerLifeContract } from '../contract/issuer-life.ts';
import { inSql } from '../contract/subject.ts';
import { openTestDatabase } from '../support/ledger.ts';

describe('the ledger, on PGlite:', () => {
  issuerLifeContract(inSql(openTestDatabase));
});
