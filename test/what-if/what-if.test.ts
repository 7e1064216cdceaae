/** A draft compared for more users than one page holds, and more than an answer shows. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parsePolicy } from '../../shared/config/policy.ts';
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import { UNKNOWN_USER, type UserLedger } from '../../shared/domain/records.ts';
import { tally } from '../../shared/what-if/tally.ts';
import { type UserForecast, whatIf } from '../../shared/what-if/what-if.ts';

const DRAFT = parsePolicy(
  'version: 1\nrules:\n  - { name: staff, orgUnit: /Staff, keyService: https://kacls.acme.example }\n',
  'policy.yaml',
);
const NOW = new Date('2027-03-01T09:00:00.000Z');

const user = (index: number): DirectoryUser => ({
  ...{ userId: String(index), primaryEmail: `u${String(index).padStart(6, '0')}@acme.example`, aliases: [] },
  ...{
    orgUnitPath: index % 3 === 0 ? '/Elsewhere' : '/Staff',
    suspended: false,
    archived: false,
    mailboxReady: true,
  },
});

/** How large any set or map of the process became since. */
function largestKept(): () => number {
  let largest = 0;
  const { add } = Set.prototype;
  vi.spyOn(Set.prototype, 'add').mockImplementation(function (this: Set<unknown>, value) {
    add.call(this, value);
    largest = Math.max(largest, this.size);
    return this;
  });
  const { set } = Map.prototype;
  vi.spyOn(Map.prototype, 'set').mockImplementation(function (this: Map<unknown, unknown>, key, value) {
    set.call(this, key, value);
    largest = Math.max(largest, this.size);
    return this;
  });
  return () => largest;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a what-if', () => {
  it('of many users reads a few hundred of the ledger at a time, counts everybody once, and shows so many', async () => {
    const asked: number[] = [];
    const answer = await whatIf(
      {
        directory: {
          async *usersUnder() {
            for (let index = 0; index < 3_700; index += 1) yield user(index);
          },
        } as never,
        ledger: {
          issuers: async () => [],
          readUsers: async (userIds: readonly string[]): Promise<readonly UserLedger[]> => {
            asked.push(userIds.length);
            return userIds.map(() => UNKNOWN_USER);
          },
          coveredByUnit: async () => new Map(),
        } as never,
        clock: { now: () => NOW },
      },
      { before: undefined, draft: DRAFT },
    );
    expect(asked).toEqual([...Array(7).fill(500), 200]);
    expect(answer).toMatchObject({
      users: 3_700,
      changes: { joins: 2_466, unchanged: 1_234 },
      coveredByRule: { staff: 2_466 },
      steps: { 'make-key': 2_466 },
      notShown: 466,
    });
    expect(answer.forecasts).toHaveLength(2_000);
  });

  it('keeps nothing of those whom it compared', async () => {
    const largest = largestKept();
    const answer = await whatIf(
      {
        directory: {
          async *usersUnder() {
            for (let index = 0; index < 3_700; index += 1) yield user(index);
          },
        } as never,
        ledger: {
          issuers: async () => [],
          readUsers: async (userIds: readonly string[]) => userIds.map(() => UNKNOWN_USER),
          coveredByUnit: async () => new Map(),
        } as never,
        clock: { now: () => NOW },
      },
      { before: undefined, draft: DRAFT },
    );
    expect(answer.users).toBe(3_700);
    expect(largest()).toBeLessThan(1_000);
  });

  it('compares like the others whom an event named and no page of the list held, and tells apart who is nowhere', async () => {
    const event = { at: NOW, source: 'audit', event: 'MOVE_USER' };
    const answer = await whatIf(
      {
        directory: {
          async *usersUnder() {
            yield user(1);
          },
          presence: async (userId: string) =>
            userId === '2' ? { kind: 'present', user: user(2) } : { kind: 'absent', userId },
        } as never,
        ledger: {
          issuers: async () => [],
          auditTrail: async () => [],
          passedOver: async () => ['1', '2', '4'].map((userId) => ({ userId, ...event })),
          readUsers: async (userIds: readonly string[]) => userIds.map(() => UNKNOWN_USER),
          coveredByUnit: async () => new Map(),
        } as never,
        clock: { now: () => NOW },
      },
      { before: undefined, draft: DRAFT },
      NOW,
    );
    expect(answer).toMatchObject({ users: 2, changes: { joins: 2 }, coveredByRule: { staff: 2 } });
    expect(answer.forecasts.map(({ userId }) => userId)).toEqual(['1', '2']);
    expect(answer.notKnown.filter((sentence) => sentence.includes('in no list'))).toEqual([
      'One whom an event named is in no list of the directory any more, and nothing is said of them.',
    ]);
  });

  it('ends when its time is over, also while nobody it asks about was met', async () => {
    const began = performance.now();
    const answer = whatIf(
      {
        directory: {
          async *usersUnder() {
            for (let index = 0; ; index += 1) {
              while (performance.now() - began < 50) await new Promise((resolve) => setTimeout(resolve, 10));
              if (index > 10) throw new Error('It goes on reading.');
              yield user(index);
            }
          },
        } as never,
        ledger: { issuers: async () => [], auditTrail: async () => [], passedOver: async () => [] } as never,
        clock: { now: () => NOW },
        forecastWithinMs: 30,
      },
      { before: undefined, draft: DRAFT },
      NOW,
    );
    await expect(answer).rejects.toMatchObject({ code: 'request-too-large' });
  });

  it('shows leavers however many join before them, and measures them against who is covered where', () => {
    const forecast = (name: string, change: UserForecast['change'], departs: boolean): UserForecast => ({
      ...{ userId: name, user: name, orgUnit: '/', change, departs, reason: 'as told', steps: [] },
    });
    const sums = tally(DRAFT, 2);
    for (const name of ['e', 'd', 'c', 'b']) sums.add(forecast(name, 'joins', false), undefined);
    for (const name of ['a', 'f', 'g', 'h', 'i', 'j'])
      sums.add(forecast(name, 'leaves', true), '/staff/sales');
    const { forecasts, notShown, guard } = sums.sum(
      new Map([
        ['/staff/sales', 30],
        ['/staff', 100],
        ['', 70],
      ]),
    );
    expect(forecasts.map((entry) => entry.user)).toEqual(['a', 'd', 'e', 'f']);
    expect(notShown).toBe(6);
    expect(guard).toEqual([
      { scope: 'tenant', covered: 200, departing: 6, limit: 10, held: false },
      { scope: 'unit:/staff', covered: 130, departing: 6, limit: 6, held: false },
      { scope: 'unit:/staff/sales', covered: 30, departing: 6, limit: 5, held: true },
    ]);
  });
});
