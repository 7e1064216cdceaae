import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { SIGNATURE_ALGORITHMS } from '../../shared/pki/algorithm.ts';
import { keyIdentifier, readTbsCertificate } from '../../shared/pki/certificate.ts';
import {
  bitString,
  booleanTrue,
  contextConstructed,
  contextPrimitive,
  generalizedTime,
  ia5Bytes,
  ia5String,
  integer,
  integerFromHex,
  namedBits,
  nullValue,
  octetString,
  oid,
  printableString,
  sequence,
  setOfOne,
  time,
  tlv,
  utf8String,
} from '../../shared/pki/der.ts';
import { assertLintClean } from '../../shared/pki/finding.ts';
import { lintCertificate } from '../../shared/pki/lint.ts';
import { EXAMPLE_POLICY_OID, EXTENSION_OIDS, KEY_USAGE_BITS } from '../../shared/pki/oids.ts';
import { type CertificateProfile, DUAL_USE_RSA, ISSUING, ROOT } from '../../shared/pki/profile.ts';
import { RULES, type RuleId } from '../../shared/pki/rules.ts';
import { assembleCertificate } from '../../shared/pki/tbs.ts';
import { tbsParts, withExtension, withMoreExtension, withParts } from './mutate.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from './sample-authority.ts';
import { rocaModulus, withoutSmallFactors } from './weak-moduli.ts';

let ca: SampleAuthority;
let leaf: Uint8Array;
let issuing: Uint8Array;
let root: Uint8Array;
beforeAll(async () => {
  ca = await sampleAuthority();
  leaf = ca.unsignedLeaf().tbsDer;
  issuing = readTbsCertificate(inner(ca.issuing.certificateDer)).tbsDer;
  root = readTbsCertificate(inner(ca.root.certificateDer)).tbsDer;
});

/** The to-be-signed part of a certificate: skip its header, take the first element. */
function inner(certificateDer: Uint8Array): Uint8Array {
  const buffer = Buffer.from(certificateDer);
  const length = buffer.readUInt16BE(6);
  return buffer.subarray(4, 8 + length);
}

const lintLeaf = (der: Uint8Array, signingTime = NOW) =>
  lintCertificate(der, {
    profile: DUAL_USE_RSA,
    issuerCertificateDer: ca.issuing.certificateDer,
    signingTime,
  });

const lintIssuing = (der: Uint8Array) =>
  lintCertificate(der, {
    profile: ISSUING,
    issuerCertificateDer: ca.root.certificateDer,
    signingTime: NOW,
  });

const lintRoot = (der: Uint8Array) => lintCertificate(der, { profile: ROOT, signingTime: NOW });

const rulesOf = (findings: readonly { readonly rule: string }[]) => [
  ...new Set(findings.map(({ rule }) => rule)),
];

const name = (...attributes: readonly (readonly [string, Uint8Array])[]) =>
  sequence(...attributes.map(([type, value]) => setOfOne(sequence(oid(type), value))));
const CN = '2.5.4.3';
const O = '2.5.4.10';
const C = '2.5.4.6';
const EMAIL = '1.2.840.113549.1.9.1';

const rfc822 = (...addresses: readonly string[]) =>
  sequence(...addresses.map((address) => contextPrimitive(1, ia5Bytes(address))));
const policies = (...oids: readonly string[]) => sequence(...oids.map((policy) => sequence(oid(policy))));
const crlPoint = (url: string) =>
  sequence(sequence(contextConstructed(0, contextConstructed(0, contextPrimitive(6, ia5Bytes(url))))));
const usage = (...uses: readonly (keyof typeof KEY_USAGE_BITS)[]) =>
  namedBits(uses.map((use) => KEY_USAGE_BITS[use]));

const rsaSpki = (
  modulus: bigint,
  exponent: bigint,
  algorithm = sequence(oid('1.2.840.113549.1.1.1'), nullValue()),
) => sequence(algorithm, bitString(sequence(integer(modulus), integer(exponent))));
/** An odd number of so many bits without small factors; nobody multiplies it, so it need not be a product of primes. */
const oddOfBits = (bits: number) => withoutSmallFactors((1n << BigInt(bits - 1)) + 12_345n);

/** A leaf over another key, with the key identifier that belongs to it. */
const withKey = (spki: Uint8Array) =>
  withExtension(withParts(leaf, { spki }), 'subjectKeyIdentifier', octetString(keyIdentifier(spki)));

