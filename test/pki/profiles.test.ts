/** Every profile issued for real and read by others: EC beside RSA, all uses, sponsors, OCSP and audit signers. */

import { X509Certificate } from 'node:crypto';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { type Authority, createAuthority } from '../../shared/pki/authority.ts';
import { keyIdentifier, readTbsCertificate } from '../../shared/pki/certificate.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { bitString, nullValue, octetString, oid, sequence } from '../../shared/pki/der.ts';
import { issueCertificate, issueCrl } from '../../shared/pki/issue.ts';
import { generateEcKey, generateRsaKey, type KeyPair } from '../../shared/pki/key.ts';
import { buildLeaf, type LeafRequest } from '../../shared/pki/leaf.ts';
import { lintCertificate } from '../../shared/pki/lint.ts';
import { lintChain } from '../../shared/pki/lint-chain.ts';
import { EXAMPLE_POLICY_OID, EXTENSION_OIDS } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import {
  AUDIT_SIGNER,
  type CertificateProfile,
  LEAF_PROFILES,
  leafProfileFor,
  OCSP_SIGNER,
} from '../../shared/pki/profile.ts';
import type { Curve } from '../../shared/pki/public-key.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import {
  buildAuditSigner,
  buildOcspSigner,
  type ServiceRequest,
} from '../../shared/pki/service-certificate.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { withExtension, withMoreExtension, withParts } from './mutate.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { CRL_URL, DAY, ISSUER_URL, NOW, seededRandom } from './sample-authority.ts';
import { installed, tool } from './tools.ts';

const STRICT_MAILBOX = '2.23.140.1.5.1.3';
const random = seededRandom('profiles');

const authority = (curve: Curve | undefined, reserved?: string, now = NOW): Promise<Authority> =>
  createAuthority({
    country: 'DE',
    organization: 'Acme GmbH',
    rootName: 'Acme S/MIME Root 1',
    issuingName: 'Acme S/MIME Issuing CA 1',
    rootCrlUrl: 'http://pki.acme.example/root.crl',
    rootUrl: 'http://pki.acme.example/root.cer',
    policyOids: { own: EXAMPLE_POLICY_OID, ...(reserved === undefined ? {} : { reserved }) },
    now,
    random,
    ...(curve === undefined ? { modulusBits: 2048 } : { curve }),
  });

type IssuerName = 'RSA' | 'P-256' | 'P-384';
let issuers: Readonly<Record<IssuerName, Authority>>;
let reserved: Authority;
let keys: Readonly<Record<'rsa' | 'ec' | 'P-384', KeyPair>>;
beforeAll(async () => {
  const [rsaCa, p256Ca, p384Ca, reservedCa, rsa, ec, p384] = await Promise.all([
    authority(undefined),
    authority('P-256'),
    authority('P-384'),
    authority('P-256', STRICT_MAILBOX),
    generateRsaKey(2048),
    generateEcKey('P-256'),
    generateEcKey('P-384'),
  ]);
  issuers = { RSA: rsaCa, 'P-256': p256Ca, 'P-384': p384Ca };
  reserved = reservedCa;
  keys = { rsa, ec, 'P-384': p384 };
});

const SPONSOR = {
  template: {
    country: 'DE',
    organization: 'Acme GmbH',
    organizationIdentifier: 'NTRDE-HRB123456',
    givenName: '{givenName}',
    surname: '{familyName}',
    commonName: '{givenName} {familyName}',
  },
  givenName: 'Ána',
  familyName: 'Müller',
};

const isEc = ({ curves }: CertificateProfile) => curves.value.length > 0;

const request = (
  profile: CertificateProfile,
  ca: Authority,
  changes: Partial<LeafRequest> = {},
): LeafRequest => ({
  issuer: { certificateDer: ca.issuing.certificateDer, crlUrl: CRL_URL, issuerUrl: ISSUER_URL },
  spkiDer: keys[isEc(profile) ? 'ec' : 'rsa'].spkiDer,
  addresses: ['ana@acme.example'],
  serialHex: drawSerial(random),
  now: NOW,
  validityDays: 365,
  profile,
  ...(profile.subject.value === 'sponsor' ? { subject: SPONSOR } : {}),
  ...changes,
});

