/** Twenty users are created at once while every event comes twice and out of order; then eight of them leave at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newSeed } from './chance.ts';
import { addressOf, beginStory, only, type Story } from './story.ts';

const NAMES = Array.from({ length: 20 }, (_, index) => `user${index + 1}`);
const LEAVERS = NAMES.slice(0, 8);

let story: Story;

beforeAll(async () => {
  story = await beginStory();
}, 120_000);

afterAll(() => story.end());

describe('twenty users created at once, every event delivered twice and out of order,', {
  timeout: 120_000,
}, () => {
  beforeAll(async () => {
    const seed = newSeed();
    await story.company.faults({ seed, events: { duplicate: 1, reorder: 1 } });
    const startedMs = performance.now();
    await Promise.all(NAMES.map((name) => story.company.hire(name)));
    for (const name of NAMES) await story.company.waitForState(addressOf(name), 'ready', 120_000);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    await story.company.drain();
    await story.company.noFaults();
    console.info(`seed ${seed}: twenty users ready after ${seconds} s`);
  }, 180_000);

  it('are all ready', async () => {
    const { users } = await story.company.ledgerExport();
    expect(Object.fromEntries(users.map(({ user, state }) => [user, state]))).toEqual(
      Object.fromEntries(NAMES.map((name) => [addressOf(name), 'ready'])),
    );
  });

  it('were told of at least four times each', async () => {
    const looks = (await story.company.callsOf('functions.directory-event')).filter(
      ({ status }) => status === 204,
    );
    // Two sources, each of them doubled on its way to us; Pub/Sub doubles once more.
    expect(looks.length).toBeGreaterThanOrEqual(4 * NAMES.length);
  });

  it.each(NAMES)(
    'left %s with exactly one key pair, one identity and one certificate, ever',
    async (name) => {
      const { view, pairs, identities, unrevoked } = await story.company.holdings(addressOf(name));
      expect(view.certificates).toHaveLength(1);
      const pair = only(pairs);
      expect(pair).toMatchObject({ keyPairId: only(unrevoked).keypairId, enablementState: 'enabled' });
      expect(only(identities)).toEqual({ emailAddress: addressOf(name), primaryKeyPairId: pair.keyPairId });
    },
  );

  it('made twenty keys, twenty key pairs and twenty identities, and no more', async () => {
    const made = async (method: string) =>
      (await story.company.callsOf(method)).filter(({ status }) => status === 200).length;
    expect(await made('kacls.wrapprivatekey')).toBe(NAMES.length);
    expect(await made('gmail.users.settings.cse.keypairs.create')).toBe(NAMES.length);
    expect(await made('gmail.users.settings.cse.identities.create')).toBe(NAMES.length);
  });
});

describe('the guard, when eight users leave within an hour,', { timeout: 120_000 }, () => {
  const revokedNames = async (): Promise<readonly string[]> => {
    const { users } = await story.company.ledgerExport();
    return users
      .filter(({ certificates }) => certificates.some(({ revocation }) => revocation !== undefined))
      .map(({ user }) => user);
  };

  it('lets five of them depart and holds the others, with the limit as the reason', async () => {
    const { company } = story;
    await Promise.all(LEAVERS.map((name) => company.moveUser(addressOf(name), '/Contractors')));
    for (const name of LEAVERS) await company.waitForState(addressOf(name), 'leaving');
    // All eight come due in the same minute.
    await company.moveClock('25h');
    expect(await revokedNames()).toHaveLength(5);
    const { users, audit } = await company.ledgerExport();
    const held = users.filter(({ state }) => state === 'leaving');
    expect(held).toHaveLength(3);
    for (const { reason } of held) expect(reason).toMatch(/^Held: .*limit for \d+ covered users is 5/);
    const refusals = audit.filter(({ step, outcome }) => step === 'guard' && outcome === 'refused');
    expect(new Set(refusals.map(({ userId }) => userId))).toEqual(new Set(held.map(({ userId }) => userId)));
  });

  it('holds the identities of the three too, and deletes those of the five', async () => {
    const { company } = story;
    const { users } = await company.ledgerExport();
    for (const { user, state } of users)
      expect(await company.identities(user), `${user}, ${state}`).toHaveLength(state === 'out' ? 0 : 1);
  });

  it('has the five alone on the CRL', async () => {
    const { company } = story;
    const { users } = await company.ledgerExport();
    const crl = await company.crlThat('a CRL of five', ({ revoked }) => revoked.size >= 5);
    const serials = users
      .filter(({ state }) => state === 'out')
      .flatMap(({ certificates }) => certificates.map(({ serial }) => serial));
    expect([...crl.revoked.keys()].toSorted()).toEqual(serials.toSorted());
  });

  it('lets go of somebody who comes back while held', async () => {
    const { company } = story;
    const { users } = await company.ledgerExport();
    const [held] = users.filter(({ state }) => state === 'leaving');
    expect(held).toBeDefined();
    await company.moveUser(held?.user ?? '', '/Staff');
    await company.waitForState(held?.user ?? '', 'ready');
    expect(await revokedNames()).not.toContain(held?.user);
  });

  it('still holds the others an hour later, and lets them go once an admin has approved', async () => {
    const { company } = story;
    await company.moveClock('61m');
    expect(await revokedNames()).toHaveLength(5);
    const held = only(await company.heldSets());
    expect(held.users).toBe(2);
    const { job } = await company.approveHeld(held.digest);
    expect(await company.jobEnd(String(job))).toMatchObject({ state: 'done', total: 2 });
    expect(await revokedNames()).toHaveLength(7);
  });
});