interface Mutant {
  readonly what: string;
  readonly der: () => Uint8Array;
  /** Exactly the rules that must be named. */
  readonly rules: readonly RuleId[];
  readonly signingTime?: Date;
}

const LEAF_MUTANTS: readonly Mutant[] = [
  { what: 'a byte after its end', der: () => Buffer.concat([leaf, Uint8Array.of(0)]), rules: ['strict-der'] },
  {
    what: 'a malformed extension we know',
    der: () => withExtension(leaf, 'extKeyUsage', nullValue()),
    rules: ['strict-der'],
  },
  {
    what: 'key usage bits that are not in shortest form',
    der: () => withExtension(leaf, 'keyUsage', Uint8Array.of(3, 2, 4, 0xa0), true),
    rules: ['strict-der'],
  },
  {
    what: 'version 1 and no extensions',
    der: () => withParts(leaf, { version: [], extensions: [] }),
    rules: ['version-3', 'extension-missing', 'subject-address-in-san'],
  },
  {
    what: 'a subject unique identifier',
    der: () => withParts(leaf, { uniqueIds: [contextPrimitive(2, Uint8Array.of(0, 1))] }),
    rules: ['unique-ids-absent'],
  },
  {
    what: 'a negative serial',
    der: () => withParts(leaf, { serial: integerFromHex(`81${'00'.repeat(17)}`) }),
    rules: ['serial-positive', 'serial-shape'],
  },
  {
    what: 'serial zero',
    der: () => withParts(leaf, { serial: integer(0) }),
    rules: ['serial-positive', 'serial-shape'],
  },
  {
    what: 'a serial of 21 octets',
    der: () => withParts(leaf, { serial: integerFromHex('7f'.repeat(21)) }),
    rules: ['serial-positive', 'serial-shape'],
  },
  {
    what: 'a serial of 64 bits',
    der: () => withParts(leaf, { serial: integerFromHex('7f'.repeat(8)) }),
    rules: ['serial-shape'],
  },
  {
    what: 'SHA-1',
    der: () => withParts(leaf, { algorithm: sequence(oid('1.2.840.113549.1.1.5'), nullValue()) }),
    rules: ['signature-algorithm'],
  },
  {
    what: 'SHA-256 without the NULL',
    der: () => withParts(leaf, { algorithm: sequence(oid('1.2.840.113549.1.1.11')) }),
    rules: ['signature-algorithm'],
  },
  {
    what: 'another algorithm outside than inside',
    der: () => assembleCertificate(leaf, 'sha512WithRSA', new Uint8Array(256)),
    rules: ['signature-algorithm'],
  },
  {
    what: 'its issuer’s name in another string type',
    der: () =>
      withParts(leaf, {
        issuer: name(
          [C, printableString('DE')],
          [O, printableString('Acme GmbH')],
          [CN, printableString('Acme S/MIME Issuing CA 1')],
        ),
      }),
    rules: ['issuer-dn'],
  },
  {
    what: '819 days and one second',
    der: () => {
      const { notBefore } = readTbsCertificate(leaf);
      return withParts(leaf, { notAfter: time(new Date(notBefore.at.getTime() + 819 * DAY)) });
    },
    rules: ['validity-cap'],
  },
  {
    what: 'an end before its beginning',
    der: () => withParts(leaf, { notAfter: time(new Date('2026-11-22T09:54:59Z')) }),
    rules: ['validity-cap', 'not-before-skew'],
  },
  {
    what: 'an end after its issuer’s',
    der: () => withParts(leaf, { notAfter: time(new Date('2036-11-22T09:55:00Z')) }),
    rules: ['validity-cap', 'validity-nested'],
  },
  {
    what: 'a beginning before its issuer’s',
    der: () => withParts(leaf, { notBefore: time(new Date('2026-11-22T09:54:59Z')) }),
    rules: ['validity-nested'],
  },
  {
    what: 'a notBefore 48 hours and a second before the signing time',
    der: () => leaf,
    signingTime: new Date('2026-11-24T09:55:01Z'),
    rules: ['not-before-skew'],
  },
  {
    what: 'a notAfter that has passed when it is signed',
    der: () => withParts(leaf, { notAfter: time(new Date('2026-11-22T09:59:59Z')) }),
    rules: ['not-before-skew'],
  },
  {
    what: 'GeneralizedTime for 2027',
    der: () => withParts(leaf, { notAfter: generalizedTime(readTbsCertificate(leaf).notAfter.at) }),
    rules: ['time-encoding'],
  },
  {
    what: 'an EC key',
    der: () => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return withKey(publicKey.export({ type: 'spki', format: 'der' }));
    },
    rules: ['spki-algorithm'],
  },
  {
    what: 'an RSA key without the NULL',
    der: () => withKey(rsaSpki(oddOfBits(2048), 65_537n, sequence(oid('1.2.840.113549.1.1.1')))),
    rules: ['spki-algorithm'],
  },
  {
    what: 'the identifier of a PSS key',
    der: () => withKey(rsaSpki(oddOfBits(2048), 65_537n, sequence(oid('1.2.840.113549.1.1.10')))),
    rules: ['spki-algorithm'],
  },
  {
    what: 'a modulus of 1024 bits',
    der: () => withKey(rsaSpki(oddOfBits(1024), 65_537n)),
    rules: ['rsa-modulus'],
  },
  {
    what: 'a modulus of 2047 bits',
    der: () => withKey(rsaSpki(oddOfBits(2047), 65_537n)),
    rules: ['rsa-modulus'],
  },
  {
    what: 'a modulus of 8192 bits',
    der: () => withKey(rsaSpki(oddOfBits(8192), 65_537n)),
    rules: ['rsa-modulus'],
  },
  {
    what: 'an even modulus',
    der: () => withKey(rsaSpki(oddOfBits(2048) + 1n, 65_537n)),
    rules: ['rsa-modulus'],
  },
  { what: 'an exponent of 3', der: () => withKey(rsaSpki(oddOfBits(2048), 3n)), rules: ['rsa-exponent'] },
  {
    what: 'a key that an Infineon chip made',
    der: () => withKey(rsaSpki(rocaModulus(), 65_537n)),
    rules: ['key-weak'],
  },
  {
    what: 'ECDSA by an issuer with an RSA key',
    der: () => withParts(leaf, { algorithm: SIGNATURE_ALGORITHMS.ecdsaWithSha256.der }),
    rules: ['signature-fits-key'],
  },
  {
    what: 'its issuer’s own key',
    der: () => withKey(readTbsCertificate(issuing).spkiDer),
    rules: ['key-not-issuers'],
  },
  {
    what: 'an organization in its subject',
    der: () =>
      withParts(leaf, { subject: name([O, utf8String('Acme GmbH')], [CN, utf8String('ana@acme.example')]) }),
    rules: ['subject-mailbox', 'subject-address-in-san'],
  },
  {
    what: 'a person’s name as common name',
    der: () => withParts(leaf, { subject: name([CN, utf8String('Ana Example')]) }),
    rules: ['subject-mailbox', 'subject-address-in-san'],
  },
  {
    what: 'an empty subject and an uncritical subjectAltName',
    der: () => withParts(leaf, { subject: sequence() }),
    rules: ['subject-mailbox', 'extension-criticality'],
  },
  {
    what: 'a common name of 65 characters',
    der: () => {
      const address = `${'a'.repeat(52)}@acme.example`;
      return withExtension(
        withParts(leaf, { subject: name([CN, utf8String(address)]) }),
        'subjectAltName',
        rfc822(address),
      );
    },
    rules: ['subject-length'],
  },
  {
    what: 'a subject address that the subjectAltName lacks',
    der: () => withParts(leaf, { subject: name([EMAIL, ia5String('eve@acme.example')]) }),
    rules: ['subject-address-in-san'],
  },
  {
    what: 'an alias first in the subjectAltName',
    der: () => withExtension(leaf, 'subjectAltName', rfc822('ana.alias@acme.example', 'ana@acme.example')),
    rules: ['subject-address-in-san'],
  },
  ...(Object.keys(DUAL_USE_RSA.extensions.value) as readonly (keyof typeof EXTENSION_OIDS)[]).map(
    (extension): Mutant => ({
      what: `no ${extension}`,
      der: () => withExtension(leaf, extension, undefined),
      rules:
        extension === 'subjectAltName'
          ? ['subject-address-in-san', 'extension-missing']
          : ['extension-missing'],
    }),
  ),
  {
    what: 'basicConstraints, even empty ones',
    der: () => withMoreExtension(leaf, EXTENSION_OIDS.basicConstraints, false, sequence()),
    rules: ['extension-unexpected'],
  },
  {
    what: 'basicConstraints of a CA',
    der: () => withMoreExtension(leaf, EXTENSION_OIDS.basicConstraints, true, sequence(booleanTrue())),
    rules: ['extension-unexpected'],
  },
  {
    what: 'an unknown critical extension',
    der: () => withMoreExtension(leaf, '1.3.6.1.4.1.32473.9', true, nullValue()),
    rules: ['extension-unexpected'],
  },
  {
    what: 'a Netscape certificate type',
    der: () => withMoreExtension(leaf, '2.16.840.1.113730.1.1', false, namedBits([2])),
    rules: ['extension-unexpected'],
  },
  {
    what: 'its key usage twice',
    der: () =>
      withMoreExtension(leaf, EXTENSION_OIDS.keyUsage, true, usage('digitalSignature', 'keyEncipherment')),
    rules: ['extension-duplicate'],
  },
  {
    what: 'an uncritical key usage',
    der: () => withExtension(leaf, 'keyUsage', usage('digitalSignature', 'keyEncipherment'), false),
    rules: ['extension-criticality'],
  },
  {
    what: 'a critical subjectAltName beside a subject',
    der: () =>
      withExtension(leaf, 'subjectAltName', rfc822('ana@acme.example', 'ana.alias@acme.example'), true),
    rules: ['extension-criticality'],
  },
  {
    what: 'dataEncipherment',
    der: () =>
      withExtension(leaf, 'keyUsage', usage('digitalSignature', 'keyEncipherment', 'dataEncipherment'), true),
    rules: ['key-usage'],
  },
  {
    what: 'a signing-only key usage',
    der: () => withExtension(leaf, 'keyUsage', usage('digitalSignature'), true),
    rules: ['key-usage'],
  },
  {
    what: 'a CA’s key usage',
    der: () =>
      withExtension(leaf, 'keyUsage', usage('digitalSignature', 'keyEncipherment', 'keyCertSign'), true),
    rules: ['key-usage'],
  },
  ...(
    [
      ['serverAuth', '1.3.6.1.5.5.7.3.1'],
      ['clientAuth', '1.3.6.1.5.5.7.3.2'],
      ['codeSigning', '1.3.6.1.5.5.7.3.3'],
      ['timeStamping', '1.3.6.1.5.5.7.3.8'],
      ['anyExtendedKeyUsage', '2.5.29.37.0'],
    ] as const
  ).map(
    ([purpose, id]): Mutant => ({
      what: `${purpose} beside emailProtection`,
      der: () => withExtension(leaf, 'extKeyUsage', sequence(oid('1.3.6.1.5.5.7.3.4'), oid(id))),
      rules: ['issuer-may-sign', 'extended-key-usage'],
    }),
  ),
  {
    what: 'no policy but a reserved one',
    der: () => withExtension(leaf, 'certificatePolicies', policies('2.23.140.1.5.1.3')),
    rules: ['policy-own', 'policy-in-issuer'],
  },
  {
    what: 'two reserved policies',
    der: () =>
      withExtension(
        leaf,
        'certificatePolicies',
        policies(EXAMPLE_POLICY_OID, '2.23.140.1.5.1.2', '2.23.140.1.5.1.3'),
      ),
    rules: ['policy-reserved', 'policy-in-issuer'],
  },
  {
    what: 'the reserved policy of the dead Legacy generation',
    der: () => withExtension(leaf, 'certificatePolicies', policies(EXAMPLE_POLICY_OID, '2.23.140.1.5.1.1')),
    rules: ['policy-reserved', 'policy-in-issuer'],
  },
  {
    what: 'a reserved policy for another kind of subject',
    der: () => withExtension(leaf, 'certificatePolicies', policies(EXAMPLE_POLICY_OID, '2.23.140.1.5.3.3')),
    rules: ['policy-reserved', 'policy-in-issuer'],
  },
  {
    what: 'anyPolicy',
    der: () => withExtension(leaf, 'certificatePolicies', policies(EXAMPLE_POLICY_OID, '2.5.29.32.0')),
    rules: ['policy-any', 'policy-in-issuer'],
  },
  {
    what: 'a policy twice',
    der: () => withExtension(leaf, 'certificatePolicies', policies(EXAMPLE_POLICY_OID, EXAMPLE_POLICY_OID)),
    rules: ['policy-duplicate'],
  },
  {
    what: 'a policy that its issuer does not name',
    der: () => withExtension(leaf, 'certificatePolicies', policies('1.3.6.1.4.1.32473.1.2')),
    rules: ['policy-in-issuer'],
  },
  {
    what: 'a practice statement at an ftp address',
    der: () =>
      withExtension(
        leaf,
        'certificatePolicies',
        sequence(
          sequence(
            oid(EXAMPLE_POLICY_OID),
            sequence(sequence(oid('1.3.6.1.5.5.7.2.1'), ia5String('ftp://acme.example/cps'))),
          ),
        ),
      ),
    rules: ['policy-qualifier'],
  },
  {
    what: 'a user notice',
    der: () =>
      withExtension(
        leaf,
        'certificatePolicies',
        sequence(sequence(oid(EXAMPLE_POLICY_OID), sequence(sequence(oid('1.3.6.1.5.5.7.2.2'), sequence())))),
      ),
    rules: ['policy-qualifier'],
  },
  {
    what: 'a distribution point with reasons',
    der: () =>
      withExtension(
        leaf,
        'cRLDistributionPoints',
        sequence(
          sequence(
            contextConstructed(
              0,
              contextConstructed(0, contextPrimitive(6, ia5Bytes('http://pki.acme.example/a.crl'))),
            ),
            contextPrimitive(1, Uint8Array.of(6, 0x40)),
          ),
        ),
      ),
    rules: ['crl-point'],
  },
  {
    what: 'an access description without caIssuers',
    der: () =>
      withExtension(
        leaf,
        'authorityInfoAccess',
        sequence(
          sequence(oid('1.3.6.1.5.5.7.48.1'), contextPrimitive(6, ia5Bytes('http://ocsp.acme.example/'))),
        ),
      ),
    rules: ['access-methods'],
  },
  {
    what: 'a CRL address on https',
    der: () => withExtension(leaf, 'cRLDistributionPoints', crlPoint('https://pki.acme.example/issuing.crl')),
    rules: ['url-scheme'],
  },
  {
    what: 'a CRL address on ldap',
    der: () => withExtension(leaf, 'cRLDistributionPoints', crlPoint('ldap://pki.acme.example/cn=crl')),
    rules: ['url-scheme'],
  },
  {
    what: 'a CRL address on run.app',
    der: () =>
      withExtension(leaf, 'cRLDistributionPoints', crlPoint('http://crl-x-ew.a.run.app/issuing.crl')),
    rules: ['url-host'],
  },
  {
    what: 'a CRL address inside one network',
    der: () => withExtension(leaf, 'cRLDistributionPoints', crlPoint('http://pki.corp.internal/issuing.crl')),
    rules: ['url-host'],
  },
  {
    what: 'a CRL address with a query',
    der: () => withExtension(leaf, 'cRLDistributionPoints', crlPoint('http://pki.acme.example/crl?id=7')),
    rules: ['url-parameters'],
  },
  {
    what: 'a key identifier of another key',
    der: () => withExtension(leaf, 'subjectKeyIdentifier', octetString(new Uint8Array(20))),
    rules: ['subject-key-identifier'],
  },
  {
    what: 'the key identifier of another issuer',
    der: () =>
      withExtension(leaf, 'authorityKeyIdentifier', sequence(contextPrimitive(0, new Uint8Array(20)))),
    rules: ['authority-key-identifier'],
  },
  {
    what: 'issuer and serial in its authority key identifier',
    der: () => {
      const wanted = keyIdentifier(readTbsCertificate(issuing).spkiDer);
      return withExtension(
        leaf,
        'authorityKeyIdentifier',
        sequence(
          contextPrimitive(0, wanted),
          contextConstructed(1, contextConstructed(4, readTbsCertificate(root).subjectDer)),
          contextPrimitive(2, Uint8Array.of(1)),
        ),
      );
    },
    rules: ['authority-key-identifier'],
  },
  {
    what: 'a host name in its subjectAltName',
    der: () =>
      withExtension(
        leaf,
        'subjectAltName',
        sequence(
          contextPrimitive(1, ia5Bytes('ana@acme.example')),
          contextPrimitive(2, ia5Bytes('acme.example')),
        ),
      ),
    rules: ['san-types'],
  },
  {
    what: 'an address with capital letters in its domain',
    der: () =>
      withExtension(
        withParts(leaf, { subject: name([CN, utf8String('ana@Acme.Example')]) }),
        'subjectAltName',
        rfc822('ana@Acme.Example'),
      ),
    rules: ['san-address'],
  },
  {
    what: 'an address with a non-ASCII local part',
    der: () =>
      withExtension(
        leaf,
        'subjectAltName',
        sequence(
          contextPrimitive(1, ia5Bytes('ana@acme.example')),
          contextPrimitive(1, Buffer.from('añα@acme.example')),
        ),
      ),
    rules: ['san-address', 'parsers-agree'],
  },
  {
    what: 'an address twice, in other letters',
    der: () => withExtension(leaf, 'subjectAltName', rfc822('ana@acme.example', 'Ana@acme.example')),
    rules: ['san-duplicate'],
  },
  {
    what: 'an address with a zero byte, which parsers have read in two ways',
    der: () =>
      withExtension(leaf, 'subjectAltName', rfc822('ana@acme.example', 'eve@acme.example\0.evil.example')),
    rules: ['san-address'],
  },
  {
    what: 'an address that OpenSSL quotes, before a name of a kind with a digit in it',
    der: () =>
      withExtension(
        leaf,
        'subjectAltName',
        sequence(
          contextPrimitive(1, Buffer.from('ana@acme.e£', 'latin1')),
          contextConstructed(3, ia5Bytes('ana.alias@acme.example')),
        ),
      ),
    rules: ['san-types', 'san-address', 'subject-address-in-san', 'parsers-agree'],
  },
];