const sign = (ca: Authority, tbsDer: Uint8Array, profile: CertificateProfile, signingTime = NOW) =>
  issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile,
    issuerCertificateDer: ca.issuing.certificateDer,
    signer: signerFromPkcs8(ca.issuing.pkcs8Der, { certificateDer: ca.issuing.certificateDer }),
    signingTime,
  });

const issue = (profile: CertificateProfile, ca: Authority, changes: Partial<LeafRequest> = {}) =>
  sign(ca, buildLeaf(request(profile, ca, changes)).tbsDer, profile, changes.now);

const policiesOf = (certificateDer: Uint8Array) => {
  const extension = pkijs.Certificate.fromBER(certificateDer).extensions?.find(
    ({ extnID }) => extnID === '2.5.29.32',
  )?.parsedValue as pkijs.CertificatePolicies;
  return extension.certificatePolicies.map(({ policyIdentifier }) => policyIdentifier);
};

const ISSUER_NAMES: readonly IssuerName[] = ['RSA', 'P-256', 'P-384'];
const GRID = LEAF_PROFILES.flatMap((profile) =>
  ISSUER_NAMES.map((issuer) => [profile.name, issuer, profile] as const),
);

describe('a user’s certificate', () => {
  test.each(GRID)(
    '(%s) is issued by an issuer with %s and passes the chain linter',
    async (_name, issuer, profile) => {
      const ca = issuers[issuer];
      const leaf = await issue(profile, ca);
      expect(new X509Certificate(leaf).verify(new X509Certificate(ca.issuing.certificateDer).publicKey)).toBe(
        true,
      );
      const report = lintChain(
        Buffer.from(
          [leaf, ca.issuing.certificateDer, ca.root.certificateDer]
            .map((der) => derToPem('CERTIFICATE', der))
            .join(''),
        ),
        {
          now: NOW,
          address: 'ana@acme.example',
          ownIssuersDer: [ca.issuing.certificateDer, ca.root.certificateDer],
        },
      );
      expect(report.certificates[0]?.profile).toBe(profile.name);
      expect([...report.findings, ...report.certificates.flatMap(({ findings }) => findings)]).toEqual([]);
    },
  );

  test.each([
    ['P-256', '1.2.840.10045.4.3.2'],
    ['P-384', '1.2.840.10045.4.3.3'],
  ] as const)('of an issuer on %s is signed with the hash of that curve', async (issuer, algorithm) => {
    const leaf = pkijs.Certificate.fromBER(await issue(leafProfileFor('dual-use'), issuers[issuer]));
    expect(leaf.signatureAlgorithm.algorithmId).toBe(algorithm);
    expect(leaf.signatureAlgorithm.algorithmParams).toBeUndefined();
  });

  it('of an issuer on P-384 is refused with the hash of another curve', () => {
    const bad = request(leafProfileFor('signing'), issuers['P-384'], {
      signatureAlgorithm: 'ecdsaWithSha256',
    });
    expect(() => buildLeaf(bad)).toThrow('signature-fits-key (ecdsaWithSha256 by P-384)');
  });

  it('for RSA is refused for an EC key, and the other way round', () => {
    const [rsa, ec] = [leafProfileFor('dual-use', 'rsa'), leafProfileFor('dual-use', 'ec')];
    const ca = issuers['P-256'];
    expect(() => buildLeaf(request(rsa, ca, { spkiDer: keys.ec.spkiDer }))).toThrow('spki-algorithm');
    expect(() => buildLeaf(request(ec, ca, { spkiDer: keys.rsa.spkiDer }))).toThrow('spki-algorithm');
  });

  it('may hold a key on P-384 under an issuer on P-256', async () => {
    const leaf = new X509Certificate(
      await issue(leafProfileFor('signing', 'ec'), issuers['P-256'], { spkiDer: keys['P-384'].spkiDer }),
    );
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
  });

  test.each([
    ['a point that is not on the curve', (point: Buffer) => point.fill(1, 1)],
    ['a compressed point', (point: Buffer) => Buffer.concat([Uint8Array.of(2), point.subarray(1, 33)])],
  ])('is refused for %s', (_what, change) => {
    const good = Buffer.from(keys.ec.spkiDer);
    const point = change(Buffer.from(good.subarray(-65)));
    const algorithm = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
    const bad = request(leafProfileFor('signing', 'ec'), issuers['P-256'], {
      spkiDer: sequence(algorithm, bitString(point)),
    });
    expect(() => buildLeaf(bad)).toThrow('uncompressed one on P-256');
  });

  it('is held to the curves of its profile', () => {
    const profile = {
      ...leafProfileFor('signing', 'ec'),
      curves: { value: ['P-384'], rule: 'ec-curve' },
    } as const;
    expect(() => buildLeaf(request(profile, issuers['P-256']))).toThrow('ec-curve (P-256)');
  });

  it('is signed by the key it names: encryption keys sign nothing and signing keys open nothing', async () => {
    const usage = async (use: 'signing' | 'encryption') =>
      openssl(['x509', '-inform', 'DER', '-in', 'a', '-noout', '-ext', 'keyUsage'], {
        a: await issue(leafProfileFor(use), issuers.RSA),
      }).text;
    expect(await usage('signing')).toMatch(/critical\s+Digital Signature\s*$/m);
    expect(await usage('encryption')).toMatch(/critical\s+Key Encipherment\s*$/m);
  });
});

