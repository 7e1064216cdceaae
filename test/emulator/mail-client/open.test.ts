import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Leaf, openssl } from '../gmail/pki.ts';
import { authorizationOf } from './kacls.ts';
import { MailTenant, type MailUser } from './mail-tenant.ts';

const DAY_MS = 86_400_000;
const TEXT = 'See you at noon.';
let world: MailTenant;
let ana: MailUser;
let bob: MailUser;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  bob = await world.join('bob@acme.example', { key: 'rsa-2048-other' });
});
beforeEach(() => world.tenant.restoreCrls());
afterEach(() => {
  world.kacls.refusal = undefined;
});
afterAll(() => world.close());

const draft = (fields: object = {}) => ({ from: ana.email, to: [bob.email], text: TEXT, ...fields });

/** Revokes at the emulator's time and publishes the CRL. */
function revoke(leaf: Leaf, reason: string): void {
  world.tenant.pki.revoke(world.tenant.issuing, leaf, reason, world.tenant.world.clock.now());
  world.tenant.publishCrls();
}

/** Mail of another program: OpenSSL signs as that leaf, with the headers given. */
function signedBy(leaf: Leaf, from: string, options: readonly string[] = []): Buffer {
  const chain = ['-certfile', world.tenant.issuing.path];
  return openssl(
    [
      'cms',
      '-sign',
      '-signer',
      leaf.path,
      '-inkey',
      leaf.keyPath,
      ...chain,
      '-text',
      '-from',
      from,
      '-to',
      bob.email,
      '-subject',
      'Plans',
      ...options,
    ],
    Buffer.from(`${TEXT}\n`),
  );
}
function encryptedTo(leaf: Leaf, content: Buffer, options: readonly string[] = []): Buffer {
  const headers = ['-from', ana.email, '-to', bob.email, '-subject', 'Plans'];
  return openssl(['cms', '-encrypt', '-aes256', ...headers, ...options, leaf.path], content);
}

describe('the mail client, opening what another one sent,', () => {
  it('shows the text, whose valid signature it has, and the key pair it was encrypted to', async () => {
    const opened = await world.opened(bob.email, await world.sent(draft({ subject: 'Übergabe' })));
    expect(opened).toMatchObject({
      subject: 'Übergabe',
      from: ana.email,
      to: [bob.email],
      text: TEXT,
      signed: { valid: true, signer: ana.email, revocation: 'good' },
      encrypted: { keyPairId: bob.keyPairId, algorithm: 'RSA/ECB/PKCS1Padding' },
      problems: [],
    });
  });

  it('opens for the sender with the key pair of the sender', async () => {
    const opened = await world.opened(ana.email, await world.sent(draft()));
    expect(opened).toMatchObject({ text: TEXT, encrypted: { keyPairId: ana.keyPairId }, problems: [] });
  });

  it('asks the key service to decrypt with tokens for this key, user and message', async () => {
    const id = await world.sent(draft());
    world.kacls.calls.length = 0;
    const { messageId } = await world.opened(bob.email, id);
    expect(world.kacls.calls.map((call) => call.operation)).toEqual(['privatekeydecrypt']);
    expect(world.kacls.calls[0]?.body['reason']).toBe('decrypt email');
    expect(authorizationOf(world.kacls.calls[0])).toMatchObject({
      email: bob.email,
      role: 'decrypter',
      keyPairId: bob.keyPairId,
      messageId,
    });
  });

  it('tells signed, encrypted and plain mail apart', async () => {
    const signed = await world.opened(bob.email, await world.sent(draft({ encrypt: false })));
    expect(signed).toMatchObject({ text: TEXT, signed: { valid: true }, encrypted: null, problems: [] });
    const encrypted = await world.opened(bob.email, await world.sent(draft({ sign: false })));
    expect(encrypted).toMatchObject({ text: TEXT, signed: null, problems: [] });
    const plain = await world.opened(bob.email, await world.sent(draft({ sign: false, encrypt: false })));
    expect(plain).toMatchObject({ text: TEXT, signed: null, encrypted: null, problems: [] });
  });

  it('refuses a view that does not exist', async () => {
    const id = await world.sent(draft());
    expect((await world.control('GET', `/${bob.email}/${id}?view=source`)).status).toBe(400);
  });
});

