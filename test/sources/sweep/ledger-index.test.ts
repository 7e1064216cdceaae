import { describe, expect, it } from 'vitest';
import { DIGEST, LISTED_WORDS } from '../../../shared/domain/listed-users.ts';
import { ID_WORDS, packedIds } from '../../../shared/domain/packed-id.ts';
import type { UserState } from '../../../shared/domain/records.ts';
import { retryable } from '../../../shared/errors.ts';
import { SWEEP_SUBJECT, type SweptMoment, type SweptUser } from '../../../shared/ports/ledger/sweeps.ts';
import {
  DELETED,
  differenceOf,
  type ListedStanding,
  UNPLACED,
} from '../../../shared/sources/sweep/compare.ts';
import { LedgerIndex } from '../../../shared/sources/sweep/ledger-index.ts';
import { packed } from '../../support/fakes/ledger/sweeps.ts';
import { packedAs } from './packed-as.ts';

const user = (userId: string, state: UserState) => packed({ userId, state, ruleName: 'staff' });

const NOW = new Date('2027-03-01T09:00:00Z');
const isNotKept = (error: unknown): never => expect.unreachable(String(error));
const LEASE = { subject: SWEEP_SUBJECT, holder: 'somebody', fence: 1n };

/** A ledger of which nobody kept anything, and what it is given to keep. */
function ledgerOf(packedUsers: SweptMoment['packedUsers']) {
  const kept: unknown[] = [];
  const moment: SweptMoment = {
    name: 'now',
    packedUsers,
    estimateUsers: async () => 0,
    keptTable: async () => undefined,
    keptBytes: async () => undefined,
    changedUsers: async () => expect.unreachable('nothing was kept'),
  };
  const ledger: Parameters<typeof LedgerIndex.load>[0] = {
    atOneMoment: (read) => read(moment),
    keepTable: async (_, name) => {
      kept.push(name);
    },
  };
  return { ledger, kept };
}

const loaded = (parts: readonly Uint8Array[]) =>
  LedgerIndex.load(ledgerOf(async (take) => parts.forEach(take)).ledger, LEASE, NOW, isNotKept);

describe('the table of the ledger’s users', () => {
  it('counts whom the ledger serves, and of them the ready', async () => {
    const index = await loaded([
      Buffer.concat([user('100000000000000000001', 'ready'), user('100000000000000000002', 'pending')]),
      user('100000000000000000003', 'out'),
    ]);
    expect(index.count()).toEqual({ served: 2, ready: 1 });
  });

  it('counts somebody whose row came twice once, as it came last', async () => {
    const index = await loaded([
      user('100000000000000000001', 'ready'),
      user('100000000000000000002', 'ready'),
      user('100000000000000000001', 'out'),
    ]);
    expect(index.count()).toEqual({ served: 1, ready: 1 });
    expect(index.size).toBe(2);
  });

  it('goes on behind a part in which all rows are gone', async () => {
    const index = await loaded([new Uint8Array(0), user('100000000000000000001', 'ready')]);
    expect(index.count()).toEqual({ served: 1, ready: 1 });
  });

  it('finds the difference of everybody that the rows themselves have', async () => {
    const either = [true, false];
    const marks = either.flatMap((hasLeftScope) =>
      either.flatMap((isSuspended) =>
        either.flatMap((isDeleted) =>
          either.flatMap((isArchived) =>
            either.map((isObserved) => ({ hasLeftScope, isSuspended, isDeleted, isArchived, isObserved })),
          ),
        ),
      ),
    );
    const ledgers: readonly (Omit<SweptUser, 'userId'> | undefined)[] = [
      undefined,
      ...(['ready', 'pending', 'blocked', 'leaving', 'out'] as const).flatMap((state) =>
        marks.flatMap((mark) =>
          ['staff', 'others'].flatMap((ruleName) =>
            [{}, { addressDigest: 1 }, { addressDigest: 2 }].map((digest) => ({
              ...{ state, ...mark, ruleName, ...digest },
            })),
          ),
        ),
      ),
    ];
    const users = ledgers.map((row, at) => ({ userId: String(100 + at), row }));
    const index = await loaded(
      users.flatMap(({ userId, row }) => (row === undefined ? [] : [packedAs({ userId, ...row })])),
    );
    const kinds: readonly ListedStanding[] = [
      ...[true, false].flatMap((observes): readonly ListedStanding[] => [
        { kind: 'covered', ruleName: 'staff', observes, isUnsure: false },
        { kind: 'covered', ruleName: 'staff', observes, isUnsure: true },
        { kind: 'suspended', ruleName: 'staff', observes },
      ]),
      { kind: 'outside', last: { isGone: (name) => name === 'others', observes: () => false } },
      { kind: 'outside', last: { isGone: () => false, observes: (name) => name === 'others' } },
      { kind: 'archived', last: { isGone: () => true, observes: (name) => name === 'others' } },
      UNPLACED,
    ];
    const words = new Int32Array(users.length * LISTED_WORDS);
    const ids = packedIds(users.map(({ userId }) => userId));
    for (const [at] of users.entries()) {
      words.set(ids.subarray(at * ID_WORDS, (at + 1) * ID_WORDS), at * LISTED_WORDS);
      words[at * LISTED_WORDS + DIGEST] = 1;
    }
    const found = (standing: ListedStanding) => {
      const standings = new Uint16Array(users.length).fill(kinds.indexOf(standing));
      const listed = { length: users.length, words, standings, kinds, oddIds: new Map<number, string>() };
      return standing === DELETED ? index.suspectedDeleted(ids) : index.suspects(listed);
    };
    for (const standing of [...kinds, DELETED]) {
      const expected = users.flatMap(({ userId, row }, position) => {
        const known = row === undefined ? undefined : { userId, ...row };
        const difference = differenceOf(standing, known, standing === DELETED ? undefined : 1);
        return difference === undefined ? [] : [{ position, difference }];
      });
      expect(found(standing), standing.kind).toEqual(expected);
    }
  });

  it('is not made, and not kept, of a ledger of which a part could not be read', async () => {
    const { ledger, kept } = ledgerOf(async (take) => {
      take(user('100000000000000000001', 'ready'));
      throw retryable('ledger-unavailable', 'The ledger is gone.');
    });
    await expect(LedgerIndex.load(ledger, LEASE, NOW, isNotKept)).rejects.toThrow('The ledger is gone.');
    expect(kept).toEqual([]);
  });
});
