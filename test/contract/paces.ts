/**
 * What the ledger promises those who share a quota of Google's. Run by `test/ledger` on PGlite and by `test/postgres` on
 * PostgreSQL. Its waits are counted, not waited: bookings follow each other within milliseconds.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

/** One unit each ten seconds, so that what is earned while the test runs does not matter. */
const SLOW = { pace: 'slow', unitsPerMinute: 6, burstUnits: 3, maxWaitMs: 60_000 };
const UNIT_MS = 10_000;

export const paceContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;

  beforeEach(async () => {
    database = await open();
    ledger = createLedger({ database, clock: { now: () => new Date('2027-03-01T09:00:00Z') } });
  });
  afterEach(() => database.close());

  const book = (units: number, changes: Partial<typeof SLOW> = {}) =>
    ledger.bookPace({ ...SLOW, ...changes, units });
  const units = (waitMs: number | undefined) =>
    waitMs === undefined ? 'none' : Math.round(waitMs / UNIT_MS);

  it('lets a burst through at once and each unit after it when it is earned', async () => {
    const waits = [];
    for (let booking = 0; booking < 6; booking += 1) waits.push(units(await book(1)));
    expect(waits).toEqual([0, 0, 0, 1, 2, 3]);
  });

  it('counts a booking of several units as several, and books nothing where the wait would be too long', async () => {
    expect(units(await book(3))).toBe(0);
    expect(units(await book(7))).toBe('none');
    expect(units(await book(6)), 'the refused one took nothing').toBe(6);
    expect(units(await book(1))).toBe('none');
  });

  it('refuses a first booking too that would have to wait too long', async () => {
    expect(units(await book(10))).toBe('none');
    expect(units(await book(3))).toBe(0);
  });

  it('keeps one quota apart from another', async () => {
    expect(units(await book(6))).toBe(3);
    expect(units(await book(1, { pace: 'another' }))).toBe(0);
  });

  it('keeps everybody waiting when one was told to wait, and never shortens a wait', async () => {
    await ledger.holdPace('slow', 5 * UNIT_MS);
    await ledger.holdPace('slow', UNIT_MS);
    expect(units(await book(1))).toBe(3);
    await ledger.holdPace('slow', UNIT_MS);
    expect(units(await book(1))).toBe(4);
  });

  it('gives each unit once to many who ask at the same time', async () => {
    const waits = await Promise.all(Array.from({ length: 8 }, () => book(1)));
    expect(waits.map(units).toSorted()).toEqual([0, 0, 0, 1, 2, 3, 4, 5]);
  });
};