const CA_MUTANTS: readonly (Omit<Mutant, 'signingTime'> & { readonly profile: CertificateProfile })[] = [
  {
    what: 'a subject without an organization',
    profile: ISSUING,
    der: () =>
      withParts(issuing, {
        subject: name([C, printableString('DE')], [CN, utf8String('Acme S/MIME Issuing CA 1')]),
      }),
    rules: ['subject-ca'],
  },
  {
    what: 'a generic common name',
    profile: ISSUING,
    der: () =>
      withParts(issuing, {
        subject: name(
          [C, printableString('DE')],
          [O, utf8String('Acme GmbH')],
          [CN, utf8String('Certificate Authority')],
        ),
      }),
    rules: ['subject-ca'],
  },
  {
    what: 'an organization of 65 characters',
    profile: ISSUING,
    der: () =>
      withParts(issuing, {
        subject: name(
          [C, printableString('DE')],
          [O, utf8String('ä'.repeat(65))],
          [CN, utf8String('Acme CA 1')],
        ),
      }),
    rules: ['subject-length'],
  },
  {
    what: 'no path length',
    profile: ISSUING,
    der: () => withExtension(issuing, 'basicConstraints', sequence(booleanTrue()), true),
    rules: ['basic-constraints'],
  },
  {
    what: 'a path length of 1',
    profile: ISSUING,
    der: () => withExtension(issuing, 'basicConstraints', sequence(booleanTrue(), integer(1)), true),
    rules: ['basic-constraints'],
  },
  {
    what: 'CA:FALSE',
    profile: ISSUING,
    der: () => withExtension(issuing, 'basicConstraints', sequence(), true),
    rules: ['basic-constraints'],
  },
  {
    what: 'no digitalSignature',
    profile: ISSUING,
    der: () => withExtension(issuing, 'keyUsage', usage('keyCertSign', 'cRLSign'), true),
    rules: ['key-usage'],
  },
  {
    what: 'serverAuth',
    profile: ISSUING,
    der: () =>
      withExtension(issuing, 'extKeyUsage', sequence(oid('1.3.6.1.5.5.7.3.4'), oid('1.3.6.1.5.5.7.3.1'))),
    rules: ['extended-key-usage'],
  },
  {
    what: 'anyPolicy alone',
    profile: ISSUING,
    der: () => withExtension(issuing, 'certificatePolicies', policies('2.5.29.32.0')),
    rules: ['policy-own', 'policy-any'],
  },
  {
    what: 'no CRL address',
    profile: ISSUING,
    der: () => withExtension(issuing, 'cRLDistributionPoints', undefined),
    rules: ['extension-missing'],
  },
  {
    what: 'eleven years',
    profile: ISSUING,
    der: () => withParts(issuing, { notAfter: time(new Date('2037-11-22T09:54:59Z')) }),
    rules: ['validity-cap'],
  },
  {
    what: 'another issuer name',
    profile: ROOT,
    der: () => withParts(root, { issuer: readTbsCertificate(issuing).subjectDer }),
    rules: ['self-signed'],
  },
  {
    what: 'an extended key usage',
    profile: ROOT,
    der: () => withMoreExtension(root, EXTENSION_OIDS.extKeyUsage, false, sequence(oid('1.3.6.1.5.5.7.3.4'))),
    rules: ['extended-key-usage', 'extension-unexpected'],
  },
  {
    what: 'policies',
    profile: ROOT,
    der: () =>
      withMoreExtension(root, EXTENSION_OIDS.certificatePolicies, false, policies(EXAMPLE_POLICY_OID)),
    rules: ['extension-unexpected'],
  },
  {
    what: 'an uncritical basicConstraints',
    profile: ROOT,
    der: () => withExtension(root, 'basicConstraints', sequence(booleanTrue())),
    rules: ['extension-criticality'],
  },
  {
    what: 'a path length',
    profile: ROOT,
    der: () => withExtension(root, 'basicConstraints', sequence(booleanTrue(), integer(1)), true),
    rules: ['basic-constraints'],
  },
  {
    what: 'twenty-one years',
    profile: ROOT,
    der: () => withParts(root, { notAfter: time(new Date('2047-11-22T09:54:59Z')) }),
    rules: ['validity-cap'],
  },
  {
    what: 'a key of 1024 bits',
    profile: ROOT,
    der: () => {
      const spki = rsaSpki(oddOfBits(1024), 65_537n);
      return withExtension(
        withParts(root, { spki }),
        'subjectKeyIdentifier',
        octetString(keyIdentifier(spki)),
      );
    },
    rules: ['rsa-modulus'],
  },
];