describe('a sponsor-validated certificate', () => {
  const profile = leafProfileFor('dual-use', 'rsa', 'sponsor');

  it('says organization, its identifier, the person and nothing of a unit', async () => {
    const leaf = new X509Certificate(await issue(profile, issuers.RSA));
    expect(leaf.subject.split('\n')).toEqual([
      'C=DE',
      'O=Acme GmbH',
      'organizationIdentifier=NTRDE-HRB123456',
      'GN=Ána',
      'SN=Müller',
      'CN=Ána Müller',
    ]);
    expect(leaf.subjectAltName).toBe('email:ana@acme.example');
  });

  it('is not built from the template for the address alone, nor the other way round', () => {
    const { subject: _none, ...mailbox } = request(profile, issuers.RSA);
    expect(() => buildLeaf(mailbox)).toThrow('wants a sponsor subject and the template makes a mailbox one');
    const other = request(leafProfileFor('dual-use'), issuers.RSA, { subject: SPONSOR });
    expect(() => buildLeaf(other)).toThrow('wants a mailbox subject and the template makes a sponsor one');
  });

  it('is refused where a name is missing from its bytes', () => {
    const { tbsDer } = buildLeaf(request(profile, issuers.RSA));
    const other = buildLeaf(request(leafProfileFor('dual-use'), issuers.RSA)).tbsDer;
    const bare = withParts(tbsDer, { subject: readTbsCertificate(other).subjectDer });
    const findings = lintCertificate(bare, {
      profile,
      issuerCertificateDer: issuers.RSA.issuing.certificateDer,
      signingTime: NOW,
    });
    expect(findings.map(({ rule }) => rule)).toEqual(['subject-sponsor']);
  });
});

