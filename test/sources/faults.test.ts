/**
 * What the directory and its events may do wrong, each lived through for a while. Of each: nobody is revoked who has not
 * left; what changed meanwhile is acted on in the end; and `sealwright status` says what is going on.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, type Materials, MINUTE_MS, makeMaterials } from '../support/fakes/world.ts';
import { call, tokenOf } from '../support/invocation.ts';
import { type FollowedCompany, openFollowedCompany } from './followed-company.ts';

let materials: Materials;
let acme: FollowedCompany;

beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  acme = await openFollowedCompany(materials);
});
afterEach(() => acme.close());

const LIST = 'directory.users.list';
/** Faults of the next run of the sweep, counted from its first page. */
const hinder = (faults: object) => acme.acme.faults.apply({ reset: true, ...faults });
/** One answer for all users of the directory that come before this one in its order. */
const first = async (users: number) => {
  const { data } = await acme.api().users.list({ customer: 'my_customer', maxResults: users });
  return JSON.stringify({ users: data.users });
};

describe('a directory', () => {
  it.each<{
    readonly how: string;
    readonly faults: () => Promise<object>;
    readonly says: readonly RegExp[];
    /** Who has left and is acted on all the same: what a list did show is followed. */
    readonly seen?: readonly string[];
  }>([
    {
      how: 'ends a page in the middle',
      faults: async () => ({ directory: { truncatePages: 1 } }),
      says: [
        /^HELD 0 departures in 1 set/,
        /^ALARM sweep-late: .*Users in no list do not depart/m,
        /NOT WHOLE .*: The directory listed 250 users and 0 deleted ones; the last whole sweep listed 707/,
      ],
    },
    {
      how: 'answers an empty page',
      faults: async () => ({ directory: { emptyPages: 1 } }),
      says: [/^ALARM sweep-late/m, /under way since .*: 0 users read; it does not go on: .*holds no users/],
    },
    {
      how: 'takes no page token any more',
      faults: async () => ({ calls: [{ method: LIST, nth: [2], status: 400, reason: 'invalid' }] }),
      says: [/^ALARM sweep-late/m, /NOT WHOLE .*: The list could not be read to its end in 3 passes/],
    },
    {
      how: 'refuses its second page',
      faults: async () => ({ calls: [{ method: LIST, nth: [2], status: 403, reason: 'forbidden' }] }),
      says: [/^ALARM sweep-late: .*admin role/m, /NOT WHOLE .*admin role/],
    },
    {
      how: 'lists a tenth of its users, and none of the others by their ids',
      faults: async () => ({
        calls: [
          { method: LIST, nth: [1], body: await first(70) },
          { method: 'directory.users.get', status: 404, reason: 'notFound' },
        ],
      }),
      says: [
        /^HELD 0 departures in 1 set/,
        /^ALARM sweep-late/m,
        /NOT WHOLE .*: The directory listed 70 users and 1 deleted ones; the last whole sweep listed 707/,
      ],
      seen: ['z1'],
    },
  ])(
    'that for three days $how makes nobody leave, the status says so, and then who left and who joined is found',
    async ({ faults, says, seen = [] }) => {
      await acme.unheard(() => acme.dismiss('z1'));
      await acme.unheard(() => acme.hire('z9'));
      const inForce = await faults();
      acme.broken.reads = () => hinder(inForce);
      await acme.days(3);
      await acme.askForLooks(acme.staff.filter((name) => name !== 'z1'));
      expect(await acme.revoked()).toEqual(seen);
      const status = await acme.status();
      for (const sentence of says) expect(status).toMatch(sentence);

      acme.broken.reads = () => hinder({});
      await acme.days(1);
      await acme.approveHeld();
      expect(await acme.revoked()).toEqual(['z1']);
      expect(await acme.standing('z9')).toBe('ready');
      for (const name of acme.staff) if (name !== 'z1') expect(await acme.standing(name)).toBe('ready');
      expect(await acme.status()).not.toMatch(/^HELD|^ALARM sweep-late|NOT WHOLE|does not go on/m);
    },
  );
});

