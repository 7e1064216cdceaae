import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { retryable } from '../../../shared/errors.ts';
import { ACCEPT_SHRUNK } from '../../../shared/sources/sweep/context.ts';
import { DAY_MS, HOUR_MS, POLICY } from '../../support/fakes/world.ts';
import { type Company, openCompany } from './company.ts';

let company: Company;
beforeEach(async () => {
  company = await openCompany();
});
afterEach(() => company.close());

const overview = () => company.ledger.sweepOverview();

/** Ten people of staff, all of them in order. */
async function staff(count = 10): Promise<void> {
  for (let id = 1; id <= count; id += 1) await company.employ(String(id));
  company.clock.advance(1000);
}

describe('a sweep', () => {
  it('hints at nobody while directory and ledger agree, and is whole', async () => {
    await staff();
    expect(await company.sweep()).toEqual([]);
    expect((await overview()).lastWhole).toMatchObject({
      state: 'whole',
      pages: 5,
      living: 10,
      deleted: 0,
      differing: 0,
      missing: 0,
      passes: 1,
    });
  });

  it('hints at exactly those who differ, and says how', async () => {
    await staff();
    const { directory } = company;
    directory.put({ userId: '2', orgUnitPath: '/Contractors' });
    directory.put({ userId: '3', suspended: true });
    directory.put({ userId: '4', archived: true });
    directory.put({ userId: '5', primaryEmail: 'married@acme.example' });
    directory.put({ userId: '6', aliases: ['other@acme.example'] });
    directory.remove('7');
    directory.put({ userId: '20' });
    directory.put({ userId: '21', orgUnitPath: '/Contractors' });
    await company.sight('8', 'out');
    await company.sight('9', 'blocked');
    expect(await company.sweep()).toEqual([
      '2 left-scope',
      '20 came-into-scope',
      '3 suspended',
      '4 left-scope',
      '5 addresses-changed',
      '6 addresses-changed',
      '7 deleted',
      '8 came-into-scope',
    ]);
    expect((await overview()).lastWhole?.differing).toBe(8);
  });

  it('hints at whoever another rule covers now', async () => {
    await staff(2);
    const [rule] = POLICY.rules;
    if (rule === undefined) throw new Error('The policy has no rule.');
    const policy = { ...POLICY, rules: [{ ...rule, name: 'employees' }] };
    expect(await company.sweep({ policy })).toEqual(['1 rule-changed', '2 rule-changed']);
  });

  it('compares again whom it suspects, with the row as it is by then, once its table is ten seconds old', async () => {
    await staff(2);
    const { directory } = company;
    directory.put({ userId: '1', primaryEmail: 'married@acme.example' });
    directory.put({ userId: '2', primaryEmail: 'also@acme.example' });
    let nowMs = 0;
    const hints = await company.sweep({
      elapsedMs: () => nowMs,
      directory: {
        ...directory,
        deletedPage: async (request) => {
          nowMs += 10_001;
          await company.sight('1');
          return await directory.deletedPage(request);
        },
      },
    });
    expect(hints).toEqual(['2 addresses-changed']);
    expect((await overview()).lastWhole).toMatchObject({ differing: 1 });
  });

  it('says of whom it suspected what it could not say the first time', async () => {
    await staff(2);
    company.directory.put({ userId: '1', suspended: true });
    const away = { publishHints: () => Promise.reject(retryable('bus-unavailable', 'Not now.')) };
    expect(await company.sweep({ bus: away })).toEqual([]);
    expect((await overview()).running).toMatchObject({ failures: 1, why: 'Not now.', pages: 0 });
    expect(await company.sweep()).toEqual(['1 suspended']);
    expect((await overview()).lastWhole).toMatchObject({ differing: 1, living: 2, missing: 0 });
  });

  it('begins every six hours and not before', async () => {
    await company.sweep();
    company.clock.advance(6 * HOUR_MS - 1);
    await company.sweep();
    const first = (await overview()).lastWhole?.sweepId;
    company.clock.advance(1);
    await company.sweep();
    expect((await overview()).lastWhole?.sweepId).not.toBe(first);
  });

  it('does nothing while another one is at work', async () => {
    await company.ledger.acquireLease('job:sweep', 60_000);
    company.directory.put({ userId: '1' });
    expect(await company.sweep()).toEqual([]);
    expect((await overview()).lastEnded).toBeUndefined();
  });
});

