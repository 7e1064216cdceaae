/** A covered unit of forty people is moved out of the company's scope: one held set, decided by one person. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, eventually, only, type Story } from './story.ts';

const NAMES = Array.from({ length: 40 }, (_, index) => `sales${String(index + 1).padStart(2, '0')}`);

describe('a unit of forty people that is moved out of scope', { timeout: 240_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory();
    const directory = await story.company.directory();
    await directory.orgunits.insert({
      customerId: 'my_customer',
      requestBody: { name: 'Sales', parentOrgUnitPath: '/Staff' },
    });
    await Promise.all(NAMES.map((name) => story.company.hire(name, '/Staff/Sales')));
    for (const name of NAMES) await story.company.waitForState(addressOf(name), 'ready', 120_000);
  }, 240_000);

  afterAll(() => story.end());

  const states = async (): Promise<Readonly<Record<string, number>>> => {
    const { users } = await story.company.ledgerExport();
    const counts: Record<string, number> = {};
    for (const { state } of users) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  };

  it('is found although no event names anybody, and has five of them depart and the rest held as one', async () => {
    const { company } = story;
    const directory = await company.directory();
    await directory.orgunits.patch({
      customerId: 'my_customer',
      orgUnitPath: 'Staff/Sales',
      requestBody: { parentOrgUnitPath: '/Contractors' },
    });
    // A sweep sees it, and a day later the grace periods end.
    await company.moveClock('7h');
    expect(await states()).toEqual({ leaving: 40 });
    await company.moveClock('25h');
    expect(await states()).toEqual({ leaving: 35, out: 5 });
    const held = only(await company.heldSets());
    expect(held.users).toBe(35);
    expect(held.reason).toMatch(/the limit for \d+ covered users is 5/);
  });

  it('stays held, night after night', async () => {
    const { company } = story;
    await company.moveClock('14h');
    expect(await states()).toEqual({ leaving: 35, out: 5 });
    expect(only(await company.heldSets()).users).toBe(35);
  });

  it('departs once it is approved, and the audit trail says by whom in each line', async () => {
    const { company } = story;
    const { digest } = only(await company.heldSets());
    const { job } = await company.approveHeld(digest);
    // The next minute's job wakes those whose turn comes later than at once.
    const progress = await eventually(
      'the end of the job',
      async () => {
        const view = await company.job(String(job));
        return view['state'] === 'running' ? undefined : view;
      },
      120_000,
    );
    expect(progress).toMatchObject({ state: 'done', total: 35, done: 35, failed: 0 });
    expect(await states()).toEqual({ out: 40 });
    const { audit, users } = await company.ledgerExport();
    const approved = audit.filter(({ step, details }) => step === 'revoke-leaf' && details?.['approvedBy']);
    expect(approved).toHaveLength(35);
    for (const { details } of approved)
      expect(details).toMatchObject({
        approvedBy: 'admin@acme.example',
        heldSet: Number(digest.split('-')[0]),
      });
    expect(audit.filter(({ step }) => step === 'held-set')).toMatchObject([
      { reason: expect.stringMatching(/^admin@acme\.example approved held set \d+ with 35 departures\./) },
    ]);
    const serials = users.flatMap(({ certificates }) => certificates.map(({ serial }) => serial));
    const crl = await company.crlThat('a CRL of forty', ({ revoked }) => revoked.size === 40);
    expect([...crl.revoked.keys()].toSorted()).toEqual(serials.toSorted());
  });
});