describe('the mail client, opening mail that OpenSSL wrote,', () => {
  it('verifies a clear-signed message', async () => {
    const id = await world.receive(bob.email, signedBy(ana.leaf, ana.email));
    expect(await world.opened(bob.email, id)).toMatchObject({
      text: TEXT,
      signed: { valid: true },
      problems: [],
    });
  });

  it('verifies an opaque signature, with SHA-512 and RSASSA-PSS', async () => {
    for (const options of [
      ['-nodetach'],
      ['-nodetach', '-md', 'sha512'],
      ['-keyopt', 'rsa_padding_mode:pss'],
    ]) {
      const id = await world.receive(bob.email, signedBy(ana.leaf, ana.email, options));
      expect(await world.opened(bob.email, id)).toMatchObject({
        text: TEXT,
        signed: { valid: true },
        problems: [],
      });
    }
  });

  it('decrypts what was sealed with PKCS#1 v1.5 or OAEP, by issuer and serial or key identifier', async () => {
    const inner = signedBy(ana.leaf, ana.email);
    for (const [options, algorithm] of [
      [[], 'RSA/ECB/PKCS1Padding'],
      [['-keyid'], 'RSA/ECB/PKCS1Padding'],
      [
        [
          '-recip',
          bob.leaf.path,
          '-keyopt',
          'rsa_padding_mode:oaep',
          '-keyopt',
          'rsa_oaep_md:sha256',
          '-keyopt',
          'rsa_mgf1_md:sha256',
        ],
        'RSA/ECB/OAEPwithSHA-256andMGF1Padding',
      ],
    ] as const) {
      const message =
        options.length > 1
          ? openssl(
              ['cms', '-encrypt', '-aes256', '-from', ana.email, '-subject', 'Plans', ...options],
              inner,
            )
          : encryptedTo(bob.leaf, inner, options);
      expect(await world.opened(bob.email, await world.receive(bob.email, message))).toMatchObject({
        text: TEXT,
        signed: { valid: true },
        encrypted: { keyPairId: bob.keyPairId, algorithm },
        problems: [],
      });
    }
  });

  it('learns the certificate of a trusted correspondent outside and can answer with it', async () => {
    const paul = world.tenant.pki.leaf(world.tenant.issuing, 'pavel@partner.example');
    const id = await world.receive(bob.email, signedBy(paul, 'pavel@partner.example'));
    const answer = draft({ to: ['pavel@partner.example'] });
    expect((await world.send(answer)).status).toBe(400);
    expect((await world.opened(bob.email, id)).signed?.valid).toBe(true);
    expect((await world.send(answer)).status).toBe(200);
  });

  it('refuses to take in something that is no message', async () => {
    expect((await world.control('POST', `/${bob.email}`, Buffer.from('hello'))).status).toBe(400);
  });
});

