/** The forms of S/MIME 3.2 and 4.0 that the client writes and reads, besides what other programs make of them. */
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import { Constructed, Integer, ObjectIdentifier, OctetString, Primitive } from 'asn1js';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { readMailCertificate } from '../../../emulator/mail-client/certificate.ts';
import { OID, WRITTEN_CIPHERS } from '../../../emulator/mail-client/cms-oids.ts';
import { signedAttributes, signedData } from '../../../emulator/mail-client/cms-write.ts';
import {
  algorithm,
  attribute,
  childrenOf,
  contentInfo,
  derSetOf,
  issuerAndSerial,
  parsed,
  sequence,
  tag,
} from '../../../emulator/mail-client/der.ts';
import { openssl } from '../gmail/pki.ts';
import { MailTenant, type MailUser } from './mail-tenant.ts';

const TEXT = 'See you at noon.';
let world: MailTenant;
let ana: MailUser;
let bob: MailUser;
let sam: Awaited<ReturnType<MailTenant['joinSplit']>>;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  bob = await world.join('bob@acme.example', { key: 'rsa-2048-other' });
  sam = await world.joinSplit('sam@acme.example');
});
afterAll(() => world.close());

const sent = async (fields: object = {}): Promise<{ id: string; bytes: Buffer }> => {
  const id = await world.sent({ from: ana.email, to: [bob.email, sam.email], text: TEXT, ...fields });
  return { id, bytes: (await world.raw(bob.email, id)).bytes };
};
const printed = (message: Buffer): string => openssl(['cms', '-cmsout', '-print'], message).toString();
const mime = (type: string, cms: Buffer): Buffer =>
  Buffer.from(
    `From: ${ana.email}\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${cms.toString('base64')}\r\n`,
  );

describe('the mail client, writing S/MIME 4.0,', () => {
  it('makes AuthEnvelopedData with AES-256-GCM, labelled so', async () => {
    const { bytes } = await sent({ smime: '4.0' });
    expect(bytes.toString()).toContain('smime-type=authEnveloped-data');
    expect(printed(bytes)).toMatch(/id-smime-ct-authEnvelopedData[\s\S]*algorithm: aes-256-gcm/);
  });

  it('says in its signature that it reads AES-GCM, and in one of 3.2 that it reads AES-CBC only', async () => {
    const capabilities = async (smime: string) => {
      const { bytes } = await sent({ smime, encrypt: false, signature: 'opaque' });
      return /S\/MIME Capabilities[\s\S]*signatureAlgorithm/.exec(printed(bytes))?.[0].match(/aes-\d+-\w+/g);
    };
    expect(await capabilities('3.2')).toEqual(['aes-256-cbc', 'aes-128-cbc']);
    expect(await capabilities('4.0')).toEqual(['aes-256-gcm', 'aes-128-gcm', 'aes-256-cbc', 'aes-128-cbc']);
  });

  test.each([
    [{ cipher: 'aes-256-gcm' }, /S\/MIME 3\.2 has no aes-256-gcm/],
    [{ smime: '5.0' }, /smime must be 3\.2 or 4\.0/],
    [{ cipher: 'rc2' }, /cipher must be/],
    [{ keyTransport: 'ecdh' }, /keyTransport must be pkcs1 or oaep/],
    [{ signature: 'enveloping' }, /signature must be clear or opaque/],
  ])('refuses a draft with %j', async (fields, message) => {
    const { status, body } = await world.send({ from: ana.email, to: [bob.email], ...fields });
    expect([status, body.error?.message]).toEqual([400, expect.stringMatching(message)]);
  });
});

describe('the mail client, reading what it wrote to several people,', () => {
  test.each([
    { smime: '3.2', cipher: 'aes-128-cbc', keyTransport: 'pkcs1', signature: 'clear' },
    { smime: '3.2', cipher: 'aes-256-cbc', keyTransport: 'oaep', signature: 'opaque' },
    { smime: '4.0', cipher: 'aes-128-gcm', keyTransport: 'pkcs1', signature: 'opaque' },
    { smime: '4.0', cipher: 'aes-256-gcm', keyTransport: 'oaep', signature: 'clear' },
  ])('opens it for each of them and the sender: $smime, $cipher, $keyTransport, $signature', async (form) => {
    const { id } = await sent(form);
    const algorithm =
      form.keyTransport === 'oaep' ? 'RSA/ECB/OAEPwithSHA-256andMGF1Padding' : 'RSA/ECB/PKCS1Padding';
    for (const user of [ana, bob, sam]) {
      expect(await world.opened(user.email, id)).toMatchObject({
        text: TEXT,
        signed: { valid: true, signer: ana.email },
        encrypted: { keyPairId: user.keyPairId, algorithm },
        problems: [],
      });
    }
  });

  it('signs with one key and is encrypted to with the other where they are split', async () => {
    const { id } = await sent({ from: sam.email, to: [bob.email] });
    const serial = readMailCertificate(sam.signing.der).serial.toString('hex');
    expect(await world.opened(bob.email, id)).toMatchObject({
      signed: { valid: true, serial },
      problems: [],
    });
    expect(await world.opened(sam.email, id)).toMatchObject({
      text: TEXT,
      encrypted: { keyPairId: sam.keyPairId },
    });
  });
});

