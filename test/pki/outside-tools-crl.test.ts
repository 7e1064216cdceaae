/**
 * Our CRLs in the hands of programs that are not ours: by the same list each takes the good certificate and refuses the revoked
 * one. Where a program is known not to support something, that is shown.
 *
 * The tools know the machine's clock only, so this authority is of today.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import { makeRootCrl } from '../../shared/authority/root-crl.ts';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { signable } from '../../shared/pki/signable.ts';
import { assembleCertificate, encodeExtension } from '../../shared/pki/tbs.ts';
import { withCrlParts } from './mutate.ts';
import { casesOf } from './outside-cases.ts';
import { sampleAuthority } from './sample-authority.ts';
import { installed, tool } from './tools.ts';

const cases = casesOf('test/pki/outside-tools-crl.test.ts');

const EMAIL = '1.3.6.1.5.5.7.3.4';
const ISSUING_DISTRIBUTION_POINT = '2.5.29.28';
/** onlyContainsUserCerts, which is true of every CRL of an issuing CA. */
const USERS_ONLY = Uint8Array.of(0x30, 3, 0x81, 1, 0xff);

let site: Server;
/** What is at the addresses that the certificates carry. */
let published: Record<string, Uint8Array>;
let pointed: Uint8Array;
let files: Readonly<Record<string, Uint8Array | string>>;

