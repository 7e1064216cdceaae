/** Mail of every time a user has had: before a renewal, before a re-key, before a change of key service. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Leaf } from '../gmail/pki.ts';
import { keyPair } from '../gmail/tenant.ts';
import { MailTenant, type MailUser, wrapped } from './mail-tenant.ts';

const NEW_URL = 'https://kacls.new.example/v1';
let world: MailTenant;
let ana: MailUser;
let bob: MailUser;
/** Ids of the messages to Ana and what stands in them, one for each time. */
const epochs: { readonly id: string; readonly text: string; readonly keyPairId: string }[] = [];
let oldLeaves: readonly Leaf[];

const cse = () => world.tenant.client(ana.email).users.settings.cse;
const upload = async (leaf: Leaf, query: { chainValidation?: 'none' } = {}): Promise<string> => {
  const { privateKeyMetadata: _, ...pair } = keyPair(world.tenant.pkcs7(leaf));
  const metadata = [{ kaclsKeyMetadata: { kaclsUri: NEW_URL, kaclsData: wrapped(leaf) } }];
  const requestBody = { ...pair, privateKeyMetadata: metadata };
  const { data } = await cse().keypairs.create({ userId: 'me', requestBody, ...query });
  return data.keyPairId ?? '';
};
const use = (keyPairId: string) =>
  cse().identities.patch({
    userId: 'me',
    emailAddress: ana.email,
    requestBody: { primaryKeyPairId: keyPairId },
  });
const mailTo = async (text: string, keyPairId: string): Promise<void> => {
  epochs.push({ id: await world.sent({ from: bob.email, to: [ana.email], text }), text, keyPairId });
};
const sameLeafAgain = (answer: 'accept' | 'refuse') =>
  fetch(`${world.tenant.world.root}_emulator/gmail/options`, {
    method: 'POST',
    body: JSON.stringify({ sameLeafAgain: answer }),
  });

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  bob = await world.join('bob@acme.example', { key: 'rsa-2048-bob' });
  await mailTo('before the renewal', ana.keyPairId);
  const renewed = await world.newKeyPair(ana.email); // with the same key
  await use(renewed.keyPairId);
  await mailTo('before the re-key', renewed.keyPairId);
  const rekeyed = await world.newKeyPair(ana.email, { key: 'rsa-2048-rekeyed' });
  await use(rekeyed.keyPairId);
  await mailTo('before the change of key service', rekeyed.keyPairId);
  oldLeaves = [ana.leaf, renewed.leaf, rekeyed.leaf];
  const newest = world.tenant.pki.leaf(world.tenant.issuing, ana.email, { key: 'rsa-2048-newest' });
  const newestId = await upload(newest);
  await use(newestId);
  await mailTo('after the change of key service', newestId);
});
beforeEach(() => {
  world.kacls.refusal = undefined;
});
afterAll(() => world.close());

describe('a user with a history', () => {
  it('reads the mail of every time, each with its own key pair at its own key service', async () => {
    for (const { id, text, keyPairId } of epochs) {
      world.kacls.calls.length = 0;
      expect(await world.opened(ana.email, id)).toMatchObject({
        text,
        signed: { valid: true, signer: bob.email },
        encrypted: { keyPairId },
        problems: [],
      });
      expect(world.kacls.calls).toHaveLength(text.startsWith('after') ? 0 : 1);
    }
  });

  it('cannot read the mail of before the change while the old key service is off', async () => {
    world.kacls.refusal = { status: 503, body: '{"code":503,"message":"switched off","details":""}' };
    const shown = await Promise.all(epochs.map(({ id }) => world.opened(ana.email, id)));
    expect(shown.map(({ text }) => text)).toEqual([null, null, null, 'after the change of key service']);
  });

  it('keeps needing the old key service where Gmail refuses a certificate that it has', async () => {
    await sameLeafAgain('refuse');
    for (const leaf of oldLeaves)
      await expect(upload(leaf, { chainValidation: 'none' })).rejects.toMatchObject({ code: 409 });
  });

  it('reads everything without the old key service where Gmail takes them again, and the old pairs are disabled', async () => {
    await sameLeafAgain('accept');
    for (const leaf of oldLeaves) await upload(leaf, { chainValidation: 'none' });
    await expect(upload(oldLeaves[0] as Leaf, { chainValidation: 'none' })).rejects.toMatchObject({
      code: 409, // the same request again makes no third pair
    });
    for (const { keyPairId } of epochs.slice(0, -1)) {
      await cse().keypairs.disable({ userId: 'me', keyPairId });
    }
    world.kacls.refusal = { status: 503, body: '{"code":503,"message":"switched off","details":""}' };
    for (const { id, text } of epochs)
      expect(await world.opened(ana.email, id)).toMatchObject({ text, problems: [] });
  });
});