describe('the linter', () => {
  it('finds nothing in a leaf, an issuing CA and a root as they are built', () => {
    expect([...lintLeaf(leaf), ...lintIssuing(issuing), ...lintRoot(root)]).toEqual([]);
  });

  it('finds nothing in them once they are signed', async () => {
    expect([
      ...lintLeaf(await ca.leaf()),
      ...lintIssuing(ca.issuing.certificateDer),
      ...lintRoot(ca.root.certificateDer),
    ]).toEqual([]);
  });

  it('finds nothing in a leaf that was taken apart and put together again', () => {
    expect(withParts(leaf, {})).toEqual(leaf);
    expect(tbsParts(leaf).extensions).toHaveLength(8);
  });

  it('accepts a leaf of exactly 819 days', () => {
    expect(lintLeaf(ca.unsignedLeaf({ validityDays: 819 }).tbsDer)).toEqual([]);
  });

  it('accepts a leaf signed 48 hours after its notBefore, to the second', () => {
    expect(lintLeaf(leaf, new Date('2026-11-24T09:55:00Z'))).toEqual([]);
  });

  it('accepts a critical subjectAltName only for its own reason, an empty subject', () => {
    const empty = withParts(
      withExtension(leaf, 'subjectAltName', rfc822('ana@acme.example', 'ana.alias@acme.example'), true),
      { subject: sequence() },
    );
    expect(rulesOf(lintLeaf(empty))).toEqual(['subject-mailbox']);
  });

  test.each(LEAF_MUTANTS.map((mutant) => [mutant.what, mutant] as const))(
    'refuses a leaf with %s',
    (_what, mutant) => {
      expect(rulesOf(lintLeaf(mutant.der(), mutant.signingTime)).toSorted()).toEqual(mutant.rules.toSorted());
    },
  );

  test.each(CA_MUTANTS.map((mutant) => [mutant.profile.kind, mutant.what, mutant] as const))(
    'refuses a CA certificate (%s) with %s',
    (_kind, _what, mutant) => {
      const findings = mutant.profile === ROOT ? lintRoot(mutant.der()) : lintIssuing(mutant.der());
      expect(rulesOf(findings).toSorted()).toEqual(mutant.rules.toSorted());
    },
  );

  it('is shown to refuse each of its rules by one of these mutants, or beside the profiles they need', () => {
    const shown = [...LEAF_MUTANTS, ...CA_MUTANTS].flatMap(({ rules }) => rules);
    // `profiles.test.ts` has the mutants of sponsor-validated and of EC leaves.
    shown.push('subject-sponsor', 'ec-curve');
    expect(Object.keys(RULES).filter((rule) => !shown.includes(rule as RuleId))).toEqual([]);
  });

  it('refuses a leaf under an issuer that is no CA', async () => {
    const findings = lintCertificate(leaf, {
      profile: DUAL_USE_RSA,
      issuerCertificateDer: await ca.leaf(),
      signingTime: NOW,
    });
    expect(rulesOf(findings)).toContain('issuer-may-sign');
  });

  it('refuses an issuing CA under an issuing CA, whose path length leaves no room', () => {
    const findings = lintCertificate(issuing, {
      profile: ISSUING,
      issuerCertificateDer: ca.issuing.certificateDer,
      signingTime: NOW,
    });
    expect(findings.filter(({ rule }) => rule === 'issuer-may-sign').map(({ found }) => found)).toEqual([
      'the issuer’s path length leaves no room for a CA',
    ]);
  });

  it('wants an issuer for everything but a root', () => {
    const findings = lintCertificate(leaf, { profile: DUAL_USE_RSA, signingTime: NOW });
    expect(rulesOf(findings)).toEqual(['issuer-may-sign']);
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['rubbish', Buffer.from('this is not a certificate')],
    ['an indefinite length', Uint8Array.of(0x30, 0x80, 0x00, 0x00)],
    ['a length that is longer than the bytes', Uint8Array.of(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff)],
    ['a length in a longer form than needed', Buffer.concat([Uint8Array.of(0x30, 0x81, 0x02), integer(1)])],
    ['an empty sequence', tlv(0x30)],
  ])('answers strict-der for %s instead of failing', (_what, bytes) => {
    expect(rulesOf(lintLeaf(bytes))).toEqual(['strict-der']);
  });

  it('answers findings, and never fails, whatever single byte is changed', () => {
    fc.assert(
      fc.property(fc.nat(leaf.length - 1), fc.integer({ min: 1, max: 255 }), (index, change) => {
        const changed = Uint8Array.from(leaf);
        changed[index] = (changed[index] ?? 0) ^ change;
        expect(Array.isArray(lintLeaf(changed))).toBe(true);
      }),
      { numRuns: 1500, seed: 20261122 },
    );
  });

  it('answers each finding with its sentence, its source, what was found and what to do', () => {
    const [finding] = lintLeaf(withExtension(leaf, 'keyUsage', usage('digitalSignature'), true));
    expect(finding).toEqual({ rule: 'key-usage', ...RULES['key-usage'], found: 'digitalSignature' });
  });

  it('stops a signature with one sentence that names every broken rule', () => {
    const findings = lintLeaf(
      withExtension(leaf, 'cRLDistributionPoints', crlPoint('https://x.run.app/a.crl')),
    );
    expect(() => assertLintClean(findings, 'the leaf')).toThrow(
      expect.objectContaining({
        kind: 'permanent',
        code: 'lint-failed',
        message: expect.stringContaining('url-scheme ("https://x.run.app/a.crl" is not plain http)'),
      }),
    );
  });
});

describe('each rule', () => {
  test.each(Object.entries(RULES))('%s is a sentence with a source and a remedy', (_id, rule) => {
    expect(rule.sentence).toMatch(/^\w.*\.$/);
    expect(rule.source).not.toBe('');
    expect(rule.fix).toMatch(/^\w.*\.$/);
  });

  it('about the signature algorithm takes the encodings of the Baseline Requirements', () => {
    expect(Buffer.from(SIGNATURE_ALGORITHMS.sha256WithRSA.der)).toEqual(
      sequence(oid('1.2.840.113549.1.1.11'), nullValue()),
    );
    expect(Buffer.from(SIGNATURE_ALGORITHMS.sha384WithRSA.der)).toEqual(
      sequence(oid('1.2.840.113549.1.1.12'), nullValue()),
    );
    expect(Buffer.from(SIGNATURE_ALGORITHMS.sha512WithRSA.der)).toEqual(
      sequence(oid('1.2.840.113549.1.1.13'), nullValue()),
    );
  });
});