describe('a directory whose reads lag behind its events', () => {
  const LAG_MS = 5 * MINUTE_MS;
  /** The schedule of every minute for so long; no sweep. */
  const minutes = async (number: number) => {
    for (let minute = 0; minute < number; minute += 1) {
      await acme.later(MINUTE_MS);
      await call(acme.call.due);
      await acme.settle();
    }
  };
  const putOff = async () => (await acme.world.ledger.putOffHints(100)).length;
  beforeEach(() => hinder({ directory: { readsLagMs: LAG_MS } }));

  it.each([
    ['both sources', { channels: 0, sharing: false }],
    ['the audit log alone', { channels: Number.POSITIVE_INFINITY, sharing: false }],
    ['the notifications alone', { channels: 0, sharing: true }],
  ])('makes who joined ready without a sweep, told by %s', async (_which, broken) => {
    Object.assign(acme.broken, broken);
    for (const name of ['j1', 'j2', 'j3']) await acme.hire(name);
    await acme.settle();
    for (const name of ['j1', 'j2', 'j3']) expect(await acme.standing(name)).toBe('unknown');
    expect(await putOff()).toBeGreaterThan(0);
    await minutes(7);
    for (const name of ['j1', 'j2', 'j3']) expect(await acme.standing(name)).toBe('ready');
    expect(await putOff()).toBe(0);
    expect(await acme.revoked()).toEqual([]);
    const status = await acme.status();
    expect(status).not.toMatch(/^ALARM/m);
    expect(status).toMatch(/^No dead letters\.$/m);
  });

  it('makes who came back and who was renamed ready without a sweep', async () => {
    await acme.dismiss('z1');
    await minutes(7);
    await acme.comeBack('z1');
    const change = { userKey: 'z2@acme.example', requestBody: { primaryEmail: 'zoe@acme.example' } };
    const { data } = await acme.api().users.patch(change);
    acme.world.directory.put({
      userId: data.id ?? '',
      primaryEmail: 'zoe@acme.example',
      aliases: ['z2@acme.example'],
    });
    await acme.settle();
    expect(await acme.standing('z1')).toBe('out');
    expect(await acme.standing('zoe')).toBe('unknown');
    await minutes(7);
    expect(await acme.standing('z1')).toBe('ready');
    expect(await acme.standing('zoe')).toBe('ready');
    expect(await putOff()).toBe(0);
  });

  it.each([
    ['both sources', { channels: 0, sharing: false }],
    ['the audit log alone', { channels: Number.POSITIVE_INFINITY, sharing: false }],
  ])(
    'acts on who was deleted, suspended and moved away, told by %s, without a sweep',
    async (_which, broken) => {
      Object.assign(acme.broken, broken);
      const { users } = acme.api();
      const change = (userKey: string, requestBody: object) => users.patch({ userKey, requestBody });
      await acme.dismiss('z1');
      await change('z2@acme.example', { suspended: true });
      await change('z3@acme.example', { orgUnitPath: '/Contractors' });
      await acme.settle();
      const all = async () => await Promise.all(['z1', 'z2', 'z3'].map(acme.standing));
      expect(await all()).toEqual(['ready', 'ready', 'ready']);
      await minutes(7);
      expect(await all()).toEqual(['out', 'leaving', 'leaving']);
      expect(await putOff()).toBe(0);
      for (const name of ['a1', 'a2', 'a3']) expect(await acme.standing(name)).toBe('ready');
      expect(await acme.status()).not.toMatch(/^ALARM/m);
    },
  );

  it('acts on who was deleted, told by the notifications alone, without a sweep', async () => {
    acme.broken.sharing = true;
    await acme.dismiss('z1');
    await acme.settle();
    expect(await acme.revoked()).toEqual([]);
    await minutes(7);
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await putOff()).toBe(0);
  });

  it('is asked for ten minutes about a change that was undone before it was shown, and no longer', async () => {
    const change = (suspended: boolean) =>
      acme.api().users.patch({ userKey: 'z2@acme.example', requestBody: { suspended } });
    await change(true);
    await change(false);
    await acme.settle();
    const looks = acme.looks();
    await minutes(30);
    expect(acme.looks() - looks).toBeLessThanOrEqual(10);
    expect(await putOff()).toBe(0);
    expect(await acme.standing('z2')).toBe('ready');
  });

  it('does not let who was created and deleted within seconds hang about', async () => {
    await acme.hire('j1');
    await acme.dismiss('j1');
    await acme.settle();
    await minutes(7);
    expect(await acme.standing('j1')).toBe('unknown');
    expect(await putOff()).toBe(0);
  });

  it('that shows a user nowhere is asked for ten minutes, and then it is said that nobody is there', async () => {
    hinder({ directory: { readsLagMs: DAY_MS } });
    await acme.hire('j1');
    await acme.settle();
    const said = async () =>
      (await acme.world.ledger.auditTrail({ limit: 1000 })).filter(({ step }) => step === 'hint-ignored');
    await minutes(8);
    expect(await putOff()).toBe(2);
    expect(await said()).toEqual([]);
    expect(await acme.status()).toMatch(
      /^The directory does not show yet what 2 events told of \(the first at [0-9-]+ [0-9:]+Z\); it is asked again every minute/m,
    );
    await minutes(3);
    expect(await putOff()).toBe(0);
    expect(await acme.status()).not.toContain('does not show yet');
    expect(await said()).toMatchObject([{ reason: 'Nobody has or had the address j1@acme.example.' }]);
  });
});

