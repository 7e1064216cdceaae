import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { retryable } from '../../../shared/errors.ts';
import type { SweepDeps } from '../../../shared/sources/sweep/context.ts';
import { POLICY } from '../../support/fakes/world.ts';
import { type Company, openCompany } from './company.ts';

let company: Company;
beforeEach(async () => {
  company = await openCompany();
});
afterEach(() => company.close());

const GROUP = 'pilots';
const [RULE] = POLICY.rules;
if (RULE === undefined) throw new Error('The policy has no rule.');
const OF_GROUP = {
  ...POLICY,
  rules: [{ ...RULE, scope: { kind: 'group', address: GROUP, groupId: GROUP } } as typeof RULE],
};
const UNITS = [
  { orgUnitId: 'id:/', path: '/' },
  { orgUnitId: 'id:/Staff', path: '/Staff', parentId: 'id:/' },
];

/** Ten people, of whom the first seven are in the group, three to a page of members. */
async function pilots(): Promise<void> {
  for (let id = 1; id <= 10; id += 1) await company.employ(String(id));
  company.directory.members.set(GROUP, new Set(['1', '2', '3', '4', '5', '6', '7']));
  company.clock.advance(1000);
}

/** Each page of members takes so long. */
function slow(pageMs: number) {
  const asked: string[] = [];
  let nowMs = 0;
  const deps = (changes: Partial<SweepDeps> = {}): Partial<SweepDeps> => ({
    policy: OF_GROUP,
    elapsedMs: () => nowMs,
    ...changes,
    directory: {
      ...company.directory,
      orgUnits: async () => UNITS,
      membersPage: async (request) => {
        asked.push(request.pageToken ?? 'first');
        nowMs += pageMs;
        company.clock.advance(pageMs);
        return await company.directory.membersPage(request);
      },
      ...changes.directory,
    },
  });
  return { asked, deps };
}

const running = async () => (await company.ledger.sweepOverview()).running;
const LEFT = ['10 left-scope', '8 left-scope', '9 left-scope'];

describe('a sweep under a rule for a group', () => {
  it('hints at those who are not in it any more, and writes nothing down of a group that is read in seconds', async () => {
    await pilots();
    const written: string[] = [];
    const ledger = new Proxy(company.ledger, {
      get(target, name) {
        if (name === 'recordGroupReading') written.push(name);
        return Reflect.get(target, name);
      },
    });
    expect(await company.sweep(slow(1).deps({ ledger }))).toEqual(LEFT);
    expect(written).toEqual([]);
  });

  it('goes on in the next invocation where the time was over, asks for no page twice, and says how far it is', async () => {
    await pilots();
    const { asked, deps } = slow(100);
    expect(await company.sweep(deps({ budgetMs: 50 }))).toEqual([]);
    expect(await running()).toMatchObject({
      ...{ pages: 0, living: 0 },
      groups: [{ groupId: GROUP, pageToken: '3', members: 3 }],
    });
    expect(await company.sweep(deps({ budgetMs: 50 }))).toEqual([]);
    expect((await running())?.groups).toMatchObject([{ pageToken: '6', members: 6 }]);
    expect(await company.sweep(deps({ budgetMs: 150 }))).toEqual(LEFT);
    expect(asked).toEqual(['first', '3', '6']);
    expect((await company.ledger.sweepOverview()).lastWhole).toMatchObject({ living: 10, differing: 3 });
    expect(await company.database.query('SELECT 1 FROM sweep_members')).toEqual([]);
  });

  it('keeps its lease however long the members take', async () => {
    await pilots();
    const { deps } = slow(100_000);
    expect(await company.sweep(deps({ budgetMs: 1_000_000 }))).toEqual(LEFT);
  });

  it('concludes nothing from a group that is not read to its end', async () => {
    await pilots();
    const { deps } = slow(100);
    const failing = deps({
      directory: {
        ...deps().directory,
        membersPage: async (request) => {
          if (request.pageToken === '6') throw retryable('directory-unavailable', 'It answered 503.');
          return await company.directory.membersPage(request);
        },
      } as SweepDeps['directory'],
    });
    expect(await company.sweep(failing)).toEqual([]);
    expect(await running()).toMatchObject({ pages: 0, failures: 1, why: 'It answered 503.' });
    expect(await company.sweep(deps())).toEqual(LEFT);
  });

  it('begins anew where the token of the next page of members is no longer taken', async () => {
    await pilots();
    const { asked, deps } = slow(100);
    await company.sweep(deps({ budgetMs: 50 }));
    const expired = deps({
      directory: {
        ...deps().directory,
        membersPage: async () => {
          throw retryable('page-token-expired', 'Its token is no longer taken.');
        },
      } as SweepDeps['directory'],
    });
    expect(await company.sweep(expired)).toEqual([]);
    expect(await running()).toMatchObject({ passes: 2 });
    expect((await running())?.groups).toBeUndefined();
    expect(await company.sweep(deps())).toEqual(LEFT);
    expect(asked).toEqual(['first', 'first', '3', '6']);
  });

  it('takes everybody who is listed for a member of a group that holds the whole company', async () => {
    await pilots();
    const { deps } = slow(100);
    const everybody = (budgetMs: number) =>
      deps({
        budgetMs,
        directory: {
          ...deps().directory,
          membersPage: async (request) => ({
            ...(await company.directory.membersPage(request)),
            holdsEverybody: request.pageToken === undefined,
          }),
        } as SweepDeps['directory'],
      });
    expect(await company.sweep(everybody(60_000))).toEqual([]);
    company.directory.put({ userId: '11', orgUnitPath: '/Elsewhere' });
    expect((await company.ledger.sweepOverview()).lastWhole).toMatchObject({ differing: 0 });
  });
});