beforeAll(async () => {
  site = createServer((request, response) => {
    const bytes = published[request.url ?? ''];
    response.statusCode = bytes === undefined ? 404 : 200;
    response.end(bytes);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  const urlBase = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const now = new Date();
  const ca = await sampleAuthority({ now, trial: true, urlBase });
  const issuer = { ...ca.leafRequest().issuer, crlUrl: `${urlBase}/issuing.crl` };
  const good = await ca.leaf({ issuer, addresses: ['good@acme.example'] });
  const revoked = await ca.leaf({ issuer, addresses: ['revoked@acme.example'] });
  const { serialHex } = readCertificate(revoked);
  const certificateDer = ca.issuing.certificateDer;
  const { tbsDer } = buildCrl({
    issuerCertificateDer: certificateDer,
    crlNumber: 7n,
    now,
    entries: [{ serialHex, reason: 'keyCompromise', revokedAt: now }],
  });
  const crl = await issueCrl({
    tbsDer: madeOffline(tbsDer),
    issuerCertificateDer: certificateDer,
    signer: ca.issuingSigner,
    signingTime: now,
  });
  // Signed past our linter: we publish none like it.
  const withPoint = withCrlParts(tbsDer, {
    extensions: [
      ...readCrlHeader(tbsDer).extensions.map(({ oid, critical, value }) =>
        encodeExtension(oid, critical, value),
      ),
      encodeExtension(ISSUING_DISTRIBUTION_POINT, true, USERS_ONLY),
    ],
  });
  pointed = assembleCertificate(withPoint, 'sha256WithRSA', await ca.issuingSigner.sign(signable(withPoint)));
  const rootDer = ca.root.certificateDer;
  const previousDer = ca.root.crlDer;
  const revoke = { certificateDer, reason: 'keyCompromise' } as const;
  const rootRevoking = await makeRootCrl({ rootDer, signer: ca.rootSigner, previousDer, now, revoke });
  published = { '/issuing.crl': crl, '/root.crl': previousDer };
  const pem = (...ders: readonly Uint8Array[]) => ders.map((der) => derToPem('CERTIFICATE', der)).join('');
  const crls = (...ders: readonly Uint8Array[]) => ders.map((der) => derToPem('X509 CRL', der)).join('');
  files = {
    'root.pem': pem(rootDer),
    'issuing.pem': pem(certificateDer),
    'good.pem': pem(good),
    'revoked.pem': pem(revoked),
    'good-chain.pem': pem(good, certificateDer, rootDer),
    'revoked-chain.pem': pem(revoked, certificateDer, rootDer),
    'all.pem': pem(rootDer, certificateDer, good, revoked),
    'issuing.crl': crl,
    'pointed.crl': pointed,
    'crls.pem': crls(crl, previousDer),
    'crls-root-revoking.pem': crls(crl, rootRevoking),
  };
});
afterAll(() => site.close());

describe.skipIf(!installed('openssl'))('OpenSSL (skipped without openssl)', () => {
  const verify = (leaf: string, crls: string) =>
    tool(files).run(
      ...(['openssl', 'verify', '-crl_check_all', '-CRLfile', crls, '-CAfile', 'root.pem'] as const),
      ...['-untrusted', 'issuing.pem', leaf],
    );

  it(cases.titled('OpenSSL, CRL'), () => {
    expect(verify('good.pem', 'crls.pem')).toMatchObject({ status: 0 });
    const { status, text } = verify('revoked.pem', 'crls.pem');
    expect([status, text]).toEqual([
      2,
      expect.stringMatching(/error 23 at 0 depth lookup: certificate revoked/),
    ]);
  });

  it(cases.titled('OpenSSL, CRL of the root'), () => {
    const { status, text } = verify('good.pem', 'crls-root-revoking.pem');
    expect([status, text]).toEqual([
      2,
      expect.stringMatching(/error 23 at 1 depth lookup: certificate revoked/),
    ]);
  });
});

describe.skipIf(!installed('certtool'))('GnuTLS (skipped without gnutls-bin)', () => {
  test.each([
    ['takes the good certificate', 'good-chain.pem', 'crls.pem', 'Verified. The certificate is trusted.'],
    [cases.titled('GnuTLS, CRL'), 'revoked-chain.pem', 'crls.pem', 'The certificate chain is revoked.'],
    [
      cases.titled('GnuTLS, CRL of the root'),
      'good-chain.pem',
      'crls-root-revoking.pem',
      'The certificate chain is revoked.',
    ],
  ])('%s', (_what, chain, crls, verdict) => {
    const { text } = tool(files).run(
      ...(['certtool', '--verify', '--load-ca-certificate', 'root.pem', '--load-crl', crls] as const),
      ...['--infile', chain, '--verify-purpose', EMAIL],
    );
    expect(/Chain verification output: .*/.exec(text)?.[0]).toContain(verdict);
  });
});

describe.skipIf(!installed('certutil') || !installed('crlutil'))(
  'NSS (skipped without libnss3-tools)',
  () => {
    /** A database that trusts the root for mail and has both users' certificates. */
    const database = () => {
      const { run } = tool(files);
      run('mkdir', 'db');
      run('certutil', '-N', '-d', 'sql:db', '--empty-password');
      for (const [name, trust] of [
        ['root', ',C,'],
        ['issuing', ',,'],
        ['good', ',,'],
        ['revoked', ',,'],
      ] as const)
        run('certutil', '-A', '-d', 'sql:db', '-n', name, '-t', trust, '-i', `${name}.pem`);
      return {
        take: (crl: string) => run('crlutil', '-I', '-d', 'sql:db', '-i', crl, '-t', '1'),
        verify: (name: string) => run('certutil', '-V', '-e', '-d', 'sql:db', '-n', name, '-u', 'S'),
      };
    };

    it(cases.titled('NSS, CRL'), () => {
      const { take, verify } = database();
      expect(verify('revoked').text).toContain('certificate is valid');
      expect(take('issuing.crl').status).toBe(0);
      expect(verify('good')).toMatchObject({
        status: 0,
        text: expect.stringContaining('certificate is valid'),
      });
      const { status, text } = verify('revoked');
      expect([status, text]).toEqual([255, expect.stringContaining('Certificate has been revoked')]);
    });

    it('refuses a CRL with a critical issuingDistributionPoint, which is why ours is one full CRL without it', () => {
      const { take, verify } = database();
      expect(take('pointed.crl').text).toContain('SEC_ERROR_CRL_UNKNOWN_CRITICAL_EXTENSION');
      expect(verify('revoked').text).toContain('certificate is valid');
    });
  },
);

describe.skipIf(!installed('gpgsm') || !installed('dirmngr') || !installed('openssl'))(
  'gpgsm, whose dirmngr fetches the CRLs itself (skipped without gpgsm or dirmngr)',
  () => {
    /** What a new home that trusts the root says of the four certificates, with this at the issuing CA's address. */
    const verdicts = async (crl: Uint8Array) => {
      const before = published;
      published = { ...before, '/issuing.crl': crl };
      onTestFinished(() => {
        published = before;
      });
      const { run, runAside, write } = tool(files);
      run('mkdir', '-m', '700', 'home');
      const print = run('openssl', 'x509', '-in', 'root.pem', '-noout', '-fingerprint', '-sha1').text;
      write('home/trustlist.txt', `${/=([0-9A-F:]+)/.exec(print)?.[1]} S relax\n`);
      onTestFinished(() => void run('gpgconf', '--homedir', 'home', '--kill', 'all'));
      const gpgsm = (...words: readonly string[]) =>
        runAside('gpgsm', '--homedir', 'home', '--batch', ...words);
      await gpgsm('--disable-crl-checks', '--import', 'all.pem');
      const { text } = await gpgsm('--list-keys', '--with-validation');
      const about = text.split(/^ +ID: /m).slice(1);
      const last = (of: string) => [...of.matchAll(/^ +\[((?:certificate|checking) .*)\]$/gm)].at(-1)?.[1];
      return about.map((of) => last(of));
    };

    // In the order of the file: root, issuing CA, good, revoked.
    it(cases.titled('gpgsm, CRL'), async () => {
      expect(await verdicts(published['/issuing.crl'] ?? expect.unreachable())).toEqual([
        'certificate is good',
        'certificate is good',
        'certificate is good',
        'certificate is bad: Certificate revoked',
      ]);
    });

    it('refuses a CRL with a critical issuingDistributionPoint, and with it every user’s certificate', async () => {
      expect(await verdicts(pointed)).toEqual([
        'certificate is good',
        'certificate is good',
        'certificate is bad: Invalid CRL',
        'certificate is bad: No CRL known',
      ]);
    });
  },
);

describe('the table of kinds and programs', () => {
  it('names no case of this file that is not shown here', () => {
    expect(cases.missing()).toEqual([]);
  });
});