describe('a source of events', () => {
  it('whose notification channel dies without a word loses nothing, is alarmed after two hours, and has a new channel within six', async () => {
    acme.killChannels();
    await acme.dismiss('z1');
    await acme.hire('z9');
    await acme.settle();
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await acme.standing('z9')).toBe('ready');
    expect(await acme.status()).not.toContain('ALARM');
    await acme.later(2 * HOUR_MS);
    expect(await acme.status()).toMatch(
      /^ALARM watch-silent: The directory's notifications brought .* last at/,
    );
    await acme.later(4 * HOUR_MS);
    await acme.run();
    await acme.hire('z8');
    await acme.settle();
    expect(await acme.status()).not.toContain('ALARM');
    expect(await acme.revoked()).toEqual(['z1']);
  });

  it('of which the audit log is no longer shared, while no notification comes either, is replaced by the Reports API, and alarmed', async () => {
    acme.broken.sharing = true;
    acme.killChannels();
    await acme.dismiss('z1');
    await acme.hire('z9');
    await acme.settle();
    expect(await acme.revoked()).toEqual([]);
    await acme.later(20 * MINUTE_MS);
    await acme.run();
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await acme.standing('z9')).toBe('ready');
    expect(await acme.status()).toMatch(/^ALARM audit-gaps: .*2 entries that the log sink has not brought/m);
    await acme.later(2 * HOUR_MS);
    expect(await acme.status()).toMatch(/^ALARM audit-silent: .*still shared with Google Cloud/m);
    acme.broken.sharing = false;
    await acme.hire('z8');
    await acme.settle();
    await acme.later(20 * MINUTE_MS);
    await acme.run();
    expect(await acme.status()).not.toMatch(/ALARM audit/);
    expect(await acme.revoked()).toEqual(['z1']);
  });

  it('that brings its entries a day late makes whoever left leave, and nobody who has come back meanwhile, and says how many were late', async () => {
    acme.broken.channels = Number.POSITIVE_INFINITY;
    const { users } = acme.api();
    const change = (requestBody: object) => users.patch({ userKey: 'z2@acme.example', requestBody });
    await acme.dismiss('z1');
    await change({ orgUnitPath: '/Contractors' });
    await change({ orgUnitPath: '/Staff' });
    await change({ suspended: true });
    await change({ suspended: false });
    const entries = acme.takeEntries();
    await acme.later(DAY_MS);
    expect(await acme.revoked()).toEqual([]);
    for (const entry of entries) acme.publish(entry);
    await acme.settle();
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await acme.standing('z2')).toBe('ready');
    expect(await acme.status()).toMatch(/^late-entry +audit +– +5 /m);
  });

  it('that brings the same entry five times, of which one cannot be followed, acts on it once, though its user is back since, and counts the others', async () => {
    acme.broken.channels = Number.POSITIVE_INFINITY;
    await acme.dismiss('z1');
    const [entry = {}] = acme.takeEntries();
    hinder({ calls: [{ method: 'directory.*', status: 503, reason: 'backendError' }] });
    acme.publish(entry);
    await acme.settle();
    expect(await acme.revoked()).toEqual([]);
    hinder({});
    await acme.settle();
    expect(await acme.revoked()).toEqual(['z1']);

    await acme.comeBack('z1');
    await acme.settle();
    expect(await acme.standing('z1')).toBe('ready');
    const looks = acme.looks();
    for (let copy = 2; copy <= 5; copy += 1) acme.publish(entry);
    await acme.settle();
    expect(acme.looks()).toBe(looks);
    expect(await acme.standing('z1')).toBe('ready');
    expect(await acme.status()).toMatch(/^repeated-entry +audit +– +4 /m);
  });

  it('that brings entries of another organization is not followed, which is counted by its number; what they kept from us is found by the sweep', async () => {
    acme.broken.channels = Number.POSITIVE_INFINITY;
    const looks = acme.looks();
    await acme.unheard(() => acme.dismiss('z1'));
    await acme.dismiss('z2');
    const [entry] = acme.takeEntries();
    await acme.comeBack('z2');
    acme.takeEntries();
    acme.publish({ ...entry, logName: 'organizations/999/logs/cloudaudit.googleapis.com%2Factivity' });
    await acme.settle();
    expect(acme.looks()).toBe(looks);
    expect(await acme.revoked()).toEqual([]);
    expect(await acme.status()).toMatch(/^foreign-organization +audit +999 +1 /m);
    await acme.days(1);
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await acme.standing('z2')).toBe('ready');
  });

  it.each([
    ['another audience', tokenOf({ audience: 'https://other.acme.example/' }), 'unauthenticated'],
    ['another account', tokenOf({ email: 'stranger@acme.iam.gserviceaccount.com' }), 'forbidden'],
  ])(
    'whose calls are for or from %s moves nobody; its messages are set aside, alarmed, and followed when they are delivered again',
    async (_which, token, code) => {
      const looks = acme.looks();
      acme.pushWith(token);
      await acme.dismiss('z1');
      for (let attempt = 0; attempt < 10; attempt += 1) await acme.settle();
      for (const schedule of [acme.call.due, acme.call.sweep])
        await expect(call(schedule, '/', '', { authorization: `Bearer ${token}` })).rejects.toMatchObject({
          code,
        });
      expect(acme.looks()).toBe(looks);
      expect(await acme.revoked()).toEqual([]);
      await acme.later(2 * HOUR_MS);
      const status = await acme.status();
      expect(status).toMatch(/^ALARM audit-silent/m);
      expect(status).toMatch(/^2 dead letters: "sealwright events dead list"\.$/m);
      acme.pushWith(tokenOf());
      await acme.replayDeadLetters();
      expect(await acme.revoked()).toEqual(['z1']);
      expect(await acme.status()).toMatch(/^No dead letters\.$/m);
    },
  );

  it('that brings messages of 6 MB is followed where they say something, and counted as malformed where they say nothing', async () => {
    acme.broken.channels = Number.POSITIVE_INFINITY;
    const padding = 'x'.repeat(6_000_000);
    await acme.dismiss('z1');
    const [entry] = acme.takeEntries();
    await acme.hire('z9');
    acme.publish({ padding });
    acme.publish({ ...entry, padding });
    await acme.settle();
    expect(await acme.revoked()).toEqual(['z1']);
    expect(await acme.standing('z9')).toBe('ready');
    const status = await acme.status();
    expect(status).toMatch(/^malformed +audit +– +1 /m);
    expect(status).toMatch(/^No dead letters\.$/m);
  });
});
