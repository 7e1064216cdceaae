import { describe, expect, it } from 'vitest';
import type { UserState } from '../../../shared/domain/records.ts';
import { retryable } from '../../../shared/errors.ts';
import { LedgerIndex } from '../../../shared/sources/sweep/ledger-index.ts';
import { packed } from '../../support/fakes/ledger/sweeps.ts';

const user = (userId: string, state: UserState) => packed({ userId, state, ruleName: 'staff' });

const loaded = (pieces: readonly (readonly Uint8Array[])[]) =>
  LedgerIndex.load({
    packedUsers: async (piece) => pieces[piece],
    estimateUsers: async () => 0,
  });

describe('the table of the ledger’s users', () => {
  it('counts whom the ledger serves, and of them the ready', async () => {
    const index = await loaded([
      [user('100000000000000000001', 'ready'), user('100000000000000000002', 'pending')],
      [user('100000000000000000003', 'out')],
    ]);
    expect(index.count()).toEqual({ served: 2, ready: 1 });
  });

  it('counts somebody whose row came twice once, as it came last', async () => {
    const index = await loaded([
      [user('100000000000000000001', 'ready'), user('100000000000000000002', 'ready')],
      [user('100000000000000000001', 'out')],
    ]);
    expect(index.count()).toEqual({ served: 1, ready: 1 });
    expect(index.size).toBe(2);
  });

  it('goes on behind a piece in which all rows are gone', async () => {
    const index = await loaded([[new Uint8Array(0)], [], [user('100000000000000000001', 'ready')]]);
    expect(index.knownAs('100000000000000000001')).toMatchObject({ state: 'ready', ruleName: 'staff' });
  });

  it('is not made of a ledger of which a piece could not be read', async () => {
    const broken = LedgerIndex.load({
      packedUsers: async (piece) => {
        if (piece === 1) throw retryable('ledger-unavailable', 'The ledger is gone.');
        return piece === 0 ? [user('100000000000000000001', 'ready')] : undefined;
      },
      estimateUsers: async () => 0,
    });
    await expect(broken).rejects.toThrow('The ledger is gone.');
  });
});
