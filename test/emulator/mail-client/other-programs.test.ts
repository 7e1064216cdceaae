/**
 * Mail between Gmail's client and people outside who use other software. Every form is tried with every program; where
 * a program is known not to support one, the test shows its refusal; a later version that opens it shows as skipped.
 */
import PostalMime from 'postal-mime';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { multipartParts, readEntity } from '../../../emulator/mail-client/mime.ts';
import { installed } from '../../pki/tools.ts';
import { MailTenant, type MailUser } from './mail-tenant.ts';
import { Desk, gpgsmProgram, type MailProgram, nssProgram, opensslProgram } from './programs.ts';

const TEXT = 'Grüße aus Köln.\n\nFrom here on: 1 = 1.\nlast line';
const PAUL = 'paul@partner.example';
const NINA = 'nina@partner.example';
let world: MailTenant;
let ana: MailUser;
let split: MailUser;
let desk: Desk;

beforeAll(async () => {
  world = await MailTenant.open();
  ana = await world.join('ana@acme.example');
  split = await world.joinSplit('sam@acme.example');
  const { pki, root, issuing } = world.tenant;
  const leaves = {
    [PAUL]: pki.leaf(issuing, PAUL, { key: 'rsa-2048-other' }),
    [NINA]: pki.leaf(issuing, NINA, { key: 'rsa-2048-nina' }),
  };
  for (const [address, { pem }] of Object.entries(leaves)) {
    await world.control('POST', '/contacts', { address, pem });
  }
  desk = new Desk({
    address: PAUL,
    leaf: leaves[PAUL] as MailUser['leaf'],
    authorities: [root, issuing],
    contacts: { [ana.email]: ana.leaf, [split.email]: split.leaf, [NINA]: leaves[NINA] as MailUser['leaf'] },
  });
});
afterAll(async () => {
  desk.close();
  await world.close();
});

const tools = (...commands: readonly string[]): boolean => commands.every(installed);
/** What a program is known not to read of what S/MIME 4.0 has, and the words it says so with. */
interface Program {
  readonly name: string;
  readonly present: boolean;
  readonly start: (desk: Desk) => MailProgram;
  readonly refuses: { readonly gcm?: RegExp; readonly oaep?: RegExp };
}
const PROGRAMS: readonly Program[] = [
  { name: 'OpenSSL', present: tools('openssl'), start: opensslProgram, refuses: {} },
  {
    name: 'NSS',
    present: tools('openssl', 'certutil', 'cmsutil', 'pk12util'),
    start: nssProgram,
    refuses: { gcm: /SEC_ERROR_UNRECOGNIZED_OID/, oaep: /SEC_ERROR_UNSUPPORTED_KEYALG/ },
  },
  {
    name: 'gpgsm',
    present: tools('openssl', 'gpgsm'),
    start: gpgsmProgram,
    // 2.2; versions from 2.3 read AES-GCM.
    refuses: {
      gcm: /error getting IV|error getting encrypted session key/,
      oaep: /error getting encrypted session key/,
    },
  },
];
const SIGNED = [{ signature: 'clear' }, { signature: 'opaque' }] as const;
const ENCRYPTED = [
  { smime: '3.2', cipher: 'aes-128-cbc', keyTransport: 'pkcs1', signature: 'clear' },
  { smime: '3.2', cipher: 'aes-256-cbc', keyTransport: 'pkcs1', signature: 'opaque' },
  { smime: '3.2', cipher: 'aes-256-cbc', keyTransport: 'oaep', signature: 'clear' },
  { smime: '4.0', cipher: 'aes-128-gcm', keyTransport: 'pkcs1', signature: 'clear' },
  { smime: '4.0', cipher: 'aes-256-gcm', keyTransport: 'oaep', signature: 'opaque' },
] as const;

const textOf = async (entity: Buffer): Promise<string> =>
  ((await PostalMime.parse(entity)).text ?? '').replace(/\r\n/g, '\n').replace(/\n$/, '');

/** Takes off one layer after the other with the program, as the person in front of it would. */
async function read(program: MailProgram, message: Buffer): Promise<string> {
  const { contentType, parameters, body } = readEntity(message);
  if (contentType === 'multipart/signed') {
    const [content, signature] = multipartParts(body, parameters['boundary'] ?? '');
    if (content === undefined || signature === undefined) throw new Error('Not two parts.');
    const cms = Buffer.from(readEntity(signature).body.toString('latin1'), 'base64');
    return read(program, program.verify(cms, content));
  }
  if (contentType !== 'application/pkcs7-mime') return textOf(message);
  const cms = Buffer.from(body.toString('latin1'), 'base64');
  const isSigned = parameters['smime-type'] === 'signed-data';
  return read(program, isSigned ? program.verify(cms) : program.decrypt(cms));
}

