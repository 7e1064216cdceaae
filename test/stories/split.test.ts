/** One key signs, another is encrypted to: the policy's profile "split", from joining to a re-key, with mail. */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, beginStory, only, type Story } from './story.ts';

describe('somebody whose rule splits signing from encryption', { timeout: 120_000 }, () => {
  let story: Story;
  const ida = addressOf('ida');
  const jan = addressOf('jan');

  beforeAll(async () => {
    story = await beginStory({ profile: 'split' });
    await Promise.all(['ida', 'jan'].map((name) => story.company.hireReady(name)));
    await story.company.drain();
  }, 120_000);

  afterAll(() => story.end());

  it('has two certificates over two keys, each with the key usage of its purpose, and one identity of both', async () => {
    const { unrevoked, pairs, identities } = await story.company.holdings(ida);
    const purposes = new Map(unrevoked.map((certificate) => [String(certificate.purpose), certificate]));
    expect([...purposes.keys()].toSorted()).toEqual(['encryption', 'signing']);
    expect(new Set(unrevoked.map(({ certificate }) => keyOf(certificate))).size).toBe(2);
    expect(pairs.map(({ enablementState }) => enablementState)).toEqual(['enabled', 'enabled']);
    expect(only(identities)).toEqual({
      emailAddress: ida,
      signAndEncryptKeyPairs: {
        signingKeyPairId: purposes.get('signing')?.keypairId,
        encryptionKeyPairId: purposes.get('encryption')?.keypairId,
      },
    });
  });

  it('signs with one, is encrypted to with the other, and reads what was encrypted', async () => {
    const { company } = story;
    const mail = { from: ida, to: [jan], text: 'in two keys', sign: true, encrypt: true };
    const id = await company.sendMail(mail);
    const opened = await company.openMail(jan, id);
    const { unrevoked: idas } = await company.holdings(ida);
    const { unrevoked: jans } = await company.holdings(jan);
    const signing = idas.find((certificate) => certificate.purpose === 'signing');
    const encryption = jans.find((certificate) => certificate.purpose === 'encryption');
    expect(opened).toMatchObject({
      text: 'in two keys',
      problems: [],
      signed: { valid: true, serial: signing?.serial },
      encrypted: { keyPairId: encryption?.keypairId },
    });
  });

  it('who is re-keyed has both replaced, and still reads the mail from before', async () => {
    const { company } = story;
    const before = await company.sendMail({
      from: jan,
      to: [ida],
      text: 'before',
      sign: true,
      encrypt: true,
    });
    const old = (await company.holdings(ida)).unrevoked.map(({ serial }) => serial);
    const { job } = await company.rekey({ users: [ida], reason: 'keyCompromise' });
    expect(await company.jobEnd(String(job))).toMatchObject({ state: 'done' });
    await company.drain();
    const { unrevoked, identities, view } = await company.holdings(ida);
    expect(unrevoked.map((certificate) => certificate.purpose).toSorted()).toEqual(['encryption', 'signing']);
    expect(unrevoked.some(({ serial }) => old.includes(serial))).toBe(false);
    for (const serial of old)
      expect(view.certificates.find((certificate) => certificate.serial === serial)?.revocation?.reason).toBe(
        'keyCompromise',
      );
    expect(Object.values(only(identities).signAndEncryptKeyPairs ?? {}).toSorted()).toEqual(
      unrevoked.map(({ keypairId }) => keypairId).toSorted(),
    );
    expect((await company.openMail(ida, before)).text).toBe('before');
    const after = await company.sendMail({ from: jan, to: [ida], text: 'after', sign: true, encrypt: true });
    expect(await company.openMail(ida, after)).toMatchObject({ text: 'after', problems: [] });
  });
});

const keyOf = (certificate: string | undefined): string =>
  new X509Certificate(Buffer.from(certificate ?? '', 'base64')).publicKey
    .export({ type: 'spki', format: 'der' })
    .toString('base64');
