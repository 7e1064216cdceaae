/**
 * Every kind of file that leaves, in the hands of programs that are not ours: each accepts the good one and refuses the bad
 * one, and where a program is known not to support something, that is shown. CRLs have `outside-tools-crl.test.ts`,
 * OCSP the last part of `test/functions/ocsp.test.ts`; `outside-tools-kinds.test.ts` is the table of all kinds and programs.
 *
 * The tools know the machine's clock only, so this authority is of today.
 */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { derToPem } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import { writePkcs12 } from '../../shared/pki/pkcs12.ts';
import { encryptPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { casesOf } from './outside-cases.ts';
import { sampleAuthority } from './sample-authority.ts';
import { installed, tool } from './tools.ts';

const cases = casesOf('test/pki/outside-tools.test.ts');

const PASSWORD = 'correct horse';
const EMAIL = '1.3.6.1.5.5.7.3.4';
const SERVER = '1.3.6.1.5.5.7.3.1';
type Files = Readonly<Record<string, Uint8Array | string>>;

let files: Files;
beforeAll(async () => {
  const now = new Date();
  const ca = await sampleAuthority({ now });
  const leaf = await ca.leaf({ now });
  // Everything fits but the last octet of the signature.
  const forged = Uint8Array.from(leaf, (octet, at) => (at === leaf.length - 1 ? octet ^ 1 : octet));
  const above = [ca.issuing.certificateDer, ca.root.certificateDer] as const;
  const pem = (...ders: readonly Uint8Array[]) => ders.map((der) => derToPem('CERTIFICATE', der)).join('');
  const pkcs7 = certsOnlyPkcs7([leaf, ...above]);
  const pkcs12 = (form: 'modern' | 'legacy') =>
    writePkcs12({
      form,
      leafDer: leaf,
      chainDer: above,
      pkcs8Der: ca.userKey.pkcs8Der,
      friendlyName: 'ana',
      password: PASSWORD,
      random: randomBytes,
    }).der;
  files = {
    'leaf.pem': pem(leaf),
    'issuing.pem': pem(above[0]),
    'root.pem': pem(above[1]),
    'chain.pem': pem(leaf, ...above),
    'forged.pem': pem(forged),
    'forged-chain.pem': pem(forged, ...above),
    'chain.p7': derToPem('PKCS7', pkcs7),
    'chain.p7b': pkcs7,
    'cut.p7b': pkcs7.subarray(0, pkcs7.length - 400),
    'modern.p12': pkcs12('modern'),
    'legacy.p12': pkcs12('legacy'),
    'key.pem': encryptPrivateKeyPem(ca.userKey.pkcs8Der, PASSWORD, randomBytes, 10_000),
    'mail.txt': 'Lunch at noon?\n',
  };
});

const FORMS = ['modern', 'legacy'] as const;

describe.skipIf(!installed('openssl'))('OpenSSL (skipped without openssl)', () => {
  const verify = (file: string, purpose: string) =>
    tool(files).run(
      'openssl',
      'verify',
      '-purpose',
      purpose,
      '-CAfile',
      'root.pem',
      '-untrusted',
      'issuing.pem',
      file,
    );

  test.each(['smimesign', 'smimeencrypt'])('accepts the chain for %s', (purpose) => {
    expect(verify('leaf.pem', purpose)).toMatchObject({
      status: 0,
      text: expect.stringContaining('leaf.pem: OK'),
    });
  });

  test.each([
    ['for a server', 'leaf.pem', 'sslserver', /(unsuitable|unsupported) certificate purpose/],
    ['with a changed signature', 'forged.pem', 'smimesign', /signature failure/],
  ])('refuses the chain %s', (_what, file, purpose, text) => {
    expect(verify(file, purpose)).toMatchObject({ status: 2, text: expect.stringMatching(text) });
  });

  test.each([
    ['chain.p7', 'PEM'],
    ['chain.p7b', 'DER'],
  ])(cases.titled('OpenSSL, PKCS#7'), (file, form) => {
    const { text } = tool(files).run(
      'openssl',
      'pkcs7',
      '-in',
      file,
      '-inform',
      form,
      '-print_certs',
      '-noout',
    );
    expect(text.match(/subject=/g)).toHaveLength(3);
  });

  test.each([
    ['a PKCS#7 that is cut', ['pkcs7', '-in', 'cut.p7b', '-inform', 'DER', '-noout']],
    [
      'the modern PKCS#12 with a wrong password',
      ['pkcs12', '-in', 'modern.p12', '-passin', 'pass:Correct horse', '-noout'],
    ],
    [
      'the legacy PKCS#12 with a wrong password',
      ['pkcs12', '-in', 'legacy.p12', '-passin', 'pass:Correct horse', '-noout'],
    ],
    [
      'the encrypted key with a wrong password',
      ['pkey', '-in', 'key.pem', '-passin', 'pass:Correct horse', '-noout'],
    ],
  ])('refuses %s', (_what, words) => {
    expect(tool(files).run('openssl', ...words).status).not.toBe(0);
  });

  test.each([
    ['modern', 'AES-256-CBC, Iteration 100000, PRF hmacWithSHA256'],
    ['legacy', 'pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 100000'],
  ])(cases.titled('OpenSSL, PKCS#12'), (form, cipher) => {
    const words = ['-in', `${form}.p12`, '-passin', `pass:${PASSWORD}`, '-info', '-noout'];
    expect(tool(files).run('openssl', 'pkcs12', ...words)).toMatchObject({
      status: 0,
      text: expect.stringContaining(cipher),
    });
  });

  it('opens the encrypted key with its password', () => {
    const words = ['-in', 'key.pem', '-passin', `pass:${PASSWORD}`, '-check', '-noout'];
    expect(tool(files).run('openssl', 'pkey', ...words)).toMatchObject({
      status: 0,
      text: expect.stringContaining('Key is valid'),
    });
  });
});

describe.skipIf(!installed('certtool'))('GnuTLS (skipped without gnutls-bin)', () => {
  const verify = (file: string, purpose: string) =>
    tool(files).run(
      'certtool',
      '--verify',
      '--verify-profile',
      'medium',
      '--load-ca-certificate',
      'root.pem',
      '--infile',
      file,
      '--verify-purpose',
      purpose,
    ).text;

  it('accepts the chain for mail', () => {
    expect(verify('chain.pem', EMAIL)).toContain(
      'Chain verification output: Verified. The certificate is trusted.',
    );
  });

  test.each([
    ['for a server', 'chain.pem', SERVER, 'does not match the intended purpose'],
    ['with a changed signature', 'forged-chain.pem', EMAIL, 'NOT trusted'],
  ])('refuses the chain %s', (_what, file, purpose, text) => {
    expect(verify(file, purpose)).toMatch(new RegExp(`Chain verification output: Not verified\\..*${text}`));
  });

  test.each([
    ['chain.p7', []],
    ['chain.p7b', ['--inder']],
  ])(cases.titled('GnuTLS, PKCS#7'), (file, form) => {
    const { status, text } = tool(files).run('certtool', '--p7-info', ...form, '--infile', file);
    expect([status, text]).toEqual([0, expect.stringContaining('Number of certificates: 3')]);
  });

  it(cases.titled('GnuTLS, PKCS#7 that is cut'), () => {
    expect(tool(files).run('certtool', '--p7-info', '--inder', '--infile', 'cut.p7b').status).not.toBe(0);
  });

  test.each(FORMS)(cases.titled('GnuTLS, PKCS#12'), (form) => {
    const open = (password: string) =>
      tool(files).run('certtool', '--p12-info', '--inder', '--infile', `${form}.p12`, '--password', password);
    expect(open(PASSWORD).text.match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(3);
    expect(open('Correct horse').text).not.toContain('-----BEGIN CERTIFICATE-----');
  });

  it('opens the encrypted key with its password and with no other', () => {
    const open = (password: string) =>
      tool(files).run('certtool', '--key-info', '--infile', 'key.pem', '--password', password).text;
    expect(open(PASSWORD)).toMatch(/Public Key Info[\s\S]*RSA[\s\S]*2048/);
    expect(open('Correct horse')).toContain('Decryption has failed');
  });
});

describe.skipIf(!installed('certutil') || !installed('cmsutil') || !installed('pk12util'))(
  'NSS (skipped without libnss3-tools)',
  () => {
    /** A database that trusts the root for mail, with the user's key. */
    const database = () => {
      const { run, ...rest } = tool(files);
      run('mkdir', 'db');
      run('certutil', '-N', '-d', 'sql:db', '--empty-password');
      run('certutil', '-A', '-d', 'sql:db', '-n', 'root', '-t', ',C,', '-i', 'root.pem');
      run('certutil', '-A', '-d', 'sql:db', '-n', 'issuing', '-t', ',,', '-i', 'issuing.pem');
      return { run, ...rest };
    };
    const withKey = () => {
      const nss = database();
      nss.run('pk12util', '-i', 'modern.p12', '-d', 'sql:db', '-W', PASSWORD);
      return nss;
    };

    it('accepts the chain for signing and for receiving mail, and refuses it for a server', () => {
      const { run } = withKey();
      const verify = (usage: string) => run('certutil', '-V', '-e', '-d', 'sql:db', '-n', 'ana', '-u', usage);
      for (const usage of ['S', 'R'])
        expect(verify(usage)).toMatchObject({
          status: 0,
          text: expect.stringContaining('certificate is valid'),
        });
      expect(verify('V')).toMatchObject({
        status: 255,
        text: expect.stringContaining('not approved for application'),
      });
    });

    it('refuses a certificate whose signature was changed', () => {
      const { run } = database();
      run('certutil', '-A', '-d', 'sql:db', '-n', 'forged', '-t', ',,', '-i', 'forged.pem');
      expect(run('certutil', '-V', '-e', '-d', 'sql:db', '-n', 'forged', '-u', 'S').status).toBe(255);
    });

    it('signs and encrypts mail with the imported key, opens it again, and refuses what was changed', () => {
      const { run, read, write } = withKey();
      run('cmsutil', '-S', '-d', 'sql:db', '-N', 'ana', '-i', 'mail.txt', '-o', 'signed');
      expect(run('cmsutil', '-D', '-d', 'sql:db', '-i', 'signed')).toMatchObject({
        status: 0,
        text: expect.stringContaining('Lunch at noon?'),
      });
      run('cmsutil', '-E', '-d', 'sql:db', '-r', 'ana@acme.example', '-i', 'mail.txt', '-o', 'sealed');
      expect(read('sealed').includes('Lunch')).toBe(false);
      expect(run('cmsutil', '-D', '-d', 'sql:db', '-i', 'sealed').text).toContain('Lunch at noon?');
      const changed = read('signed');
      changed.write('M', changed.indexOf('Lunch'));
      write('changed', changed);
      expect(run('cmsutil', '-D', '-d', 'sql:db', '-i', 'changed').status).not.toBe(0);
    });

    test.each(FORMS)(cases.titled('NSS, PKCS#12'), (form) => {
      const { run } = database();
      const take = (password: string) => run('pk12util', '-i', `${form}.p12`, '-d', 'sql:db', '-W', password);
      expect(take('Correct horse')).toMatchObject({
        text: expect.stringContaining('SEC_ERROR_BAD_PASSWORD'),
      });
      expect(run('certutil', '-L', '-d', 'sql:db').text).not.toMatch(/^ana/m);
      expect(take(PASSWORD)).toMatchObject({ status: 0, text: expect.stringContaining('IMPORT SUCCESSFUL') });
      expect(run('certutil', '-K', '-d', 'sql:db').text).toMatch(/rsa.*ana/);
    });

    it.skipIf(!installed('p7content'))(cases.titled('NSS, PKCS#7'), () => {
      const { run } = database();
      expect(run('p7content', '-d', 'sql:db', '-i', 'chain.p7b')).toMatchObject({
        status: 0,
        text: expect.stringContaining('There were certs or crls included.'),
      });
      expect(run('p7content', '-d', 'sql:db', '-i', 'cut.p7b').status).not.toBe(0);
    });

    it('(cmsutil) does not take a chain with CA certificates in a PKCS#7, whoever made it', () => {
      const { run } = database();
      run(
        'openssl',
        'crl2pkcs7',
        '-nocrl',
        '-certfile',
        'chain.pem',
        '-outform',
        'DER',
        '-out',
        'theirs.p7b',
      );
      for (const file of ['chain.p7b', 'theirs.p7b']) {
        expect(run('cmsutil', '-D', '-d', 'sql:db', '-i', file).text).toContain('Verify certs-only failed');
      }
    });
  },
);

describe.skipIf(!installed('gpgsm'))('gpgsm (skipped without gpgsm)', () => {
  /** A home that trusts the root. */
  const home = () => {
    const { run, input, write, ...rest } = tool(files);
    run('mkdir', '-m', '700', 'home');
    const print = run('openssl', 'x509', '-in', 'root.pem', '-noout', '-fingerprint', '-sha1').text;
    write('home/trustlist.txt', `${/=([0-9A-F:]+)/.exec(print)?.[1]} S relax\n`);
    const options = ['--homedir', 'home', '--batch', '--disable-dirmngr', '--disable-crl-checks'];
    const secret = ['--pinentry-mode', 'loopback', '--passphrase-fd', '0'];
    return {
      ...rest,
      gpgsm: (...words: readonly string[]) => run('gpgsm', ...options, ...words),
      withPassword: (...words: readonly string[]) =>
        input(PASSWORD, 'gpgsm', ...options, ...secret, ...words),
      end: () => run('gpgconf', '--homedir', 'home', '--kill', 'all'),
    };
  };

  it.skipIf(!installed('openssl'))(cases.titled('gpgsm, PKCS#7'), () => {
    const { gpgsm, end } = home();
    expect(gpgsm('--import', 'chain.p7b').text).toContain('imported: 3');
    expect(gpgsm('--list-keys', '--with-validation').text.match(/\[certificate is good\]/g)).toHaveLength(3);
    const { text, status } = gpgsm('--import', 'forged.pem');
    expect([status === 0, text]).toEqual([false, expect.stringContaining('BAD signature')]);
    end();
  });

  // Its agent measures the machine to protect the key it imports; on a busy one that has taken half a minute.
  it.skipIf(!installed('openssl'))(cases.titled('gpgsm, legacy PKCS#12'), { timeout: 120_000 }, () => {
    const { withPassword, gpgsm, end } = home();
    expect(withPassword('--import', 'legacy.p12').text).toContain('secret keys imported: 1');
    withPassword('-u', 'ana@acme.example', '--output', 'signed', '--sign', 'mail.txt');
    expect(gpgsm('--verify', 'signed')).toMatchObject({
      status: 0,
      text: expect.stringContaining('Good signature'),
    });
    gpgsm('-r', 'ana@acme.example', '--output', 'sealed', '--encrypt', 'mail.txt');
    expect(withPassword('--decrypt', 'sealed').text).toContain('Lunch at noon?');
    end();
  });

  it(cases.titled('gpgsm, modern PKCS#12'), (context) => {
    const version = tool({}).run('gpgsm', '--version').text;
    if (!/gpgsm \(GnuPG\) 2\.2\./.test(version)) context.skip('a newer gpgsm');
    const { withPassword, end } = home();
    const { text } = withPassword('--import', 'modern.p12');
    expect(text).toContain('pkcs5PBES2-params');
    expect(text).not.toContain('secret keys imported: 1');
    end();
  });
});

describe('the table of kinds and programs', () => {
  it('names no case of this file that is not shown here', () => {
    expect(cases.missing()).toEqual([]);
  });
});
