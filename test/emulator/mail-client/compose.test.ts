import PostalMime from 'postal-mime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openssl } from '../gmail/pki.ts';
import { authorizationOf } from './kacls.ts';
import { MailTenant, type MailUser } from './mail-tenant.ts';

const TEXT = 'Grüße aus Köln.\n\nFrom here on: 1 = 1.\ntrailing blank \nlast line';
let world: MailTenant;
let ana: MailUser;
let bob: MailUser;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  bob = await world.join('bob@acme.example', { key: 'rsa-2048-other' });
  world.tenant.accounts.add('carl@acme.example');
});
afterEach(() => {
  world.kacls.refusal = undefined;
});
afterAll(() => world.close());

const draft = (fields: object = {}) => ({ from: ana.email, to: [bob.email], text: TEXT, ...fields });

/** OpenSSL's verdict on a signed message: the content it verified, or a thrown error. */
const verified = (message: Buffer): Buffer =>
  openssl(['cms', '-verify', '-CAfile', world.tenant.root.path, '-purpose', 'smimesign'], message);
const decrypted = (message: Buffer, user: MailUser): Buffer =>
  openssl(['cms', '-decrypt', '-recip', user.leaf.path, '-inkey', user.leaf.keyPath], message);
const textOf = async (entity: Buffer): Promise<string> =>
  ((await PostalMime.parse(entity)).text ?? '').replace(/\r\n/g, '\n').replace(/\n$/, '');

describe('the mail client, sending a signed message,', () => {
  it('writes one that OpenSSL verifies up to the root, with the text unchanged', async () => {
    const { bytes, type } = await world.raw(bob.email, await world.sent(draft({ encrypt: false })));
    expect(type).toBe('message/rfc822');
    expect(await textOf(verified(bytes))).toBe(TEXT);
    expect(() =>
      verified(Buffer.from(bytes.toString('latin1').replace('K=C3=B6ln', 'Bonn'), 'latin1')),
    ).toThrow();
  });

  it('asks the key service for a signature of the digest, with tokens for this key, user and message', async () => {
    world.kacls.calls.length = 0;
    const id = await world.sent(draft({ encrypt: false }));
    const { messageId } = await PostalMime.parse((await world.raw(ana.email, id)).bytes);
    expect(world.kacls.calls.map((call) => call.operation)).toEqual(['privatekeysign']);
    expect(world.kacls.calls[0]?.body).toMatchObject({ algorithm: 'SHA256withRSA', reason: 'sign email' });
    expect(Buffer.from(world.kacls.calls[0]?.body['digest'] ?? '', 'base64')).toHaveLength(32);
    expect(authorizationOf(world.kacls.calls[0])).toMatchObject({
      email: ana.email,
      role: 'signer',
      keyPairId: ana.keyPairId,
      kaclsUrl: 'https://kacls.acme.example/v1',
      messageId,
    });
  });

  it('leaves plain ASCII readable as it is', async () => {
    const id = await world.sent(draft({ text: 'See you at noon.', encrypt: false }));
    expect((await world.raw(bob.email, id)).bytes.toString()).toContain('\r\n\r\nSee you at noon.\r\n');
  });
});