describe('the mail client, reading AuthEnvelopedData,', () => {
  test.each(['-aes-128-gcm', '-aes-192-gcm', '-aes-256-gcm'])(
    'opens what OpenSSL wrote with %s',
    async (cipher) => {
      const head = ['-from', ana.email, '-to', bob.email, '-subject', 'Plans'];
      const message = openssl(
        ['cms', '-encrypt', cipher, ...head, bob.leaf.path],
        Buffer.from(`\n${TEXT}\n`),
      );
      const id = await world.receive(bob.email, message);
      expect(await world.opened(bob.email, id)).toMatchObject({ text: TEXT, problems: [] });
    },
  );

  it('shows nothing of a message in which one bit was changed', async () => {
    const { bytes } = await sent({ smime: '4.0' });
    const [head = '', body = ''] = bytes.toString('latin1').split(/(?<=\r\n\r\n)/);
    const cms = Buffer.from(body, 'base64');
    const place = cms.length - 40; // in the encrypted content: the last 18 bytes are the tag
    cms[place] = (cms[place] ?? 0) ^ 1;
    const id = await world.receive(bob.email, Buffer.from(`${head}${cms.toString('base64')}\r\n`, 'latin1'));
    expect(await world.opened(bob.email, id)).toMatchObject({
      text: null,
      problems: ['The content key does not open the message, or the message was changed.'],
    });
  });

  it('checks authenticated attributes along with the content', async () => {
    const place = attribute('1.2.840.113549.1.9.5', new OctetString({ valueHex: Buffer.from('then') }));
    const other = attribute('1.2.840.113549.1.9.5', new OctetString({ valueHex: Buffer.from('when') }));
    for (const [sentAlong, problems] of [
      [place, []],
      [other, ['The content key does not open the message, or the message was changed.']],
    ] as const) {
      const cms = withAttributes(derSetOf([place]), derSetOf([sentAlong]));
      const id = await world.receive(bob.email, mime('authEnveloped-data', cms));
      expect((await world.opened(bob.email, id)).problems).toEqual(problems);
    }
  });

  it('says so when it is not whole', async () => {
    const cms = contentInfo(OID.authEnvelopedData, sequence(new Integer({ value: 0 })));
    const id = await world.receive(bob.email, mime('authEnveloped-data', cms));
    expect((await world.opened(bob.email, id)).problems).toEqual([
      'The S/MIME part holds no whole AuthEnvelopedData.',
    ]);
  });

  /** To Bob, with one set of attributes authenticated and one sent. */
  function withAttributes(authenticated: Buffer, sentAlong: Buffer): Buffer {
    const [key, nonce] = [randomBytes(32), randomBytes(12)];
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(authenticated);
    const encrypted = Buffer.concat([cipher.update(`\r\n${TEXT}`), cipher.final()]);
    const recipient = readMailCertificate(bob.leaf.der);
    const sealed = publicEncrypt({ key: recipient.publicKey, padding: constants.RSA_PKCS1_PADDING }, key);
    const info = sequence(
      new Integer({ value: 0 }),
      issuerAndSerial(recipient),
      algorithm(OID.rsaEncryption),
      new OctetString({ valueHex: sealed }),
    );
    const parameters = sequence(new OctetString({ valueHex: nonce }), new Integer({ value: 16 }));
    return contentInfo(
      OID.authEnvelopedData,
      sequence(
        new Integer({ value: 0 }),
        parsed(derSetOf([parsed(Buffer.from(info.toBER()))])),
        sequence(
          new ObjectIdentifier({ value: OID.data }),
          sequence(new ObjectIdentifier({ value: WRITTEN_CIPHERS['aes-256-gcm'].oid }), parameters),
          new Primitive({ idBlock: tag(0), valueHex: encrypted }),
        ),
        new Constructed({ idBlock: tag(1), value: childrenOf(sentAlong) }),
        new OctetString({ valueHex: cipher.getAuthTag() }),
      ),
    );
  }
});

describe('the mail client, answering somebody outside whose signing key is apart,', () => {
  const PIA = 'pia@partner.example';

  it('encrypts to the certificate that their signature names for it, and not to one of somebody else', async () => {
    const { pki, issuing } = world.tenant;
    const usage = (keyUsage: string) => ({ extensions: { keyUsage: `critical,${keyUsage}` } });
    const signing = pki.leaf(issuing, PIA, { key: 'rsa-2048-pia', ...usage('digitalSignature') });
    for (const [reads, followed] of [
      [pki.leaf(issuing, 'eve@partner.example', { key: 'rsa-2048-eve' }), false],
      [pki.leaf(issuing, PIA, { key: 'rsa-2048-pia-reads', ...usage('keyEncipherment') }), true],
    ] as const) {
      const message = namesForAnswers(signing.der, signing.keyPath, reads.der);
      await world.opened(bob.email, await world.receive(bob.email, message));
      const { bytes } = await sent({ from: bob.email, to: [PIA, bob.email], sign: false });
      const named = printed(bytes).includes(
        readMailCertificate(reads.der).serial.toString('hex').toUpperCase(),
      );
      expect(named).toBe(followed);
    }
  });

  /** OpenSSL signs attributes of its own choice only, so the CMS is written here and signed by OpenSSL's raw operation. */
  function namesForAnswers(signerDer: Buffer, keyPath: string, encryptTo: Buffer): Buffer {
    const content = Buffer.from(`\r\n${TEXT}`);
    const attributes = signedAttributes(content, new Date(), {
      readsGcm: false,
      encryptTo: readMailCertificate(encryptTo),
    });
    const signature = openssl(['dgst', '-sha256', '-sign', keyPath], attributes);
    const certificates = [signerDer, encryptTo, world.tenant.issuing.der];
    const signer = readMailCertificate(signerDer);
    const cms = signedData({ attributes, signature, signer, certificates, content });
    return Buffer.from(mime('signed-data', cms).toString().replace(ana.email, PIA));
  }
});
