import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbedded } from '../../shared/adapters/ledger/embedded.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

const DAY_MS = 86_400_000;
const START = new Date('2027-03-01T09:00:00.000Z');

describe('an entry of the audit log', () => {
  let ledger: Ledger;
  let now: Date;

  beforeEach(async () => {
    now = START;
    ledger = createLedger({ database: await openEmbedded(), clock: { now: () => now } });
  });
  afterEach(() => ledger.close());

  const goOn = (days: number) => {
    now = new Date(START.getTime() + days * DAY_MS);
  };

  it('whose looks failed has come and is not followed, until it is', async () => {
    await ledger.noteArrivals(['failed']);
    expect(await ledger.followedEntries(['failed', 'never came'])).toEqual([]);
    expect(await ledger.arrivedEntries(['failed', 'never came'])).toEqual(['failed']);
    await ledger.followEntries(['failed']);
    expect(await ledger.followedEntries(['failed', 'never came'])).toEqual(['failed']);
  });

  it('that was followed stays so when it comes again and fails', async () => {
    await ledger.followEntries(['one', 'one', 'two']);
    await ledger.noteArrivals(['one']);
    await ledger.followEntries(['one']);
    expect((await ledger.followedEntries(['one', 'two'])).toSorted()).toEqual(['one', 'two']);
  });

  it('is forgotten ten days after it was followed first, however often it comes', async () => {
    await ledger.followEntries(['one']);
    goOn(9);
    await ledger.followEntries(['one', 'two']);
    goOn(10);
    await ledger.followEntries(['three']);
    expect(await ledger.followedEntries(['one'])).toEqual(['one']);
    goOn(10.1);
    await ledger.followEntries(['three']);
    expect((await ledger.arrivedEntries(['one', 'two', 'three'])).toSorted()).toEqual(['three', 'two']);
  });
});