describe('the mail client, sending a signed and encrypted message,', () => {
  it('writes one that each recipient and the sender decrypt with OpenSSL, and whose signature then verifies', async () => {
    const { bytes } = await world.raw(bob.email, await world.sent(draft()));
    for (const user of [ana, bob]) expect(await textOf(verified(decrypted(bytes, user)))).toBe(TEXT);
  });

  it('encrypts with AES-256-CBC and nothing of the text in clear', async () => {
    const { bytes } = await world.raw(bob.email, await world.sent(draft()));
    const printed = openssl(['cms', '-cmsout', '-print'], bytes).toString();
    expect(printed).toMatch(/contentEncryptionAlgorithm:\s+algorithm: aes-256-cbc/);
    expect(printed.match(/keyEncryptionAlgorithm:\s+algorithm: rsaEncryption/g)).toHaveLength(2);
    expect(bytes.toString()).not.toContain('trailing');
  });

  it('leaves subject, addresses, date and message id in clear', async () => {
    const id = await world.sent(draft({ subject: 'Übergabe am Freitag' }));
    const message = await PostalMime.parse((await world.raw(bob.email, id)).bytes);
    expect(message.subject).toBe('Übergabe am Freitag');
    expect(message.from?.address).toBe(ana.email);
    expect(message.to?.map((entry) => entry.address)).toEqual([bob.email]);
    expect(Math.abs(Date.parse(message.date ?? '') - Date.now())).toBeLessThan(600_000);
    expect(message.messageId).toMatch(/^<[0-9a-f]{32}@acme\.example>$/);
  });

  it('delivers to the recipients and the sender, once to each, and to nobody else', async () => {
    const { body } = await world.send(draft({ to: [bob.email, 'BOB@acme.example', ana.email] }));
    expect(body.delivered).toEqual([bob.email, ana.email]);
    for (const user of [ana, bob]) {
      const { messages } = (await world.control('GET', `/${user.email}`)).body;
      expect(messages?.filter((message) => message.id === body.id)).toMatchObject([
        { from: ana.email, to: `${bob.email}, ${ana.email}`, subject: 'Plans' },
      ]);
    }
    expect((await world.control('GET', `/carl@acme.example/${body.id}`)).status).toBe(404);
  });

  it('encrypts without signing when told', async () => {
    const { bytes } = await world.raw(bob.email, await world.sent(draft({ sign: false })));
    expect(await textOf(decrypted(bytes, bob))).toBe(TEXT);
  });

  it('writes to somebody outside once their certificate was added', async () => {
    const partner = world.tenant.pki.leaf(world.tenant.issuing, 'paul@partner.example');
    const outside = draft({ to: ['paul@partner.example'] });
    expect((await world.send(outside)).body.error?.message).toMatch(
      /no certificate for paul@partner\.example/,
    );
    const wrong = { address: 'pia@partner.example', pem: partner.pem };
    expect((await world.control('POST', '/contacts', wrong)).status).toBe(400);
    await world.control('POST', '/contacts', { address: 'paul@partner.example', pem: partner.pem });
    const { body } = await world.send(outside);
    expect(body).toMatchObject({ delivered: [], external: ['paul@partner.example'] });
    const { bytes } = await world.raw(ana.email, body.id ?? '');
    expect(await textOf(verified(decrypted(bytes, { ...ana, leaf: partner })))).toBe(TEXT);
  });
});

describe('the mail client refuses to send', () => {
  const refused = async (fields: object): Promise<{ status: number; message: string }> => {
    const { status, body } = await world.send(draft(fields));
    return { status, message: body.error?.message ?? '' };
  };

  it('for somebody without an identity', async () => {
    expect(await refused({ from: 'carl@acme.example' })).toEqual({
      status: 400,
      message: 'carl@acme.example has no identity for client-side encryption, so it cannot send.',
    });
  });

  it('to somebody without a certificate, unless it does not encrypt', async () => {
    expect((await refused({ to: ['carl@acme.example'] })).message).toBe(
      'There is no certificate for carl@acme.example, so nothing can be encrypted to it.',
    );
    expect((await world.send(draft({ to: ['carl@acme.example'], encrypt: false }))).status).toBe(200);
  });

  it("when the key service refuses, with the service's own words", async () => {
    world.kacls.refusal = { status: 403, body: '{"code":403,"message":"Not on a Sunday.","details":""}' };
    expect(await refused({})).toEqual({
      status: 502,
      message: 'The key service refused privatekeysign with HTTP 403: Not on a Sunday.',
    });
  });

  it('when the key service answers with something else', async () => {
    world.kacls.refusal = { status: 200, body: 'ready' };
    expect((await refused({})).message).toMatch(/something but JSON/);
    world.kacls.refusal = { status: 200, body: '{}' };
    expect((await refused({})).message).toMatch(/without signature/);
    world.kacls.refusal = { status: 200, body: `{"signature":"${Buffer.alloc(256).toString('base64')}"}` };
    expect((await refused({})).message).toMatch(/signed with another key/);
  });

  it('with a disabled key pair', async () => {
    const dora = await world.join('dora@acme.example');
    const { keypairs } = world.tenant.client(dora.email).users.settings.cse;
    await keypairs.disable({ userId: 'me', keyPairId: dora.keyPairId });
    expect((await refused({ from: dora.email })).message).toBe(`The key pair ${dora.keyPairId} is disabled.`);
  });

  it('for an account that is suspended or has encryption switched off', async () => {
    const eva = await world.join('eva@acme.example');
    world.tenant.accounts.update(eva.accountId, { suspended: true });
    expect((await refused({ from: eva.email })).message).toMatch(/suspended/);
    world.tenant.accounts.update(eva.accountId, { suspended: false });
    world.tenant.adminConsole.switchCse({ accountId: eva.accountId }, false);
    expect((await refused({ from: eva.email })).message).toMatch(/not turned on/);
  });

  it('what is no draft', async () => {
    for (const fields of [
      { from: 'ana' },
      { to: [] },
      { to: 'bob@acme.example' },
      { to: ['bob'] },
      { subject: 'a\r\nBcc: eve@evil.example' },
      { text: 7 },
      { sign: 'yes' },
      { cc: [] },
    ]) {
      expect((await refused(fields)).status).toBe(400);
    }
    expect((await refused({ from: 'nobody@acme.example' })).status).toBe(404);
  });
});