describe('the memberships of a million users', () => {
  it('take 48 bytes each at most, and say of everybody in which groups they are', () => {
    // A process of its own, whose memory nothing else takes.
    const program = `
      import { Memberships } from ${JSON.stringify(new URL('../../../shared/sources/sweep/memberships.ts', import.meta.url).href)};
      import { packIdText } from ${JSON.stringify(new URL('../../../shared/domain/packed-id.ts', import.meta.url).href)};
      const count = 1_000_000;
      const idOf = (index) => String(100000000000000000000n + BigInt(index) * 7919n);
      const idsOf = (step) => {
        const words = new Int32Array(Math.ceil(count / step) * 3);
        for (let index = 0; index < count; index += step) packIdText(idOf(index), words, (index / step) * 3);
        return words;
      };
      const [all, third] = [idsOf(1), idsOf(3)];
      const before = process.memoryUsage().arrayBuffers;
      const members = new Memberships();
      members.add(all, 'all');
      members.add(third, 'third');
      members.add(third, 'third');
      // What is collected is given back by another thread, a moment later.
      let bytes = Infinity;
      for (let tries = 0; tries < 50 && bytes >= 48 * count; tries += 1) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        bytes = process.memoryUsage().arrayBuffers - before;
      }
      const groups = (id) => [...members.groupsOf(members.numberOfId(id))].join();
      let wrong = 0;
      const numbers = members.numbersOf(all, 3, count);
      for (let index = 0; index < count; index += 97) {
        if (groups(idOf(index)) !== (index % 3 === 0 ? 'all,third' : 'all')) wrong += 1;
        if (numbers[index] !== members.numberOfId(idOf(index))) wrong += 1;
      }
      for (let index = count; index < count + 1000; index += 1) if (groups(idOf(index)) !== '') wrong += 1;
      console.log(JSON.stringify({ size: members.size, perMember: bytes / count, wrong }));
    `;
    const answer = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    const { size, perMember, wrong } = JSON.parse(answer) as Record<string, number>;
    expect({ size, wrong }).toEqual({ size: 1_000_000, wrong: 0 });
    expect(perMember).toBeLessThan(48);
  });
});
