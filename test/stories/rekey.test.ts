/** An admin asks for new keys over HTTP and watches it happen. */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, only, type Story } from './story.ts';

describe('a re-key asked for by an admin', { timeout: 120_000 }, () => {
  let story: Story;

  beforeAll(async () => {
    story = await beginStory();
    await Promise.all(['una', 'vera', 'wim'].map((name) => story.company.hireReady(name)));
    await story.company.hire('xaver', '/Contractors');
    await story.company.drain();
  }, 120_000);

  afterAll(() => story.end());

  it('as a dry run says whom it would touch and changes nothing', async () => {
    const { company } = story;
    const before = await company.ledgerExport();
    const plan = await company.rekey({ orgUnit: '/Staff', reason: 'superseded', dryRun: true });
    expect(plan).toMatchObject({ dryRun: true, total: 3 });
    expect((plan['users'] as { user: string }[]).map(({ user }) => user).toSorted()).toEqual(
      ['una', 'vera', 'wim'].map(addressOf),
    );
    await company.drain();
    expect(await company.ledgerExport()).toEqual(before);
  });

  it('as superseded makes a new key at once and revokes the old certificate after an overlap of 72 hours', async () => {
    const { company } = story;
    const una = addressOf('una');
    const old = only((await company.holdings(una)).unrevoked);
    const mail = await company.sendMail({ from: addressOf('vera'), to: [una], text: 'before the re-key' });
    const { job } = await company.rekey({ users: [una], reason: 'superseded' });
    expect(await company.jobEnd(String(job))).toMatchObject({
      state: 'done',
      total: 1,
      done: 1,
      failed: 0,
      users: [{ user: una, state: 'done' }],
    });
    await company.drain();

    const { unrevoked, pairs, identities, view } = await company.holdings(una);
    const fresh = only(unrevoked.filter(({ serial }) => serial !== old.serial));
    expect(keyOf(fresh)).not.toBe(keyOf(old));
    expect(only(identities).primaryKeyPairId).toBe(fresh.keypairId);
    expect(pairs.map((pair) => pair.enablementState)).toEqual(['enabled', 'enabled']);
    const overlapMs =
      Date.parse(view.certificates.find(({ serial }) => serial === old.serial)?.retirement?.dueAt ?? '') -
      (await company.now()).getTime();
    expect(overlapMs).toBeGreaterThan(71 * 3_600_000);
    expect(overlapMs).toBeLessThanOrEqual(72 * 3_600_000);
    expect((await company.openMail(una, mail)).text).toBe('before the re-key');

    await company.moveClock('71h');
    expect((await company.crl()).revoked.has(old.serial)).toBe(false);
    await company.moveClock('61m');
    const crl = await company.crlThat('the replaced certificate on the CRL', ({ revoked }) =>
      revoked.has(old.serial),
    );
    expect(crl.revoked.get(old.serial)).toBe('Superseded');
    expect(crl.revoked.has(fresh.serial)).toBe(false);
    expect(only((await company.holdings(una)).unrevoked).serial).toBe(fresh.serial);
    expect((await company.openMail(una, mail)).text).toBe('before the re-key');
  });

  it('as keyCompromise revokes first, then issues, and old mail still opens', async () => {
    const { company } = story;
    const vera = addressOf('vera');
    const old = only((await company.holdings(vera)).unrevoked);
    const mail = await company.sendMail({ from: addressOf('una'), to: [vera], text: 'to the stolen key' });
    const invalidityDate = new Date((await company.now()).getTime() - 3_600_000).toISOString();
    const { job } = await company.rekey({ users: [vera], reason: 'keyCompromise', invalidityDate });
    expect(await company.jobEnd(String(job))).toMatchObject({ state: 'done', done: 1 });

    const { view, unrevoked } = await company.holdings(vera);
    expect(view.certificates.find(({ serial }) => serial === old.serial)?.revocation?.reason).toBe(
      'keyCompromise',
    );
    const fresh = only(unrevoked);
    const steps = (await company.ledgerExport()).audit
      .filter(({ userId, outcome }) => userId === view.userId && outcome === 'done')
      .filter(({ step }) => step === 'revoke-leaf' || step === 'issue-leaf')
      .map(({ step, details }) => `${step} ${String(details?.['serialHex'])}`);
    expect(steps.slice(-2)).toEqual([`revoke-leaf ${old.serial}`, `issue-leaf ${fresh.serial}`]);
    const crl = await company.crlThat('the compromised one on the CRL', ({ revoked }) =>
      revoked.has(old.serial),
    );
    expect(crl.revoked.get(old.serial)).toBe('Key Compromise');
    expect((await company.openMail(vera, mail)).text).toBe('to the stolen key');
  });

  it('shows a job that waits, with what it waits for, until Gmail can be reached again', async () => {
    const { company } = story;
    const wim = addressOf('wim');
    await company.faults({ calls: [{ method: 'gmail.users.settings.cse.keypairs.create', status: 503 }] });
    const { job } = await company.rekey({ users: [wim], reason: 'superseded' });
    await company.waitFor(wim, 'the failed attempt', ({ state }) => state === 'pending');
    const waiting = await company.job(String(job));
    expect(waiting).toMatchObject({ state: 'running', total: 1, done: 0, failed: 0 });
    const user = only(waiting['users'] as { user: string; state: string; detail: string }[]);
    expect(user).toMatchObject({ user: wim, state: 'waiting' });
    expect(user.detail).toMatch(/create-keypair: .*503/);
    await company.noFaults();
    expect(await company.jobEnd(String(job))).toMatchObject({ state: 'done', done: 1 });
  });

  it('fails for somebody who leaves before it came true, and the job says why', async () => {
    const { company } = story;
    const wim = addressOf('wim');
    const before = await company.holdings(wim);
    await company.faults({ calls: [{ method: 'kacls.wrapprivatekey', status: 503 }] });
    const { job } = await company.rekey({ users: [wim], reason: 'superseded' });
    await company.waitFor(wim, 'the failed attempt', ({ state }) => state === 'pending');
    await company.deleteUser(wim);
    await company.noFaults();
    const ended = await company.jobEnd(String(job));
    expect(ended).toMatchObject({ state: 'failed', done: 0, failed: 1 });
    expect(only(ended['users'] as { detail: string }[]).detail).toContain('deleted');
    await company.waitForState(before.view.userId, 'out');
  });

  it.each([
    ['nobody', { users: [addressOf('nobody')], reason: 'superseded' }, '404', 'nobody@acme.example'],
    ['somebody no rule covers', { users: [addressOf('xaver')], reason: 'superseded' }, '400', '/Contractors'],
    ['a reason that is none', { users: [addressOf('una')], reason: 'boredom' }, '400', 'reason'],
    [
      'two selections at once',
      { users: [addressOf('una')], all: true, reason: 'superseded' },
      '400',
      'exactly one',
    ],
  ])('for %s is refused with what is wrong, and nobody is touched', async (_, body, status, named) => {
    const { company } = story;
    await company.drain();
    const before = (await company.ledgerExport()).audit.length;
    await expect(company.rekey(body)).rejects.toThrow(new RegExp(`answered ${status}.*${named}`));
    expect((await company.ledgerExport()).audit).toHaveLength(before);
  });
});

const keyOf = (certificate: { readonly certificate?: string }): string =>
  new X509Certificate(Buffer.from(certificate.certificate ?? '', 'base64')).publicKey
    .export({ format: 'der', type: 'spki' })
    .toString('base64');
