/** How a policy's names hold: a covered unit is renamed, a rule by group comes, somebody joins the group and leaves it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, newRevision, only, type Story } from './story.ts';

const PILOTS = 'pilots@acme.example';

describe('a policy', { timeout: 120_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory();
  }, 120_000);

  afterAll(() => story.end());

  it('makes nobody leave when the unit it covers is renamed, and covers who joins it then', async () => {
    const { company } = story;
    const joined = await company.hireReady('settled');
    const directory = await company.directory();
    await directory.orgunits.patch({
      customerId: 'my_customer',
      orgUnitPath: 'Staff',
      requestBody: { name: 'People' },
    });
    // The renamed unit is swept, and everybody is at the next whole sweep; then the grace period of leavers would be over.
    await company.moveClock('7h');
    await company.moveClock('25h');
    const { serial } = only(joined.certificates);
    expect((await company.user(addressOf('settled')))?.state).toBe('ready');
    expect((await company.crl()).revoked.has(serial)).toBe(false);
    await company.createUser(addressOf('newcomer'), 'New', 'Comer', '/People');
    await company.waitForState(addressOf('newcomer'), 'ready');
  });

  it('covers the members of a group as long as they are in it', async () => {
    const { company, system, stateDir } = story;
    await (await company.directory()).groups.insert({ requestBody: { email: PILOTS } });
    await company.createUser(addressOf('pilot'), 'Pia', 'Lot', '/Contractors');
    await company.drain();
    expect(await company.user(addressOf('pilot'))).toBeUndefined();

    const file = join(stateDir, 'policy.yaml');
    const before = readFileSync(file, 'utf8');
    const [, rule = ''] = before.split('rules:\n');
    const byGroup = rule
      .replace('name: staff', 'name: pilots')
      .replace('orgUnit: /Staff', `group: ${PILOTS}`);
    writeFileSync(file, `${before.replace('/Staff', '/People')}${byGroup}`);
    await newRevision(system);

    await (await company.directory()).members.insert({
      groupKey: PILOTS,
      requestBody: { email: addressOf('pilot') },
    });
    const covered = await company.waitForState(addressOf('pilot'), 'ready');
    expect(covered.reason).toContain('Rule "pilots" covers the user');
    expect((await company.user(addressOf('settled')))?.state).toBe('ready');

    await (await company.directory()).members.delete({ groupKey: PILOTS, memberKey: addressOf('pilot') });
    const leaving = await company.waitForState(addressOf('pilot'), 'leaving');
    expect(leaving.reason).toContain(`no longer in group ${PILOTS}`);
    await company.moveClock('25h');
    await company.waitForState(addressOf('pilot'), 'out');
    const { serial } = only(covered.certificates);
    const crl = await company.crlThat(`a CRL listing ${serial}`, ({ revoked }) => revoked.has(serial));
    expect(crl.revoked.get(serial)).toBe('Affiliation Changed');
  });

  it('covers also whom neither the notifications nor the log sink told of, within half an hour', async () => {
    const { company, system } = story;
    await company.faults({ events: { drop: 1 } });
    await company.createUser(addressOf('unheard'), 'Una', 'Hurd', '/People');
    await company.noFaults();
    await company.drain();
    expect(await company.user(addressOf('unheard'))).toBeUndefined();
    await company.moveClock('30m');
    const { userId } = await company.waitForState(addressOf('unheard'), 'ready');
    const looks = readFileSync(system.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"look-started"') && line.includes(userId));
    expect(looks[0]).toContain('"eventId":"reports-');
  });
});
