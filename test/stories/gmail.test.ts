/** A Gmail that is not ready, is switched off, or was changed by somebody else's hand. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserView } from '../../demo/company-client.ts';
import { addressOf, beginStory, only, type Story } from './story.ts';

const MAILBOX_DELAY_MS = 10 * 60_000;

describe('Gmail', { timeout: 120_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory({ mailboxDelayMs: MAILBOX_DELAY_MS });
  }, 120_000);

  afterAll(() => story.end());

  /** Creates somebody, lets their mailbox come, and waits until they are ready. */
  const hireWithMailbox = async (name: string): Promise<UserView> => {
    await story.company.hire(name);
    await story.company.waitForState(addressOf(name), 'pending');
    await story.company.moveClock('11m');
    return await story.company.waitForState(addressOf(name), 'ready');
  };
  const expectServed = async (name: string): Promise<void> => {
    const { view, pairs, identities, unrevoked } = await story.company.holdings(addressOf(name));
    expect(view.state).toBe('ready');
    const pair = only(pairs);
    expect(pair).toMatchObject({ keyPairId: only(unrevoked).keypairId, enablementState: 'enabled' });
    expect(only(identities)).toEqual({ emailAddress: addressOf(name), primaryKeyPairId: pair.keyPairId });
  };

  describe('that has not made the mailbox yet', () => {
    it('keeps the user pending, with the reason and the next look, and nothing is issued; then they become ready', async () => {
      const { company } = story;
      await company.hire('early');
      const waiting = await company.waitForState(addressOf('early'), 'pending');
      expect(waiting.reason).toContain('mailbox');
      await company.drain();
      const early = await company.user(addressOf('early'));
      expect(early).toMatchObject({ state: 'pending', nextAction: 'ask-gmail-again' });
      expect(early?.certificates).toEqual([]);
      await company.moveClock('5m');
      expect(await company.standing(addressOf('early'))).toMatch(/^pending: .*mailbox/);
      await company.moveClock('6m');
      await company.waitForState(addressOf('early'), 'ready');
      await expectServed('early');
    });
  });

  describe('with client-side encryption switched off for the unit', () => {
    it('keeps a joiner pending with the reason, and they become ready once it is switched on', async () => {
      const { company } = story;
      await company.switchCse(false);
      await company.hire('off');
      await company.waitForState(addressOf('off'), 'pending');
      await company.moveClock('15m');
      expect(await company.standing(addressOf('off'))).toMatch(/^pending: .*lient-side encryption/);
      expect((await company.user(addressOf('off')))?.certificates).toEqual([]);
      await company.switchCse(true);
      await company.moveClock('1h');
      await company.waitForState(addressOf('off'), 'ready');
      await expectServed('off');
    });

    it('after 24 hours makes the joiner blocked, with the reason, and they still become ready later', async () => {
      const { company } = story;
      await company.switchCse(false);
      await company.hire('stuck');
      await company.waitForState(addressOf('stuck'), 'pending');
      await company.moveClock('23h');
      expect((await company.user(addressOf('stuck')))?.state).toBe('pending');
      await company.moveClock('2h');
      expect(await company.standing(addressOf('stuck'))).toMatch(/^blocked: .*lient-side encryption/);
      await company.switchCse(true);
      // A blocked user is still looked at, once a day.
      await company.moveClock('25h');
      await company.waitForState(addressOf('stuck'), 'ready');
      await expectServed('stuck');
    });

    it('revokes nothing of somebody who was ready, and is blocked at once, saying that it is off', async () => {
      const { company } = story;
      const joined = await hireWithMailbox('dark');
      await company.switchCse(false);
      await company.nudge(addressOf('dark'));
      const blocked = await company.waitForState(addressOf('dark'), 'blocked');
      expect(blocked.reason).toMatch(/lient-side encryption/);
      await company.moveClock('25h');
      expect((await company.user(addressOf('dark')))?.state).toBe('blocked');
      expect(only(blocked.certificates).revocation).toBeUndefined();
      await company.switchCse(true);
      await company.moveClock('25h');
      await company.waitForState(addressOf('dark'), 'ready');
      expect(only((await company.holdings(addressOf('dark'))).unrevoked).serial).toBe(
        only(joined.certificates).serial,
      );
      await expectServed('dark');
    });
  });

  describe('of somebody whose licence is taken away', () => {
    it('revokes nothing, and they are blocked at once, told of the licence, and ready once they have it again', async () => {
      const { company } = story;
      const user = addressOf('unlicensed');
      const joined = await hireWithMailbox('unlicensed');
      await company.setLicence(user, false);
      await company.nudge(user);
      const blocked = await company.waitForState(user, 'blocked');
      expect(blocked.reason).toMatch(/nothing is revoked: .* see that the user has a licence with it/);
      expect(only(blocked.certificates).revocation).toBeUndefined();
      await company.setLicence(user, true);
      await company.moveClock('25h');
      await company.waitForState(user, 'ready');
      expect(only((await company.holdings(user)).unrevoked).serial).toBe(only(joined.certificates).serial);
      await expectServed('unlicensed');
    });
  });

  describe('changed by hand', () => {
    const dee = addressOf('dee');

    beforeAll(async () => {
      await hireWithMailbox('dee');
    });

    it('gets a deleted identity back at the next look', async () => {
      const { company } = story;
      await company.gmail(dee, 'DELETE', `identities/${dee}`);
      expect(await company.identities(dee)).toEqual([]);
      await company.nudge(dee);
      await company.drain();
      await expectServed('dee');
    });

    it('gets a disabled key pair enabled again at the next look', async () => {
      const { company } = story;
      const pair = only(await company.pairs(dee));
      await company.gmail(dee, 'POST', `keypairs/${pair.keyPairId}:disable`);
      expect(only(await company.pairs(dee)).enablementState).toBe('disabled');
      await company.nudge(dee);
      await company.drain();
      await expectServed('dee');
    });

    it('is repaired with both told in the audit trail, and no new certificate', async () => {
      const { company } = story;
      const { audit } = await company.ledgerExport();
      const { view } = await company.holdings(dee);
      const repairs = audit.filter(({ userId }) => userId === view.userId).map(({ step }) => step);
      expect(repairs.filter((step) => step === 'set-identity')).toHaveLength(2);
      expect(repairs.filter((step) => step === 'enable-keypair')).toHaveLength(1);
      expect(repairs.filter((step) => step === 'issue-leaf')).toHaveLength(1);
    });
  });
});
