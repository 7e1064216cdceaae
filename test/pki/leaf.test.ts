import { X509Certificate } from 'node:crypto';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { isSealwrightError } from '../../shared/errors.ts';
import { readTbsCertificate } from '../../shared/pki/certificate.ts';
import { certificateAddresses } from '../../shared/pki/chain.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { LeafRequest } from '../../shared/pki/leaf.ts';
import { lintCertificate } from '../../shared/pki/lint.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { DUAL_USE_RSA } from '../../shared/pki/profile.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import {
  CRL_URL,
  DAY,
  ISSUER_URL,
  MINUTE,
  NOW,
  type SampleAuthority,
  sampleAuthority,
} from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

const refusal = (run: () => unknown): { code: string; message: string } => {
  try {
    run();
  } catch (error) {
    if (isSealwrightError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('Nothing was refused.');
};

describe('a leaf', () => {
  it('names its user by the primary address, with every address in the subjectAltName', async () => {
    const leaf = new X509Certificate(await ca.leaf());
    expect(leaf.subject).toBe('CN=ana@acme.example');
    expect(leaf.subjectAltName).toBe('email:ana@acme.example, email:ana.alias@acme.example');
  });

  it('is issued by the issuing CA, whose subject it repeats byte for byte', async () => {
    const leaf = pkijs.Certificate.fromBER(await ca.leaf());
    const issuer = pkijs.Certificate.fromBER(ca.issuing.certificateDer);
    expect(Buffer.from(leaf.issuer.valueBeforeDecode)).toEqual(Buffer.from(issuer.subject.valueBeforeDecode));
  });

  it('runs from five minutes ago for whole days, both ends counted, in whole seconds', () => {
    const { notBefore, notAfter } = ca.unsignedLeaf({ validityDays: 365 });
    expect(notBefore.toISOString()).toBe('2026-11-22T09:55:00.000Z');
    expect(notAfter.toISOString()).toBe('2027-11-22T09:54:59.000Z');
  });

  it('answers the dates that its bytes carry', () => {
    const leaf = ca.unsignedLeaf({ validityDays: 819 });
    const tbs = readTbsCertificate(leaf.tbsDer);
    expect([tbs.notBefore.at, tbs.notAfter.at]).toEqual([leaf.notBefore, leaf.notAfter]);
  });

  it('ends with its issuer where the days asked for would outlive it', () => {
    const issuerEnd = new X509Certificate(ca.issuing.certificateDer).validToDate;
    const late = new Date(issuerEnd.getTime() - 100 * DAY);
    expect(ca.unsignedLeaf({ now: late }).notAfter).toEqual(issuerEnd);
  });

  it('does not begin before its issuer does', () => {
    const issuerStart = new X509Certificate(ca.issuing.certificateDer).validFromDate;
    const early = new Date(issuerStart.getTime() + MINUTE);
    expect(ca.unsignedLeaf({ now: early }).notBefore).toEqual(issuerStart);
  });

  it('carries the policies of its issuer', async () => {
    const leaf = pkijs.Certificate.fromBER(await ca.leaf());
    const policies = leaf.extensions?.find(({ extnID }) => extnID === '2.5.29.32')?.parsedValue;
    expect(policies).toBeInstanceOf(pkijs.CertificatePolicies);
    const { certificatePolicies } = policies as pkijs.CertificatePolicies;
    expect(certificatePolicies.map((policy) => policy.policyIdentifier)).toEqual([EXAMPLE_POLICY_OID]);
  });

  it('prints an OCSP address where the issuer has one', async () => {
    const leaf = await ca.leaf({
      issuer: {
        certificateDer: ca.issuing.certificateDer,
        crlUrl: CRL_URL,
        issuerUrl: ISSUER_URL,
        ocspUrl: 'http://ocsp.acme.example/',
      },
    });
    expect(new X509Certificate(leaf).infoAccess).toBe(
      `CA Issuers - URI:${ISSUER_URL}\nOCSP - URI:http://ocsp.acme.example/`,
    );
  });

  it('has no basicConstraints and exactly eight extensions, of which only keyUsage is critical', async () => {
    const leaf = pkijs.Certificate.fromBER(await ca.leaf());
    const extensions = leaf.extensions?.map(({ extnID, critical }) => [extnID, critical]);
    expect(extensions).toEqual([
      ['2.5.29.15', true],
      ['2.5.29.37', false],
      ['2.5.29.14', false],
      ['2.5.29.35', false],
      ['2.5.29.32', false],
      ['2.5.29.31', false],
      ['1.3.6.1.5.5.7.1.1', false],
      ['2.5.29.17', false],
    ]);
  });

  test.each([3072, 4096] as const)('may hold a key of %i bits', async (modulusBits) => {
    const { spkiDer } = await generateRsaKey(modulusBits);
    const leaf = new X509Certificate(await ca.leaf({ spkiDer }));
    expect(leaf.publicKey.asymmetricKeyDetails?.modulusLength).toBe(modulusBits);
  });

  it('is built to the same bytes from the same request', () => {
    const request = { serialHex: '4a'.repeat(18) };
    expect(ca.unsignedLeaf(request).tbsDer).toEqual(ca.unsignedLeaf(request).tbsDer);
  });
});

describe('a leaf for an address', () => {
  const long = `${'a'.repeat(60)}@long.acme.example`;

  it('of 64 characters has it as common name', async () => {
    const address = `${'a'.repeat(51)}@acme.example`;
    expect(address).toHaveLength(64);
    expect(new X509Certificate(await ca.leaf({ addresses: [address] })).subject).toBe(`CN=${address}`);
  });

  it('of 65 characters and more has it as emailAddress, and the subjectAltName stays uncritical', async () => {
    const leaf = await ca.leaf({ addresses: [long] });
    expect(new X509Certificate(leaf).subject).toBe(`emailAddress=${long}`);
    const san = pkijs.Certificate.fromBER(leaf).extensions?.find(({ extnID }) => extnID === '2.5.29.17');
    expect(san?.critical).toBe(false);
  });

  it('with an internationalised domain prints it in A-labels, and says so', async () => {
    const request = { addresses: ['ana@Bücher.example'] };
    expect(ca.unsignedLeaf(request).addresses).toEqual(['ana@xn--bcher-kva.example']);
    expect(certificateAddresses(await ca.leaf(request))).toEqual(['ana@xn--bcher-kva.example']);
  });

  it('given in two spellings prints it once', () => {
    const addresses = ['ana@bücher.example', 'ana@xn--bcher-kva.example', 'Ana@BÜCHER.example'];
    expect(ca.unsignedLeaf({ addresses }).addresses).toEqual(['ana@xn--bcher-kva.example']);
  });

  it('with an apostrophe is read alike by both parsers', async () => {
    expect(certificateAddresses(await ca.leaf({ addresses: ["o'brien@acme.example"] }))).toEqual([
      "o'brien@acme.example",
    ]);
  });

  test.each([
    ['a non-ASCII local part', 'añα@acme.example'],
    ['a quoted local part', '"ana b"@acme.example'],
    ['no domain', 'ana@'],
    ['no local part', '@acme.example'],
    ['a domain of one label', 'ana@localhost'],
    ['an IP address as domain', 'ana@127.0.0.1'],
    ['a domain that is percent-encoded', 'ana@acm%65.example'],
    ['a local part of 65 characters', `${'a'.repeat(65)}@acme.example`],
    ['a line break', 'ana\n@acme.example'],
  ])('with %s is refused by its address', (_what, address) => {
    const { code, message } = refusal(() => ca.unsignedLeaf({ addresses: ['ok@acme.example', address] }));
    expect(code).toBe('lint-failed');
    expect(message).toContain(`"${address}"`);
  });

  it('that is missing is refused', () => {
    expect(refusal(() => ca.unsignedLeaf({ addresses: [] })).message).toContain('primary address');
  });
});

describe('a leaf is refused', () => {
  test.each([0, -1, 1.5, 820, 825, Number.NaN])('for %d days, naming the limit', (validityDays) => {
    const { code, message } = refusal(() => ca.unsignedLeaf({ validityDays }));
    expect(code).toBe('policy-invalid');
    expect(message).toContain('from 1 to 819');
  });

  it('once its issuer has expired', () => {
    const after = new Date(new X509Certificate(ca.issuing.certificateDer).validToDate.getTime() + 1000);
    expect(refusal(() => ca.unsignedLeaf({ now: after })).code).toBe('issuer-not-ready');
  });

  it('before its issuer has begun', () => {
    expect(refusal(() => ca.unsignedLeaf({ now: new Date(NOW.getTime() - DAY) })).code).toBe(
      'issuer-not-ready',
    );
  });

  it('under an issuer whose certificate is damaged', () => {
    const damaged = ca.issuing.certificateDer.slice(0, -10);
    const issuer = { certificateDer: damaged, crlUrl: CRL_URL, issuerUrl: ISSUER_URL };
    expect(refusal(() => ca.unsignedLeaf({ issuer })).code).toBe('issuer-not-ready');
  });

  it('under the root', () => {
    const issuer = { certificateDer: ca.root.certificateDer, crlUrl: CRL_URL, issuerUrl: ISSUER_URL };
    const request: Partial<LeafRequest> = { issuer, policyOids: [EXAMPLE_POLICY_OID] };
    expect(refusal(() => ca.unsignedLeaf(request)).message).toContain('issuer-may-sign');
  });

  it('for a public key that is not one', () => {
    expect(refusal(() => ca.unsignedLeaf({ spkiDer: Uint8Array.of(1, 2, 3) })).code).toBe('lint-failed');
  });

  test.each([
    ['https', 'https://pki.acme.example/issuing.crl', 'url-scheme'],
    ['a run.app host', 'http://crl-abc-ew.a.run.app/issuing.crl', 'url-host'],
    ['a bucket host', 'http://storage.googleapis.com/acme-crl/issuing.crl', 'url-host'],
    ['a bucket as subdomain', 'http://acme.storage.googleapis.com/issuing.crl', 'url-host'],
    ['a loopback host', 'http://127.0.0.1:8600/issuing.crl', 'url-host'],
    ['a query', 'http://pki.acme.example/crl?serial=1', 'url-parameters'],
  ])('with %s as CRL address, naming the rule', (_what, crlUrl, rule) => {
    const issuer = { certificateDer: ca.issuing.certificateDer, crlUrl, issuerUrl: ISSUER_URL };
    const { code, message } = refusal(() => ca.unsignedLeaf({ issuer }));
    expect(code).toBe('lint-failed');
    expect(message).toContain(rule);
  });
});

describe('a leaf of a trial on one machine', () => {
  it('may point at loopback, because its issuer does', async () => {
    const trial = await sampleAuthority({ trial: true, urlBase: 'http://127.0.0.1:8600/pki' });
    const issuer = {
      certificateDer: trial.issuing.certificateDer,
      crlUrl: 'http://127.0.0.1:8600/pki/issuing.crl',
      issuerUrl: 'http://127.0.0.1:8600/pki/issuing.cer',
    };
    const { tbsDer } = trial.unsignedLeaf({ issuer });
    const context = {
      profile: DUAL_USE_RSA,
      issuerCertificateDer: trial.issuing.certificateDer,
      signingTime: NOW,
    };
    expect(lintCertificate(tbsDer, context)).toEqual([]);
  });

  it('needs an issuing CA that was made for a trial', async () => {
    await expect(sampleAuthority({ urlBase: 'http://127.0.0.1:8600/pki' })).rejects.toMatchObject({
      code: 'lint-failed',
      message: expect.stringContaining('url-host'),
    });
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL, reading a leaf,', () => {
  const files = async () => ({
    'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer),
    'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
    'leaf.pem': derToPem('CERTIFICATE', await ca.leaf()),
  });
  const at = `${Math.floor(NOW.getTime() / 1000)}`;

  test.each(['smimesign', 'smimeencrypt'])('accepts the chain for %s, strictly', async (purpose) => {
    const { text } = openssl(
      [
        ...['verify', '-x509_strict', '-check_ss_sig', '-purpose', purpose, '-attime', at],
        ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'],
      ],
      await files(),
    );
    expect(text).toContain('leaf.pem: OK');
  });

  test.each(['sslclient', 'sslserver'])('refuses it for %s', async (purpose) => {
    const { status } = openssl(
      [
        ...['verify', '-purpose', purpose, '-attime', at],
        ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'],
      ],
      await files(),
    );
    expect(status).not.toBe(0);
  });

  it('shows what the profile says, critical where it says so', async () => {
    const { text } = openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], await files());
    expect(text.replaceAll(/\s+/g, ' ')).toMatch(
      new RegExp(
        [
          'Version: 3',
          'Signature Algorithm: sha256WithRSAEncryption',
          'Issuer: C ?= ?DE, O ?= ?Acme GmbH, CN ?= ?Acme S/MIME Issuing CA 1',
          'Not Before: Nov 22 09:55:00 2026 GMT Not After : Nov 22 09:54:59 2027 GMT',
          'Subject: CN ?= ?ana@acme.example',
          'X509v3 Key Usage: critical Digital Signature, Key Encipherment',
          'X509v3 Extended Key Usage: E-mail Protection',
          'Policy: 1.3.6.1.4.1.32473.1.1',
          'Full Name: URI:http://pki.acme.example/issuing.crl',
          'CA Issuers - URI:http://pki.acme.example/issuing.cer',
          'email:ana@acme.example, email:ana.alias@acme.example',
        ].join('.*'),
      ),
    );
  });
});