describe('a sweep that runs out of time', () => {
  it('goes on where it was, and reads no page twice', async () => {
    await staff();
    company.directory.put({ userId: '11' });
    const asked: (string | undefined)[] = [];
    const directory = {
      ...company.directory,
      livingPage: (request: { orgUnitPath: string; pageToken?: string }) => {
        asked.push(request.pageToken);
        return company.directory.livingPage(request);
      },
    };
    for (let ticks = 0; (await overview()).lastEnded === undefined; ticks += 1) {
      if (ticks > 10) throw new Error('The sweep does not end.');
      // A clock that moves with each page: there is time for one.
      const begunMs = asked.length;
      await company.sweep({ directory, budgetMs: 1, elapsedMs: () => asked.length - begunMs });
    }
    expect(asked).toEqual([undefined, '3', '6', '9']);
    expect((await overview()).lastWhole).toMatchObject({ living: 11, missing: 0, differing: 1 });
  });

  it('misses nobody whom an earlier invocation saw', async () => {
    await staff(6);
    await company.sweep();
    company.clock.advance(6 * HOUR_MS);
    let pages = 0;
    const directory = {
      ...company.directory,
      livingPage: (request: { orgUnitPath: string; pageToken?: string }) => {
        pages += 1;
        if (pages === 2) throw retryable('directory-unavailable', 'Not now.');
        return company.directory.livingPage(request);
      },
    };
    await company.sweep({ directory });
    expect((await overview()).running).toMatchObject({ failures: 1, why: 'Not now.' });
    await company.sweep();
    expect((await overview()).lastWhole).toMatchObject({ living: 6, missing: 0 });
    expect((await overview()).running).toBeUndefined();
  });

  it('begins the list anew when its page token has expired, and gives up after three passes', async () => {
    await staff(4);
    const directory = {
      ...company.directory,
      livingPage: (request: { orgUnitPath: string; pageToken?: string }) => {
        if (request.pageToken !== undefined) throw retryable('page-token-expired', 'Too old.');
        return company.directory.livingPage(request);
      },
    };
    await company.sweep({ directory });
    expect((await overview()).running).toMatchObject({ passes: 2, living: 0 });
    await company.sweep({ directory });
    await company.sweep({ directory });
    expect((await overview()).lastEnded).toMatchObject({ state: 'not-whole' });
    expect((await overview()).lastEnded?.why).toMatch(/3 passes.*Too old/);
    expect((await overview()).lastWhole).toBeUndefined();
  });
});

