/** How users leave and come back: moved out, suspended, archived, deleted, undeleted, renamed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, only, type Story, serials } from './story.ts';

/** As Sealwright and OpenSSL name the reasons. */
const LEFT = { ours: 'affiliationChanged', crl: 'Affiliation Changed' };
const SUSPENDED = { ours: 'privilegeWithdrawn', crl: 'Privilege Withdrawn' };
const DELETED = { ours: 'cessationOfOperation', crl: 'Cessation Of Operation' };
const REPLACED = { ours: 'superseded', crl: 'Superseded' };

describe('leaving and coming back', { timeout: 120_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory();
    // Whoever writes the mail that leavers must still be able to read.
    await story.company.hireReady('colleague');
  }, 120_000);

  afterAll(() => story.end());

  const mailTo = (name: string): Promise<string> =>
    story.company.sendMail({ from: addressOf('colleague'), to: [addressOf(name)], text: 'for your eyes' });
  const expectReadable = async (name: string, id: string): Promise<void> => {
    const opened = await story.company.openMail(addressOf(name), id);
    expect(opened).toMatchObject({ text: 'for your eyes', signed: { valid: true }, problems: [] });
  };
  /** Exactly one certificate, pair in use and identity, whatever was there before. */
  const expectServed = async (name: string): Promise<string> => {
    const { unrevoked, pairs, identities } = await story.company.holdings(addressOf(name));
    const certificate = only(unrevoked);
    expect(only(identities)).toEqual({
      emailAddress: addressOf(name),
      primaryKeyPairId: certificate.keypairId,
    });
    expect(pairs.find((pair) => pair.keyPairId === certificate.keypairId)?.enablementState).toBe('enabled');
    return certificate.serial;
  };
  const expectRevoked = async (name: string, serial: string, reason: typeof LEFT): Promise<void> => {
    const view = await story.company.user(addressOf(name));
    const certificate = view?.certificates.find((candidate) => candidate.serial === serial);
    expect(certificate?.revocation?.reason).toBe(reason.ours);
    const crl = await story.company.crlThat(`a CRL listing ${serial}`, ({ revoked }) => revoked.has(serial));
    expect(crl.revoked.get(serial)).toBe(reason.crl);
  };

  describe('a user who is moved out of the unit', () => {
    it('keeps everything when they come back within the grace period', async () => {
      const { company } = story;
      const joined = await company.hireReady('back');
      await company.moveUser(addressOf('back'), '/Contractors');
      const leaving = await company.waitForState(addressOf('back'), 'leaving');
      expect(leaving.reason).toContain('no rule covers /Contractors');
      await company.moveClock('23h');
      expect((await company.user(addressOf('back')))?.state).toBe('leaving');
      await company.moveUser(addressOf('back'), '/Staff/Engineering');
      await company.waitForState(addressOf('back'), 'ready');
      await company.moveClock('25h');
      expect((await company.user(addressOf('back')))?.state).toBe('ready');
      expect(await expectServed('back')).toBe(only(joined.certificates).serial);
      expect((await company.crl()).revoked.has(only(joined.certificates).serial)).toBe(false);
    });

    it('is revoked when the grace period ends, loses the identity, and still reads old mail', async () => {
      const { company } = story;
      const joined = await company.hireReady('leaver');
      const mail = await mailTo('leaver');
      await company.moveUser(addressOf('leaver'), '/Contractors');
      await company.waitForState(addressOf('leaver'), 'leaving');
      expect(await company.identities(addressOf('leaver'))).toHaveLength(1);
      await company.moveClock('25h');
      await company.waitForState(addressOf('leaver'), 'out');
      await expectRevoked('leaver', only(joined.certificates).serial, LEFT);
      expect(await company.identities(addressOf('leaver'))).toEqual([]);
      expect(only(await company.pairs(addressOf('leaver'))).enablementState).toBe('enabled');
      await expectReadable('leaver', mail);
    });

    it('gets a new certificate when they come back later, and still reads old mail', async () => {
      const { company } = story;
      const joined = await company.hireReady('returner');
      const mail = await mailTo('returner');
      await company.moveUser(addressOf('returner'), '/');
      await company.waitForState(addressOf('returner'), 'leaving');
      await company.moveClock('25h');
      await company.waitForState(addressOf('returner'), 'out');
      await company.moveUser(addressOf('returner'), '/Staff');
      await company.waitForState(addressOf('returner'), 'ready');
      expect(await expectServed('returner')).not.toBe(only(joined.certificates).serial);
      await expectReadable('returner', mail);
    });
  });

  describe('a user who is deleted', () => {
    it('is revoked at once and on the public CRL within a minute; undeleted, they are issued anew and what Gmail kept is used again', async () => {
      const { company } = story;
      const joined = await company.hireReady('deleted');
      const first = only(joined.certificates);
      const mail = await mailTo('deleted');
      const begunMs = performance.now();
      await company.deleteUser(addressOf('deleted'));
      await company.waitForState(joined.userId, 'out');
      await expectRevoked('deleted', first.serial, DELETED);
      // What is promised of the CRL, counted from before the revocation.
      expect(performance.now() - begunMs).toBeLessThanOrEqual(60_000);

      await company.undelete(joined.userId);
      await company.waitForState(joined.userId, 'ready');
      expect(await expectServed('deleted')).not.toBe(first.serial);
      const pairs = await company.pairs(addressOf('deleted'));
      expect(pairs).toHaveLength(2);
      expect(pairs.map((pair) => pair.keyPairId)).toContain(first.keypairId);
      await expectReadable('deleted', mail);
    });

    it('is revoked although a Gmail that refuses everything cannot be changed', async () => {
      const { company } = story;
      const joined = await company.hireReady('unlucky');
      await company.faults({ calls: [{ method: 'gmail.*', status: 503 }] });
      try {
        await company.deleteUser(addressOf('unlucky'));
        await company.waitForState(joined.userId, 'out');
        await expectRevoked('unlucky', only(joined.certificates).serial, DELETED);
      } finally {
        await company.noFaults();
      }
    });
  });

  describe('a user who is suspended', () => {
    it('keeps the certificate for 30 days, then loses it, and is issued a new one when restored', async () => {
      const { company } = story;
      const joined = await company.hireReady('suspended');
      await company.update(addressOf('suspended'), { suspended: true });
      const leaving = await company.waitForState(addressOf('suspended'), 'leaving');
      expect(leaving.reason).toContain('suspended');
      await company.moveClock('29d');
      expect((await company.user(addressOf('suspended')))?.certificates[0]?.revocation).toBeUndefined();
      await company.moveClock('25h');
      await company.waitForState(addressOf('suspended'), 'out');
      await expectRevoked('suspended', only(joined.certificates).serial, SUSPENDED);
      await company.update(addressOf('suspended'), { suspended: false });
      await company.waitForState(addressOf('suspended'), 'ready');
      expect(await expectServed('suspended')).not.toBe(only(joined.certificates).serial);
    });

    it('keeps everything when restored in time', async () => {
      const { company } = story;
      const joined = await company.hireReady('restored');
      await company.update(addressOf('restored'), { suspended: true });
      await company.waitForState(addressOf('restored'), 'leaving');
      await company.moveClock('20d');
      await company.update(addressOf('restored'), { suspended: false });
      await company.waitForState(addressOf('restored'), 'ready');
      // Longer than what was left: a suspension that ended must not be counted on.
      await company.moveClock('20d');
      expect(await expectServed('restored')).toBe(only(joined.certificates).serial);
    });
  });

  describe('a user who is archived', () => {
    it('is revoked like a leaver; the identity that Gmail does not let go of is parked and says so', async () => {
      const { company } = story;
      const joined = await company.hireReady('archived');
      await company.update(addressOf('archived'), { archived: true });
      await company.waitForState(addressOf('archived'), 'leaving');
      await company.moveClock('25h');
      await expectRevoked('archived', only(joined.certificates).serial, LEFT);
      await company.drain();
      expect(await company.standing(addressOf('archived'))).toMatch(
        /^leaving: .*archived.*identity is parked/,
      );
    });
  });

  describe('a user who is renamed', () => {
    it('gets a certificate and identity for the new address; the old one is revoked after the overlap', async () => {
      const { company } = story;
      const joined = await company.hireReady('maiden');
      const old = only(joined.certificates);
      const mail = await mailTo('maiden');
      await company.update(addressOf('maiden'), { primaryEmail: addressOf('married') });
      await company.waitFor(joined.userId, 'the new address', ({ user }) => user === addressOf('married'));
      await company.drain();
      const { view: renamed } = await company.holdings(addressOf('married'));
      expect(renamed.state).toBe('ready');
      const fresh = only(renamed.certificates.filter(({ serial }) => serial !== old.serial));
      expect(fresh.addresses).toEqual([addressOf('married')]);
      expect(await company.identities(addressOf('married'))).toEqual([
        { emailAddress: addressOf('married'), primaryKeyPairId: fresh.keypairId },
      ]);
      expect(serials((await company.holdings(addressOf('married'))).unrevoked)).toHaveLength(2);
      await expectReadable('married', mail);

      await company.moveClock('73h');
      await expectRevoked('married', old.serial, REPLACED);
      expect(await expectServed('married')).toBe(fresh.serial);
      await expectReadable('married', mail);

      // Mail from before two renames: the blob is bound to the user and not to an address.
      const between = await mailTo('married');
      await company.update(addressOf('married'), { primaryEmail: addressOf('widowed') });
      await company.waitFor(joined.userId, 'the third address', ({ user }) => user === addressOf('widowed'));
      await company.drain();
      const { view: again } = await company.holdings(addressOf('widowed'));
      expect(again.state).toBe('ready');
      expect(serials(again.certificates)).toHaveLength(3);
      await expectReadable('widowed', mail);
      await expectReadable('widowed', between);
    });
  });

  it('never makes the job that wakes everybody fail, however far the clock jumps', async () => {
    const calls = await story.company.callsOf('functions.due');
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.filter(({ status }) => status !== 200)).toEqual([]);
  });
});
