import { describe } from 'vitest';
import { guardContract } from '../contract/guard.ts';
import { issuerLifeContract } from '../contract/issuer-life.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { inMemory } from '../contract/subject.ts';

describe('the ledger in memory, which tests use:', () => {
  ledgerContract(inMemory);
  issuerLifeContract(inMemory);
});

describe('the memory of the guard, in memory,', () => {
  guardContract(inMemory);
});