describe('the mail client shows as not valid a signature', () => {
  const opened = async (message: Buffer) => world.opened(bob.email, await world.receive(bob.email, message));

  it('over a text that was changed', async () => {
    const message = signedBy(ana.leaf, ana.email).toString('latin1').replace('noon', 'nine');
    const shown = await opened(Buffer.from(message, 'latin1'));
    expect(shown).toMatchObject({ text: 'See you at nine.', signed: { valid: false } });
    expect(shown.problems).toContainEqual(expect.stringMatching(/changed after it was signed/));
  });

  it('whose attributes were signed by another key', async () => {
    const signature = signedBy(ana.leaf, ana.email, ['-nodetach', '-outform', 'DER', '-binary']);
    signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
    const message = `From: ${ana.email}\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n${signature.toString('base64')}\r\n`;
    expect((await opened(Buffer.from(message))).problems).toContainEqual(
      "The signature does not verify under the signer's key.",
    );
  });

  it('by the certificate of another address than that of From', async () => {
    const shown = await opened(signedBy(bob.leaf, ana.email));
    expect(shown.signed).toMatchObject({ valid: false, signer: bob.email });
    expect(shown.problems).toEqual([
      "The signer's certificate is for bob@acme.example, not for ana@acme.example.",
    ]);
  });

  it('under a root that nobody uploaded', async () => {
    const stranger = world.tenant.pki.authority('stranger');
    const leaf = world.tenant.pki.leaf(stranger, ana.email);
    const shown = await opened(signedBy(leaf, ana.email));
    expect(shown.signed?.valid).toBe(false);
    expect(shown.problems.join(' ')).toMatch(
      /does not end at a root that an administrator has uploaded|is missing/,
    );
  });

  it('by a certificate that is for encryption alone', async () => {
    const leaf = world.tenant.pki.leaf(world.tenant.issuing, ana.email, {
      extensions: { keyUsage: 'critical,keyEncipherment' },
    });
    expect((await opened(signedBy(leaf, ana.email))).problems).toContainEqual(
      "The signer's certificate is not for signing.",
    );
  });

  it('by a certificate that had expired when the message came', async () => {
    const leaf = world.tenant.pki.leaf(world.tenant.issuing, ana.email, {
      notBefore: new Date(Date.now() - 9 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    });
    expect((await opened(signedBy(leaf, ana.email))).problems).toMatchObject([/expired at/]);
  });

  it('by a certificate that was revoked before the message came', async () => {
    const leaf = world.tenant.pki.leaf(world.tenant.issuing, ana.email);
    revoke(leaf, 'superseded');
    const shown = await opened(signedBy(leaf, ana.email));
    expect(shown.signed).toMatchObject({ valid: false, revocation: 'revoked' });
    expect(shown.problems).toMatchObject([/was revoked at/]);
  });

  it('whose revocation cannot be looked up', async () => {
    world.tenant.web.delete('/issuing.crl');
    const shown = await opened(signedBy(ana.leaf, ana.email));
    expect(shown.signed).toMatchObject({ valid: false, revocation: 'unknown' });
    expect(shown.problems).toMatchObject([/HTTP 404/]);
  });

  it('over SHA-1', async () => {
    const shown = await opened(signedBy(ana.leaf, ana.email, ['-md', 'sha1']));
    expect(shown.problems).toMatchObject([/which is not accepted/]);
  });

  it('made before the certificate was revoked, only if the key was compromised', async () => {
    const moved = world.tenant.pki.leaf(world.tenant.issuing, ana.email);
    const stolen = world.tenant.pki.leaf(world.tenant.issuing, ana.email);
    const fromMoved = await world.receive(bob.email, signedBy(moved, ana.email));
    const fromStolen = await world.receive(bob.email, signedBy(stolen, ana.email));
    world.tenant.world.clock.advance(3_600_000);
    revoke(moved, 'affiliationChanged');
    revoke(stolen, 'keyCompromise');
    expect(await world.opened(bob.email, fromMoved)).toMatchObject({ signed: { valid: true }, problems: [] });
    expect((await world.opened(bob.email, fromStolen)).signed).toMatchObject({
      valid: false,
      revocation: 'revoked',
    });
  });
});

describe('the mail client, unable to open a message, says why', () => {
  it('when the key service refuses', async () => {
    const id = await world.sent(draft());
    world.kacls.refusal = { status: 403, body: '{"code":403,"message":"spki_hash differs.","details":""}' };
    expect(await world.opened(bob.email, id)).toMatchObject({
      text: null,
      signed: null,
      encrypted: { keyPairId: bob.keyPairId },
      problems: ['The key service refused privatekeydecrypt with HTTP 403: spki_hash differs.'],
    });
  });

  it('when the key pair is disabled, and opens it once enabled again', async () => {
    const carl = await world.join('carl@acme.example');
    const id = await world.sent(draft({ to: [carl.email] }));
    const { keypairs } = world.tenant.client(carl.email).users.settings.cse;
    const one = { userId: 'me', keyPairId: carl.keyPairId };
    await keypairs.disable(one);
    expect(await world.opened(carl.email, id)).toMatchObject({
      text: null,
      problems: [`The key pair ${carl.keyPairId} is disabled.`],
    });
    await keypairs.enable(one);
    expect(await world.opened(carl.email, id)).toMatchObject({ text: TEXT, problems: [] });
  });

  it('when the message is encrypted to others only', async () => {
    const message = encryptedTo(ana.leaf, Buffer.from(TEXT));
    const opened = await world.opened(bob.email, await world.receive(bob.email, message));
    expect(opened.problems).toEqual(['The message is not encrypted to any key pair of bob@acme.example.']);
  });

  it('when encryption was switched off for the user', async () => {
    const id = await world.sent(draft());
    world.tenant.adminConsole.switchCse({ accountId: bob.accountId }, false);
    const opened = await world.opened(bob.email, id);
    world.tenant.adminConsole.switchCse({ accountId: bob.accountId }, undefined);
    expect(opened).toMatchObject({ text: null, problems: [expect.stringMatching(/not turned on/)] });
  });

  it('when the S/MIME part is damaged', async () => {
    const message = `From: ${ana.email}\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n`;
    const opened = await world.opened(bob.email, await world.receive(bob.email, Buffer.from(message)));
    expect(opened.problems).toEqual(['The S/MIME part holds no CMS message.']);
  });
});

describe('a message to an earlier key pair', () => {
  it('is opened with that one after the identity has a new one', async () => {
    const dora = await world.join('dora@acme.example');
    const id = await world.sent(draft({ to: [dora.email] }));
    const next = await world.newKeyPair(dora.email, { key: 'rsa-2048-other' });
    await world.tenant.client(dora.email).users.settings.cse.identities.patch({
      userId: 'me',
      emailAddress: dora.email,
      requestBody: { primaryKeyPairId: next.keyPairId },
    });
    expect(await world.opened(dora.email, id)).toMatchObject({
      text: TEXT,
      encrypted: { keyPairId: dora.keyPairId },
      problems: [],
    });
    const later = await world.opened(dora.email, await world.sent(draft({ to: [dora.email] })));
    expect(later).toMatchObject({ text: TEXT, encrypted: { keyPairId: next.keyPairId }, problems: [] });
  });

  it('is opened, and its signature still valid, when the certificates have run out', async () => {
    const own = await MailTenant.open();
    try {
      for (const email of ['ana@acme.example', 'bob@acme.example']) await own.join(email);
      const mail = { from: 'ana@acme.example', to: ['bob@acme.example'], text: TEXT };
      const id = await own.sent(mail);
      own.tenant.world.clock.advance(400 * DAY_MS);
      own.tenant.publishCrls();
      expect(await own.opened('bob@acme.example', id)).toMatchObject({
        text: TEXT,
        signed: { valid: true },
        problems: [],
      });
      expect((await own.send(mail)).body.error?.message).toMatch(/certificate of .* expired at/);
    } finally {
      await own.close();
    }
  });

  it('is opened by a user who was renamed since, under either address', async () => {
    const eva = await world.join('eva@acme.example');
    const id = await world.sent(draft({ to: [eva.email] }));
    world.tenant.accounts.update(eva.accountId, { primaryEmail: 'eve@acme.example', aliases: [eva.email] });
    for (const address of [eva.email, 'eve@acme.example']) {
      expect(await world.opened(address, id)).toMatchObject({ text: TEXT, problems: [] });
    }
    expect(authorizationOf(world.kacls.calls.at(-1)).email).toBe('eve@acme.example');
  });
});
