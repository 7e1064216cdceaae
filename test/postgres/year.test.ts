/** A short year on a real PostgreSQL; `node test/campaign/year.ts` lives through the long one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runYear, type YearResult } from '../campaign/year/run.ts';
import { makePlace, type Place } from './place.ts';

/** Kept: a run that goes wrong can be had again. Fresh seeds are for the campaign. */
const SEED = 4;
const PEOPLE = 20;
const DAYS = 30;

describe('a company of twenty people, after thirty days', { timeout: 900_000 }, () => {
  let place: Place;
  let result: YearResult;

  beforeAll(async () => {
    place = await makePlace();
    result = await runYear({
      seed: SEED,
      people: PEOPLE,
      days: DAYS,
      databaseUrl: place.connectionString,
      ownKeys: true,
      progress: () => undefined,
    });
  }, 900_000);

  afterAll(() => place.remove());

  it('has everybody, mailbox, ledger, CRL and old mail as the model says', () => {
    expect(result.problems).toEqual([]);
    expect(result.people).toBeGreaterThan(PEOPLE);
    expect(result.certificates).toBeGreaterThan(2 * PEOPLE);
  });

  it('has an audit trail with a signed checkpoint for each day', () => {
    expect(result.checkpoints).toBeGreaterThanOrEqual(DAYS);
    expect(result.auditEntries).toBeGreaterThan(10 * PEOPLE);
  });
});