describe('a user in no list', () => {
  const absence = async (userId: string) => (await company.ledger.readUser(userId)).absence;

  it('has ended when the hints at the missing are lost, and the next one sends them again', async () => {
    await staff();
    company.directory.forget('7');
    const bus = {
      publishHints: async (hints: readonly unknown[]) => {
        if (hints.length > 0) throw retryable('bus-unavailable', 'Pub/Sub is away.');
      },
    };
    await company.sweep({ bus });
    expect((await overview()).lastEnded).toMatchObject({ state: 'whole', missing: 1 });
    expect(company.log.of('hint-not-sent')).toHaveLength(1);
    expect(await company.nextSweep()).toEqual(['7 missing']);
  });

  it('is missed by whole sweeps, and the first and the last are kept', async () => {
    await staff(20);
    company.directory.forget('7');
    expect(await company.sweep()).toEqual(['7 missing']);
    const first = await absence('7');
    expect(first?.firstMissedAt).toEqual(company.clock.now());
    company.clock.advance(DAY_MS);
    expect(await company.sweep()).toEqual(['7 missing']);
    expect(await absence('7')).toEqual({
      firstMissedAt: first?.firstMissedAt,
      lastMissedAt: company.clock.now(),
    });
  });

  it('is hinted at no more once a day has proven it and a look has written that down, and is missed all the same', async () => {
    await staff(20);
    company.directory.forget('7');
    await company.sweep();
    company.clock.advance(DAY_MS);
    expect(await company.sweep()).toEqual(['7 missing']);
    await company.findGone('7');
    expect(await company.nextSweep()).toEqual([]);
    expect((await overview()).lastWhole).toMatchObject({ missing: 1 });
    expect((await absence('7'))?.lastMissedAt).toEqual(company.clock.now());
    company.directory.put({ userId: '7' });
    await company.sight('7');
    company.directory.forget('7');
    expect(await company.nextSweep()).toEqual(['7 missing']);
  });

  it('and deleted before is missed like anybody until a day has proven it', async () => {
    await staff(20);
    await company.findGone('7');
    company.directory.forget('7');
    expect(await company.sweep()).toEqual(['7 missing']);
    expect(await company.nextSweep()).toEqual(['7 missing']);
  });

  it('for long is nobody of whom a read could be the less whole, however many they are', async () => {
    await staff(40);
    const gone = Array.from({ length: 8 }, (_, at) => String(21 + at));
    for (const userId of gone) company.directory.forget(userId);
    await company.requestSweep(ACCEPT_SHRUNK);
    await company.sweep();
    company.clock.advance(DAY_MS);
    await company.requestSweep(ACCEPT_SHRUNK);
    expect(await company.sweep()).toHaveLength(8);
    for (const userId of gone) await company.findGone(userId);
    company.directory.forget('7');
    expect(await company.nextSweep()).toEqual(['7 missing']);
    expect((await overview()).lastEnded).toMatchObject({ state: 'whole', missing: 9 });
    company.directory.forget('8');
    await company.nextSweep();
    expect((await overview()).lastEnded).toMatchObject({
      state: 'not-whole',
      why: expect.stringContaining('2 of the 32 users we serve are in no list'),
    });
  });

  it('is missed no longer once somebody has seen them', async () => {
    await staff(20);
    company.directory.forget('7');
    await company.sweep();
    company.directory.put({ userId: '7' });
    await company.sight('7');
    expect(await absence('7')).toBeUndefined();
  });

  it('is missed no longer once a whole sweep lists them, looked at or not', async () => {
    await staff(20);
    company.directory.forget('7');
    await company.sweep();
    company.directory.put({ userId: '7' });
    await company.nextSweep();
    expect(await absence('7')).toBeUndefined();
  });

  it('is not missed when somebody saw them while the sweep ran', async () => {
    await staff(20);
    company.directory.forget('7');
    const directory = {
      ...company.directory,
      deletedPage: async (request: { pageToken?: string }) => {
        company.clock.advance(1000);
        company.directory.put({ userId: '7' });
        await company.sight('7');
        return await company.directory.deletedPage(request);
      },
    };
    expect(await company.sweep({ directory })).toEqual([]);
    expect(await absence('7')).toBeUndefined();
  });

  it('who has been revoked is of no more concern', async () => {
    await staff(20);
    await company.sight('7', 'out');
    company.clock.advance(1000);
    company.directory.forget('7');
    expect(await company.sweep()).toEqual([]);
  });
});

describe('a directory that answers a tenth of its users', () => {
  it('makes nobody missing, and the sweep says why', async () => {
    await staff(40);
    await company.sweep();
    for (let id = 5; id <= 40; id += 1) company.directory.forget(String(id));
    company.clock.advance(DAY_MS);
    expect(await company.sweep()).toEqual([]);
    const { lastEnded, lastWhole } = await overview();
    expect(lastEnded).toMatchObject({ state: 'not-whole' });
    expect(lastEnded?.why).toBe(
      'The directory listed 4 users and 0 deleted ones; the last whole sweep listed 40. 36 are unaccounted for, and at most 2 may be.',
    );
    expect(lastWhole?.living).toBe(40);
    expect((await company.ledger.readUser('20')).absence).toBeUndefined();
  });

  it('latches the guard when the next sweep finds the same, once, and not before', async () => {
    await staff(40);
    await company.sweep();
    for (let id = 5; id <= 40; id += 1) company.directory.forget(String(id));
    company.clock.advance(DAY_MS);
    await company.sweep();
    expect(await company.ledger.heldSets({ state: 'any' })).toEqual([]);
    for (let again = 1; again <= 2; again += 1) {
      company.clock.advance(DAY_MS);
      await company.sweep();
      expect(await company.ledger.heldSets({ state: 'any' })).toMatchObject([
        {
          scope: 'tenant',
          held: 0,
          reason: expect.stringMatching(/^The directory has shrunk.*36 are unaccounted for/),
        },
      ]);
    }
  });

  it('does so at the very first sweep too', async () => {
    await staff(40);
    for (let id = 5; id <= 40; id += 1) company.directory.forget(String(id));
    expect(await company.sweep()).toEqual([]);
    expect((await overview()).lastEnded?.why).toMatch(/^36 of the 40 users we serve are in no list/);
  });

  it('is read again half an hour later', async () => {
    await staff(40);
    for (let id = 5; id <= 40; id += 1) company.directory.forget(String(id));
    await company.sweep();
    for (let id = 5; id <= 40; id += 1) company.directory.put({ userId: String(id) });
    company.clock.advance(HOUR_MS / 2);
    expect(await company.sweep()).toEqual([]);
    expect((await overview()).lastEnded).toMatchObject({ state: 'whole', living: 40 });
  });

  it('is believed when an admin says so', async () => {
    await staff(40);
    await company.sweep();
    for (let id = 5; id <= 40; id += 1) company.directory.forget(String(id));
    await company.ledger.requestSweep({ scope: '/', cause: { eventId: 'admin', event: 'accept-shrunk' } });
    expect(await company.sweep()).toHaveLength(36);
    expect((await overview()).lastWhole).toMatchObject({ living: 4, missing: 36 });
  });

  it('is no surprise when the list of the deleted names the others', async () => {
    await staff(40);
    await company.sweep();
    for (let id = 5; id <= 40; id += 1) company.directory.remove(String(id));
    expect(await company.nextSweep()).toHaveLength(36);
    expect((await overview()).lastEnded).toMatchObject({
      state: 'whole',
      living: 4,
      deleted: 36,
      missing: 0,
    });
  });
});