describe('a policy of the CA/Browser Forum', () => {
  it('is printed beside our own where the issuer has it and the subject fits it', async () => {
    expect(policiesOf(await issue(leafProfileFor('signing'), reserved))).toEqual([
      EXAMPLE_POLICY_OID,
      STRICT_MAILBOX,
    ]);
  });

  it('about addresses is not printed beside a person’s name', async () => {
    const profile = leafProfileFor('signing', 'rsa', 'sponsor');
    expect(policiesOf(await issue(profile, reserved))).toEqual([EXAMPLE_POLICY_OID]);
    const asked = request(profile, reserved, { policyOids: [EXAMPLE_POLICY_OID, STRICT_MAILBOX] });
    expect(() => buildLeaf(asked)).toThrow('policy-reserved');
  });

  it('is not printed unless it is configured', async () => {
    expect(policiesOf(await issue(leafProfileFor('signing'), issuers.RSA))).toEqual([EXAMPLE_POLICY_OID]);
  });
});

describe('an OCSP signer', () => {
  const service = (ca: Authority, changes: Partial<ServiceRequest> = {}): ServiceRequest => ({
    issuer: { certificateDer: ca.issuing.certificateDer, crlUrl: CRL_URL, issuerUrl: ISSUER_URL },
    spkiDer: keys.ec.spkiDer,
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME OCSP 1' },
    serialHex: drawSerial(random),
    now: NOW,
    validityDays: 14,
    ...changes,
  });

  test.each(ISSUER_NAMES)('of an issuer with %s has nocheck and no address of a CRL', async (issuer) => {
    const ca = issuers[issuer];
    const signer = await sign(ca, buildOcspSigner(service(ca)).tbsDer, OCSP_SIGNER);
    const { extensions } = pkijs.Certificate.fromBER(signer);
    expect(extensions?.map(({ extnID, critical }) => [extnID, critical])).toEqual([
      ['2.5.29.15', true],
      ['2.5.29.37', false],
      ['2.5.29.14', false],
      ['2.5.29.35', false],
      ['1.3.6.1.5.5.7.48.1.5', false],
    ]);
    expect(new X509Certificate(signer).keyUsage).toEqual(['1.3.6.1.5.5.7.3.9']);
  });

  test.each([6, 31, 365, Number.NaN])('is not made for %d days', (validityDays) => {
    expect(() => buildOcspSigner(service(issuers.RSA, { validityDays }))).toThrow('give it 7 to 30');
  });

  test.each([7, 30])('is made for %d days', (validityDays) => {
    const { notBefore, notAfter } = buildOcspSigner(service(issuers.RSA, { validityDays }));
    expect(notAfter.getTime() - notBefore.getTime() + 1000).toBe(validityDays * DAY);
  });

  it('is refused with an address, a user’s purpose or a malformed nocheck', () => {
    const ca = issuers.RSA;
    const { tbsDer } = buildOcspSigner(service(ca));
    const lint = (der: Uint8Array) =>
      lintCertificate(der, {
        profile: OCSP_SIGNER,
        issuerCertificateDer: ca.issuing.certificateDer,
        signingTime: NOW,
      }).map(({ rule }) => rule);
    expect(lint(tbsDer)).toEqual([]);
    expect(
      lint(
        withMoreExtension(
          tbsDer,
          EXTENSION_OIDS.subjectAltName,
          false,
          sequence(octetString(new Uint8Array(1))),
        ),
      ),
    ).toContain('extension-unexpected');
    expect(lint(withExtension(tbsDer, 'extKeyUsage', sequence(oid('1.3.6.1.5.5.7.3.4'))))).toEqual([
      'extended-key-usage',
    ]);
    expect(lint(withExtension(tbsDer, 'ocspNoCheck', octetString(new Uint8Array())))).toEqual(['strict-der']);
    expect(lint(withExtension(tbsDer, 'ocspNoCheck', nullValue()))).toEqual([]);
    expect(keyIdentifier(keys.ec.spkiDer)).toHaveLength(20);
  });

  it.skipIf(!opensslInstalled)('is taken by OpenSSL for an OCSP signer of its issuer', async () => {
    const ca = issuers['P-256'];
    const { text } = openssl(
      [
        ...[
          'verify',
          '-x509_strict',
          '-purpose',
          'ocsphelper',
          '-attime',
          `${Math.floor(NOW.getTime() / 1000)}`,
        ],
        ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'signer.pem'],
      ],
      {
        'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer),
        'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
        'signer.pem': derToPem(
          'CERTIFICATE',
          await sign(ca, buildOcspSigner(service(ca)).tbsDer, OCSP_SIGNER),
        ),
      },
    );
    expect(text).toContain('signer.pem: OK');
  });

  it('is not the audit signer, which can be revoked and signs documents, not mail', async () => {
    const ca = issuers.RSA;
    const audit = new X509Certificate(
      await sign(ca, buildAuditSigner(service(ca, { validityDays: 365 })).tbsDer, AUDIT_SIGNER),
    );
    expect(audit.keyUsage).toEqual(['1.3.6.1.5.5.7.3.36']);
    expect(audit.infoAccess).toContain(ISSUER_URL);
    expect(audit.subjectAltName).toBeUndefined();
  });
});

