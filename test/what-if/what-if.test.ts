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

const PAGE = 500;

/** A directory of so many, 500 a page. */
const listing = (users: number) =>
  ({
    fullPage: async ({ pageToken = '0' }) => {
      const start = Number(pageToken);
      const end = Math.min(users, start + PAGE);
      return {
        users: Array.from({ length: end - start }, (_, at) => user(start + at)),
        ...(end < users ? { nextPageToken: String(end) } : {}),
      };
    },
  }) as never;

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
        directory: listing(3_700),
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
        directory: listing(3_700),
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
          fullPage: async () => ({ users: [user(1)] }),
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
      { kind: 'named-since', since: NOW },
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
          fullPage: async ({ pageToken = '0' }) => {
            while (performance.now() - began < 50) await new Promise((resolve) => setTimeout(resolve, 10));
            if (Number(pageToken) > 10) throw new Error('It goes on reading.');
            return { users: [user(Number(pageToken))], nextPageToken: String(Number(pageToken) + 1) };
          },
        } as never,
        ledger: { issuers: async () => [], auditTrail: async () => [], passedOver: async () => [] } as never,
        clock: { now: () => NOW },
        forecastWithinMs: 30,
      },
      { before: undefined, draft: DRAFT },
      { kind: 'named-since', since: NOW },
    );
    await expect(answer).rejects.toMatchObject({ code: 'request-too-large' });
  });

  it('in parts answers for a page at least, says where the next part begins, and leaves nobody out', async () => {
    const deps = {
      directory: listing(1_700),
      ledger: {
        issuers: async () => [],
        readUsers: async (userIds: readonly string[]) => userIds.map(() => UNKNOWN_USER),
        coveredByUnit: async () => new Map(),
      } as never,
      clock: { now: () => NOW },
      forecastWithinMs: 0,
    };
    const drafts = { before: undefined, draft: DRAFT };
    const seen: string[] = [];
    const parts: number[] = [];
    let from: string | undefined;
    do {
      const part = await whatIf(deps, drafts, { kind: 'part', ...(from === undefined ? {} : { from }) });
      parts.push(part.users);
      seen.push(...part.forecasts.map(({ userId }) => userId));
      from = part.next;
    } while (from !== undefined);
    expect(parts).toEqual([500, 500, 500, 200]);
    expect(seen).toEqual(
      Array.from({ length: 1_700 }, (_, index) => String(index)).filter((userId) => Number(userId) % 3 !== 0),
    );
    await expect(whatIf(deps, drafts)).rejects.toMatchObject({ code: 'request-too-large' });
  });

  it('is given up where the pages go round in a circle', async () => {
    let pages = 0;
    const answer = whatIf(
      {
        directory: {
          fullPage: async () => {
            pages += 1;
            if (pages > 9) throw new Error('It goes on reading.');
            return { users: [user(pages)], nextPageToken: String(pages % 2) };
          },
        } as never,
        ledger: { issuers: async () => [], readUsers: async () => [UNKNOWN_USER] } as never,
        clock: { now: () => NOW },
      },
      { before: undefined, draft: DRAFT },
    );
    await expect(answer).rejects.toMatchObject({ code: 'directory-unavailable' });
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