describe('a user whom nobody has looked at for a week', () => {
  it('is hinted at, and all of a mass join are spread over the days', async () => {
    await staff(28);
    await company.sweep();
    company.clock.advance(7 * DAY_MS - HOUR_MS);
    await company.sweep();
    const perSweep: number[] = [];
    const looked = new Set<string>();
    for (let sweeps = 0; sweeps < 30; sweeps += 1) {
      const hinted = await company.nextSweep();
      perSweep.push(hinted.length);
      for (const hint of hinted) {
        expect(hint).toMatch(/^\d+ look-by-age$/);
        const [userId = ''] = hint.split(' ');
        looked.add(userId);
        await company.sight(userId);
      }
    }
    expect(Math.max(...perSweep)).toBe(1);
    expect(looked.size).toBe(28);
  });

  it('is not hinted at for that where their account is known to be gone, and keeps nobody else waiting', async () => {
    await staff(4);
    for (const userId of ['1', '2']) {
      company.directory.remove(userId);
      await company.findGone(userId);
    }
    await company.sweep();
    company.clock.advance(8 * DAY_MS);
    expect(await company.sweep()).toEqual(['3 look-by-age', '4 look-by-age']);
  });
});

describe('a rollout', () => {
  it('lets out so many a minute, until nobody waits', async () => {
    for (let id = 1; id <= 10; id += 1) company.directory.put({ userId: String(id) });
    expect(await company.sweep({ hintsPerMinute: 4 })).toHaveLength(4);
    expect(await company.sweep({ hintsPerMinute: 4 })).toEqual([]);
    expect(await company.ledger.rolloutOverview()).toMatchObject({ total: 10, waiting: 6, underWay: 4 });
    company.clock.advance(60_000);
    expect(await company.sweep({ hintsPerMinute: 4 })).toHaveLength(4);
    company.clock.advance(60_000);
    expect(await company.sweep({ hintsPerMinute: 4 })).toHaveLength(2);
    for (let id = 1; id <= 10; id += 1) await company.sight(String(id));
    company.clock.advance(60_000);
    await company.sweep();
    expect(await company.ledger.rolloutOverview()).toMatchObject({ total: 0, waiting: 0 });
  });

  it('slows down while those who were let out do not get through, and is as fast as before once they do', async () => {
    const hintsPerMinute = 10;
    for (let id = 1; id <= 99; id += 1) company.directory.put({ userId: String(id) });
    expect(await company.sweep({ hintsPerMinute })).toHaveLength(10);
    const perMinute = async () => {
      company.clock.advance(60_000);
      return (await company.sweep({ hintsPerMinute })).length;
    };
    // Two minutes are given to everybody; then ten are late, twenty, and so on.
    expect([await perMinute(), await perMinute(), await perMinute(), await perMinute()]).toEqual([
      10, 8, 6, 4,
    ]);
    expect(await company.ledger.rolloutOverview()).toMatchObject({ late: 28, underWay: 38, waiting: 61 });
    for (let id = 1; id <= 99; id += 1) await company.sight(String(id));
    expect(await perMinute()).toBe(10);
  });

  it('comes to a stand while nobody at all gets through, and tries some again in an hour', async () => {
    for (let id = 1; id <= 99; id += 1) company.directory.put({ userId: String(id) });
    const perMinute: number[] = [];
    for (let minute = 0; minute < 70; minute += 1) {
      perMinute.push((await company.sweep({ hintsPerMinute: 4 })).length);
      company.clock.advance(60_000);
    }
    expect(perMinute.slice(0, 60).reduce((sum, each) => sum + each)).toBeLessThanOrEqual(24);
    expect(perMinute.slice(40, 60)).toEqual(new Array(20).fill(0));
    expect(perMinute.slice(60).some((each) => each > 0)).toBe(true);
  });

  it('does not wait for those who have no mailbox yet', async () => {
    for (let id = 1; id <= 40; id += 1) company.directory.put({ userId: String(id) });
    const hinted = await company.sweep({ hintsPerMinute: 10 });
    for (const hint of hinted) await company.sight(hint.split(' ')[0] ?? '', 'pending', 'ask-gmail-again');
    company.clock.advance(60_000);
    await company.sweep({ hintsPerMinute: 10 });
    company.clock.advance(60_000);
    expect(await company.sweep({ hintsPerMinute: 10 })).toHaveLength(10);
  });

  it('stands still while paused, and goes on', async () => {
    await company.ledger.switchRollout({ paused: true, by: 'admin@acme.example' });
    company.directory.put({ userId: '1' });
    expect(await company.sweep()).toEqual([]);
    expect(await company.ledger.rolloutOverview()).toMatchObject({
      paused: true,
      changedBy: 'admin@acme.example',
      waiting: 1,
    });
    await company.ledger.switchRollout({ paused: false, by: 'admin@acme.example' });
    expect(await company.sweep()).toEqual(['1 came-into-scope']);
  });

  it('does not hold up departures', async () => {
    await staff(2);
    await company.ledger.switchRollout({ paused: true, by: 'admin@acme.example' });
    company.directory.remove('1');
    expect(await company.sweep()).toEqual(['1 deleted']);
  });

  it('hints again at whoever was lost on the way, an hour later', async () => {
    company.directory.put({ userId: '1' });
    expect(await company.sweep()).toEqual(['1 came-into-scope']);
    expect(await company.nextSweep()).toEqual(['1 came-into-scope']);
  });
});

