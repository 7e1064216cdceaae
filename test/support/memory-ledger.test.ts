import { describe } from 'vitest';
import { guardContract } from '../contract/guard.ts';
import { issuerLifeContract } from '../contract/issuer-life.ts';
import { ledgerContract } from '../contract/ledger.ts';
import { inMemory } from '../contract/subject.ts';
import { sweptTableContract } from '../contract/swept-table.ts';

describe('the ledger in memory, which tests use:', () => {
  ledgerContract(inMemory);
  sweptTableContract(inMemory);
  issuerLifeContract(inMemory);
});

describe('the memory of the guard, in memory,', () => {
  guardContract(inMemory);
});