describe('a CRL of an EC issuer', () => {
  test.each(['P-256', 'P-384'] as const)('on %s is signed with its own hash and verifies', async (issuer) => {
    const ca = issuers[issuer];
    const signer = signerFromPkcs8(ca.issuing.pkcs8Der);
    const { tbsDer } = buildCrl({
      issuerCertificateDer: ca.issuing.certificateDer,
      crlNumber: 1n,
      now: NOW,
      entries: [{ serialHex: '11'.repeat(18), revokedAt: NOW, reason: 'superseded' }],
    });
    const crlDer = await issueCrl({
      tbsDer: madeOffline(tbsDer),
      issuerCertificateDer: ca.issuing.certificateDer,
      signer,
      signingTime: NOW,
    });
    expect(verifyCrl(crlDer, ca.issuing.certificateDer)).toBe(true);
    expect(readCrl(crlDer).entries.size).toBe(1);
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  const cases = LEAF_PROFILES.flatMap((profile) => [[profile.name, profile] as const]);
  test.each(cases)('accepts %s for what it is for and refuses it for the rest', async (_name, profile) => {
    const ca = issuers['P-384'];
    const files = {
      'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer),
      'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
      'leaf.pem': derToPem('CERTIFICATE', await issue(profile, ca)),
    };
    const accepts = (purpose: string) =>
      openssl(
        [
          ...[
            'verify',
            '-x509_strict',
            '-purpose',
            purpose,
            '-attime',
            `${Math.floor(NOW.getTime() / 1000)}`,
          ],
          ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'],
        ],
        files,
      ).status === 0;
    const usage = profile.keyUsage.value;
    expect(accepts('smimesign')).toBe(usage.includes('digitalSignature'));
    // OpenSSL knows key transport only, so an EC key for key agreement is nothing to it.
    expect(accepts('smimeencrypt')).toBe(usage.includes('keyEncipherment'));
    expect(accepts('sslserver')).toBe(false);
  });
});

describe.skipIf(!installed('certtool'))('GnuTLS (skipped without gnutls-bin)', () => {
  test.each([undefined, 'P-256', 'P-384'] as const)(
    'verifies the chain of an issuer on curve %s',
    async (curve) => {
      // certtool knows the machine's clock only.
      const now = new Date();
      const ca = await authority(curve, undefined, now);
      const { run } = tool({
        'chain.pem': [await issue(leafProfileFor('dual-use', 'ec'), ca, { now }), ca.issuing.certificateDer]
          .map((der) => derToPem('CERTIFICATE', der))
          .join(''),
        'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer),
      });
      const verify = (address: string) =>
        run(
          ...([
            'certtool',
            '--verify',
            '--infile',
            'chain.pem',
            '--load-ca-certificate',
            'root.pem',
          ] as const),
          ...['--verify-purpose', '1.3.6.1.5.5.7.3.4', '--verify-email', address],
        ).text;
      expect(verify('ana@acme.example')).toContain('Chain verification output: Verified.');
      expect(verify('eve@acme.example')).toContain('Not verified.');
    },
  );
});