const pkcs7Mime = (type: string, cms: Buffer, head = ''): Buffer =>
  Buffer.from(
    `${head}Content-Type: application/pkcs7-mime; smime-type=${type}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n${cms.toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n`,
  );
const clearSigned = (content: Buffer, signature: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(
      'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n',
    ),
    content,
    Buffer.from(
      `\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n${signature.toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n--b--\r\n`,
    ),
  ]);
const HEAD = `From: ${PAUL}\r\nSubject: Plans\r\nMessage-ID: <1@partner.example>\r\nMIME-Version: 1.0\r\n`;
const INNER = Buffer.from(
  `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${TEXT.replaceAll('\n', '\r\n')}`,
);

for (const { name, present, start, refuses } of PROGRAMS) {
  describe.skipIf(!present)(`somebody outside who uses ${name}`, { timeout: 60_000 }, () => {
    let program: MailProgram;
    beforeAll(() => {
      program = start(desk);
    });
    /** The bytes of what Ana or Sam sent to Paul and Nina. */
    const sent = async (from: MailUser, form: object): Promise<Buffer> => {
      const id = await world.sent({ from: from.email, to: [PAUL, NINA], text: TEXT, ...form });
      return (await world.raw(from.email, id)).bytes;
    };

    test.each(SIGNED)('verifies mail signed in the $signature form', async (form) => {
      expect(await read(program, await sent(ana, { ...form, encrypt: false }))).toBe(TEXT);
    });

    it('refuses signed mail that was changed on its way', async () => {
      const bytes = await sent(ana, { encrypt: false });
      const changed = Buffer.from(bytes.toString('latin1').replace('K=C3=B6ln', 'Bonn'), 'latin1');
      await expect(read(program, changed)).rejects.toThrow();
    });

    const known = ENCRYPTED.filter(
      ({ smime, keyTransport }) => refusal(refuses, smime, keyTransport) === undefined,
    );
    test.each(known)(
      'opens S/MIME $smime mail signed ($signature) and encrypted with $cipher and $keyTransport',
      async (form) => {
        expect(await read(program, await sent(ana, form))).toBe(TEXT);
      },
    );
    const unknown = ENCRYPTED.filter((form) => !known.includes(form));
    test.for(unknown)(
      'cannot open S/MIME $smime mail in $cipher and $keyTransport',
      async (form, context) => {
        const opened = await read(program, await sent(ana, form)).catch((error: Error) => error);
        if (opened === TEXT) context.skip(`this version of ${name} opens it`);
        expect(String(opened)).toMatch(refusal(refuses, form.smime, form.keyTransport) as RegExp);
      },
    );

    it('verifies mail of somebody whose signing key is apart', async () => {
      expect(await read(program, await sent(split, {}))).toBe(TEXT);
    });

    test.each(['detached', 'opaque'] as const)('signs (%s) mail that the client verifies', async (form) => {
      const cms = program.sign(INNER, form);
      const message = form === 'opaque' ? pkcs7Mime('signed-data', cms) : clearSigned(INNER, cms);
      const id = await world.receive(ana.email, Buffer.concat([Buffer.from(HEAD), message]));
      expect(await world.opened(ana.email, id)).toMatchObject({
        text: TEXT,
        signed: { valid: true, signer: PAUL },
        problems: [],
      });
    });

    it('signs and encrypts to several people mail that each of them opens', async () => {
      const signed = clearSigned(INNER, program.sign(INNER, 'detached'));
      const cms = program.encrypt(signed, [ana.email, split.email]);
      for (const user of [ana, split]) {
        const id = await world.receive(user.email, pkcs7Mime('enveloped-data', cms, HEAD));
        expect(await world.opened(user.email, id)).toMatchObject({
          text: TEXT,
          signed: { valid: true, signer: PAUL },
          encrypted: { algorithm: 'RSA/ECB/PKCS1Padding' },
          problems: [],
        });
      }
    });
  });
}

function refusal(refuses: Program['refuses'], smime: string, keyTransport: string): RegExp | undefined {
  return (smime === '4.0' ? refuses.gcm : undefined) ?? (keyTransport === 'oaep' ? refuses.oaep : undefined);
}
