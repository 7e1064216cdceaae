import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { contextConstructed, integer, octetString, oid, sequence } from '../../shared/pki/der.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { type Pkcs12Form, type Pkcs12Request, readPkcs12, writePkcs12 } from '../../shared/pki/pkcs12.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { type SampleAuthority, sampleAuthority } from './sample-authority.ts';
import { installed, tool } from './tools.ts';

const PASSWORD = 'correct horse';
const FORMS: readonly Pkcs12Form[] = ['modern', 'legacy'];

let ca: SampleAuthority;
let leafDer: Uint8Array;
let files: Readonly<Record<Pkcs12Form, Uint8Array>>;
let warnings: Readonly<Record<Pkcs12Form, string | undefined>>;
beforeAll(async () => {
  ca = await sampleAuthority();
  leafDer = await ca.leaf();
  const [modern, legacy] = [write('modern'), write('legacy')];
  files = { modern: modern.der, legacy: legacy.der };
  warnings = { modern: modern.warning, legacy: legacy.warning };
});

const write = (form: Pkcs12Form, changes: Partial<Pkcs12Request> = {}) =>
  writePkcs12({
    form,
    leafDer,
    chainDer: [ca.issuing.certificateDer, ca.root.certificateDer],
    pkcs8Der: ca.userKey.pkcs8Der,
    friendlyName: 'Ana Ünal, 2026',
    password: PASSWORD,
    random: randomBytes,
    ...changes,
  });

const problem = (name: string) =>
  expect.objectContaining({ code: 'malformed-request', details: { problem: name } });

describe('a PKCS#12 file', () => {
  test.each(FORMS)('(%s) opens to the key, the chain and the name that went in', (form) => {
    const { certificatesDer, pkcs8Der, friendlyName } = readPkcs12(files[form], PASSWORD);
    expect(certificatesDer.map((der) => Buffer.from(der))).toEqual(
      [leafDer, ca.issuing.certificateDer, ca.root.certificateDer].map((der) => Buffer.from(der)),
    );
    expect(Buffer.from(pkcs8Der ?? [])).toEqual(Buffer.from(ca.userKey.pkcs8Der));
    expect(friendlyName).toBe('Ana Ünal, 2026');
  });

  test.each(FORMS)('(%s) does not open with another password', (form) => {
    expect(() => readPkcs12(files[form], 'Correct horse')).toThrow(problem('wrong-password'));
  });

  it('warns when the old form is asked for, and only then', () => {
    expect(warnings.modern).toBeUndefined();
    expect(warnings.legacy).toMatch(/3DES and SHA-1.*\.$/);
  });

  it('is not written with a key that is not the certificate’s', async () => {
    const { pkcs8Der } = await generateRsaKey(2048);
    expect(() => write('modern', { pkcs8Der })).toThrow('does not belong to the certificate');
  });

  it('is not written with a short password or few iterations', () => {
    expect(() => write('modern', { password: 'short' })).toThrow('8 characters');
    expect(() => write('modern', { iterations: 2048 })).toThrow('100000 or more');
  });

  it('never has the key or the certificate in it as they are', () => {
    for (const form of FORMS) {
      expect(Buffer.from(files[form]).includes(Buffer.from(ca.userKey.pkcs8Der).subarray(100, 140))).toBe(
        false,
      );
      expect(Buffer.from(files[form]).includes(Buffer.from('ana@acme.example'))).toBe(false);
    }
  });

  test.each([
    ['nothing', () => new Uint8Array(), 'malformed'],
    ['a certificate', () => leafDer, 'malformed'],
    ['a file that is cut', () => files.modern.subarray(0, -20), 'malformed'],
    [
      'a file without a check value',
      () =>
        sequence(
          integer(3),
          sequence(oid('1.2.840.113549.1.7.1'), contextConstructed(0, octetString(sequence()))),
        ),
      'unsupported',
    ],
  ] as const)('is refused when it is %s, in a sentence', (_what, bytes, name) => {
    expect(() => readPkcs12(bytes(), PASSWORD)).toThrow(problem(name));
  });

  it('that asks for a hundred million iterations is refused at once', () => {
    const body = Buffer.from(files.modern);
    // The MAC's count is the last INTEGER of the file: 02 03 01 86 a0. One that is four octets longer is spliced in.
    const at = body.lastIndexOf(Buffer.from('02030186a0', 'hex'));
    const outer = Buffer.concat([
      body.subarray(0, at),
      Buffer.from('02037fffff', 'hex'),
      body.subarray(at + 5),
    ]);
    expect(() => readPkcs12(outer, PASSWORD)).toThrow(problem('unsupported'));
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  test.each([
    [
      'modern',
      'PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256',
      'MAC: sha256, Iteration 100000',
    ],
    ['legacy', 'pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 100000', 'MAC: sha1, Iteration 100000'],
  ] as const)('opens the %s form and names its algorithms', (form, cipher, mac) => {
    const { text, status } = openssl(
      ['pkcs12', '-in', 'a.p12', '-passin', `pass:${PASSWORD}`, '-nodes', '-info'],
      {
        'a.p12': files[form],
      },
    );
    expect(status).toBe(0);
    expect(text).toContain(mac);
    expect(text).toContain(`Encrypted data: ${cipher}`);
    expect(text).toContain(`Shrouded Keybag: ${cipher}`);
    expect(Array.from(text.matchAll(/subject=.*CN ?= ?(.*)/g), ([, name]) => name)).toEqual([
      'ana@acme.example',
      'Acme S/MIME Issuing CA 1',
      'Acme S/MIME Root 1',
    ]);
    const ids = Array.from(text.matchAll(/localKeyID: ([0-9A-F ]+)/g), ([, id]) => id?.trim());
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  });

  test.each([
    ['its default', []],
    ['3DES', ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
    ['AES-128 and SHA-512', ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'sha512']],
    ['plain certificates', ['-certpbe', 'NONE']],
  ])('makes files with %s that open here', (_what, how) => {
    const { output } = openssl(
      ['pkcs12', '-export', '-in', 'leaf.pem', '-inkey', 'leaf.key', ...how, '-passout', `pass:${PASSWORD}`],
      {
        'leaf.pem': derToPem('CERTIFICATE', leafDer),
        'leaf.key': derToPem('PRIVATE KEY', ca.userKey.pkcs8Der),
      },
    );
    const { certificatesDer, pkcs8Der } = readPkcs12(output, PASSWORD);
    expect(certificatesDer).toHaveLength(1);
    expect(Buffer.from(pkcs8Der ?? [])).toEqual(Buffer.from(ca.userKey.pkcs8Der));
  });
});

describe.skipIf(!installed('pk12util') || !installed('certutil'))(
  'NSS (skipped without libnss3-tools)',
  () => {
    test.each(FORMS)('imports the %s form and exports one that opens here', (form) => {
      const { run, read } = tool({ 'a.p12': files[form] });
      run('mkdir', 'db');
      run('certutil', '-N', '-d', 'sql:db', '--empty-password');
      expect(run('pk12util', '-i', 'a.p12', '-d', 'sql:db', '-W', PASSWORD).text).toContain(
        'IMPORT SUCCESSFUL',
      );
      run('pk12util', '-o', 'b.p12', '-n', 'Ana Ünal, 2026', '-d', 'sql:db', '-W', PASSWORD);
      const { pkcs8Der, certificatesDer } = readPkcs12(read('b.p12'), PASSWORD);
      expect(Buffer.from(pkcs8Der ?? [])).toEqual(Buffer.from(ca.userKey.pkcs8Der));
      expect(certificatesDer).toHaveLength(3);
    });
  },
);