describe('a sweep of an org unit', () => {
  it('hints at those in it who differ, and concludes nothing about others', async () => {
    await company.employ('1', { orgUnitPath: '/Staff/Legal' });
    await company.employ('2');
    await company.sweep();
    company.directory.put({ userId: '1', orgUnitPath: '/Contractors/Legal' });
    company.directory.forget('2');
    await company.ledger.requestSweep({
      scope: '/Contractors/Legal',
      cause: { eventId: 'e', event: 'MOVE_ORG_UNIT' },
    });
    expect(await company.sweep()).toEqual(['1 left-scope']);
    expect((await company.ledger.readUser('2')).absence).toBeUndefined();
  });

  it('that is asked for while everybody is swept waits until that has ended, as the overview says, and is made then', async () => {
    for (let id = 1; id <= 9; id += 1) await company.employ(String(id));
    let pages = 0;
    const directory = {
      ...company.directory,
      livingPage: (request: { orgUnitPath: string; pageToken?: string }) => {
        pages += 1;
        return company.directory.livingPage(request);
      },
    };
    // There is time for one page.
    const aPage = () => {
      const begun = pages;
      return company.sweep({ directory, budgetMs: 1, elapsedMs: () => pages - begun });
    };
    await aPage();
    // They were read already, where they were.
    company.directory.put({ userId: '1', orgUnitPath: '/Contractors/Legal' });
    const scope = '/Contractors/Legal';
    await company.ledger.requestSweep({ scope, cause: { eventId: 'e', event: 'MOVE_ORG_UNIT' } });
    expect(await aPage()).toEqual([]);
    expect(await overview()).toMatchObject({ running: { scope: '/' }, waiting: [{ scope }] });
    const hints: string[] = [];
    while ((await overview()).waiting.length > 0 || (await overview()).running !== undefined)
      hints.push(...(await aPage()));
    expect(hints).toEqual(['1 left-scope']);
  });
});
