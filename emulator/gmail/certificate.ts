import { createHash, X509Certificate } from 'node:crypto';
import {
  type AltName,
  type BasicConstraints,
  Certificate,
  type CertificatePolicies,
  type CRLDistributionPoints,
  type Extension,
  type ExtKeyUsage,
  type GeneralName,
  type NameConstraints,
} from 'pkijs';

/** Names of the keyUsage bits in the order of RFC 5280 section 4.2.1.3. */
const KEY_USAGE_BITS = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsageBit = (typeof KEY_USAGE_BITS)[number];

const OID = {
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extKeyUsage: '2.5.29.37',
  certificatePolicies: '2.5.29.32',
  crlDistributionPoints: '2.5.29.31',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  nameConstraints: '2.5.29.30',
  commonName: '2.5.4.3',
  emailAddress: '1.2.840.113549.1.9.1',
} as const;

/** GeneralName choices of RFC 5280 section 4.2.1.6. */
const RFC822_NAME = 1;
const DNS_NAME = 2;
const URI_NAME = 6;
const IP_ADDRESS = 7;

/** What the checks look at in one X.509 certificate. DNs and the serial are their DER bytes, never re-encoded. */
export interface ReadCertificate {
  readonly der: Buffer;
  readonly x509: X509Certificate;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Content octets of the INTEGER. */
  readonly serial: Buffer;
  readonly issuerDn: Buffer;
  readonly subjectDn: Buffer;
  readonly subjectCommonNames: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Object identifier of the signature algorithm, such as `1.2.840.113549.1.1.11`. */
  readonly signatureAlgorithm: string;
  readonly key: PublicKeyKind;
  readonly keyUsage: { readonly critical: boolean; readonly bits: ReadonlySet<KeyUsageBit> } | undefined;
  readonly basicConstraints:
    | { readonly critical: boolean; readonly ca: boolean; readonly pathLength: number | undefined }
    | undefined;
  readonly extendedKeyUsage: { readonly oids: readonly string[] } | undefined;
  readonly policies: { readonly critical: boolean; readonly oids: readonly string[] } | undefined;
  readonly crlDistributionPoints:
    | { readonly critical: boolean; readonly uris: readonly string[] }
    | undefined;
  readonly subjectAltName:
    | {
        readonly critical: boolean;
        readonly emails: readonly string[];
        readonly forbidden: readonly string[];
      }
    | undefined;
  readonly nameConstraints:
    | { readonly permitted: readonly string[]; readonly excluded: readonly string[] }
    | undefined;
  /** Addresses in the subject's emailAddress attributes, and common names that are addresses. */
  readonly subjectEmails: readonly string[];
  readonly criticalExtensions: readonly string[];
}

export type PublicKeyKind =
  | { readonly type: 'rsa'; readonly bits: number }
  | { readonly type: 'ec'; readonly curve: string }
  | { readonly type: 'other'; readonly name: string };

/**
 * Throws an error with a plain sentence when the bytes are no certificate. `der` is one DER Certificate. The same bytes give the
 * same object: every upload brings the same CA certificates, and reading one takes milliseconds.
 */
export function readCertificate(der: Buffer): ReadCertificate {
  const fingerprint = createHash('sha256').update(der).digest('hex');
  const known = read.get(fingerprint);
  if (known !== undefined) return known;
  const certificate = readAnew(Buffer.from(der), fingerprint);
  if (read.size >= MOST_READ) read.clear();
  read.set(fingerprint, certificate);
  return certificate;
}

const read = new Map<string, ReadCertificate>();
const MOST_READ = 500;

function readAnew(der: Buffer, fingerprint: string): ReadCertificate {
  let x509: X509Certificate;
  let certificate: Certificate;
  try {
    x509 = new X509Certificate(der);
    certificate = Certificate.fromBER(der);
  } catch (error) {
    throw new Error('One of the certificates cannot be read as X.509.', { cause: error });
  }
  const find = (oid: string): Extension | undefined =>
    certificate.extensions?.find((extension) => extension.extnID === oid);
  const commonNames = textsOf(certificate, OID.commonName);
  return {
    der,
    x509,
    fingerprint,
    version: certificate.version + 1,
    serial: Buffer.from(certificate.serialNumber.valueBlock.valueHexView),
    issuerDn: Buffer.from(certificate.issuer.valueBeforeDecode),
    subjectDn: Buffer.from(certificate.subject.valueBeforeDecode),
    subjectCommonNames: commonNames,
    notBefore: certificate.notBefore.value,
    notAfter: certificate.notAfter.value,
    signatureAlgorithm: certificate.signatureAlgorithm.algorithmId,
    key: publicKeyKind(x509),
    keyUsage: keyUsageOf(find(OID.keyUsage)),
    basicConstraints: basicConstraintsOf(find(OID.basicConstraints)),
    extendedKeyUsage: extendedKeyUsageOf(find(OID.extKeyUsage)),
    policies: policiesOf(find(OID.certificatePolicies)),
    crlDistributionPoints: crlDistributionPointsOf(find(OID.crlDistributionPoints)),
    subjectAltName: subjectAltNameOf(find(OID.subjectAltName)),
    nameConstraints: nameConstraintsOf(find(OID.nameConstraints)),
    subjectEmails: [
      ...textsOf(certificate, OID.emailAddress),
      ...commonNames.filter((name) => /^[^\s@]+@[^\s@]+$/.test(name)),
    ],
    criticalExtensions: (certificate.extensions ?? [])
      .filter((extension) => extension.critical)
      .map((extension) => extension.extnID),
  };
}

/** The addresses a leaf speaks for, SAN first, each once without regard to case. */
export function addressesOf(certificate: ReadCertificate): readonly string[] {
  const seen = new Set<string>();
  return [...(certificate.subjectAltName?.emails ?? []), ...certificate.subjectEmails].filter((address) => {
    const key = address.toLowerCase();
    return seen.has(key) ? false : seen.add(key) !== undefined;
  });
}

export const isSelfIssued = (certificate: ReadCertificate): boolean =>
  certificate.issuerDn.equals(certificate.subjectDn);

/** True when the signature on `child` verifies under the key of `issuer`. Verified once for each two: neither ever changes. */
export function isSignedBy(child: ReadCertificate, issuer: ReadCertificate): boolean {
  let answers = verified.get(child);
  if (answers === undefined) {
    answers = new WeakMap();
    verified.set(child, answers);
  }
  let answer = answers.get(issuer);
  if (answer === undefined) {
    answer = verifies(child, issuer);
    answers.set(issuer, answer);
  }
  return answer;
}

const verified = new WeakMap<ReadCertificate, WeakMap<ReadCertificate, boolean>>();

function verifies(child: ReadCertificate, issuer: ReadCertificate): boolean {
  try {
    return child.x509.verify(issuer.x509.publicKey);
  } catch {
    return false; // a key of another kind than the signature's
  }
}

function publicKeyKind(x509: X509Certificate): PublicKeyKind {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = x509.publicKey;
  if (type === 'rsa') return { type: 'rsa', bits: details?.modulusLength ?? 0 };
  if (type === 'ec') return { type: 'ec', curve: details?.namedCurve ?? 'unnamed' };
  return { type: 'other', name: type ?? 'unknown' };
}

function textsOf(certificate: Certificate, oid: string): string[] {
  return certificate.subject.typesAndValues
    .filter((attribute) => String(attribute.type) === oid)
    .map((attribute) => String(attribute.value.valueBlock.value));
}

function parsed<T>(extension: Extension, what: string): T {
  const value = extension.parsedValue as (T & { parsingError?: string }) | undefined;
  if (value === undefined || value.parsingError !== undefined) {
    throw new Error(`The ${what} extension of one of the certificates cannot be read.`);
  }
  return value;
}

function keyUsageOf(extension: Extension | undefined): ReadCertificate['keyUsage'] {
  if (extension === undefined) return undefined;
  const { valueBlock } = parsed<{ valueBlock: { valueHexView: Uint8Array } }>(extension, 'keyUsage');
  const bytes = valueBlock.valueHexView;
  const bits = KEY_USAGE_BITS.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  return { critical: extension.critical, bits: new Set(bits) };
}

function basicConstraintsOf(extension: Extension | undefined): ReadCertificate['basicConstraints'] {
  if (extension === undefined) return undefined;
  const value = parsed<BasicConstraints>(extension, 'basicConstraints');
  const pathLength = value.pathLenConstraint;
  return {
    critical: extension.critical,
    ca: value.cA,
    pathLength: pathLength === undefined ? undefined : Number(pathLength),
  };
}

function extendedKeyUsageOf(extension: Extension | undefined): ReadCertificate['extendedKeyUsage'] {
  return extension === undefined
    ? undefined
    : { oids: parsed<ExtKeyUsage>(extension, 'extKeyUsage').keyPurposes };
}

function policiesOf(extension: Extension | undefined): ReadCertificate['policies'] {
  if (extension === undefined) return undefined;
  const value = parsed<CertificatePolicies>(extension, 'certificatePolicies');
  return {
    critical: extension.critical,
    oids: value.certificatePolicies.map((policy) => policy.policyIdentifier),
  };
}

function crlDistributionPointsOf(extension: Extension | undefined): ReadCertificate['crlDistributionPoints'] {
  if (extension === undefined) return undefined;
  const value = parsed<CRLDistributionPoints>(extension, 'CRL distribution points');
  const names = value.distributionPoints.flatMap(({ distributionPoint }) =>
    Array.isArray(distributionPoint) ? distributionPoint : [],
  );
  return { critical: extension.critical, uris: texts(names, URI_NAME) };
}

function subjectAltNameOf(extension: Extension | undefined): ReadCertificate['subjectAltName'] {
  if (extension === undefined) return undefined;
  const { altNames } = parsed<AltName>(extension, 'subjectAltName');
  const forbidden = [
    [DNS_NAME, 'dNSName'],
    [IP_ADDRESS, 'iPAddress'],
    [URI_NAME, 'uniformResourceIdentifier'],
  ] as const;
  return {
    critical: extension.critical,
    emails: texts(altNames, RFC822_NAME),
    forbidden: forbidden
      .filter(([type]) => altNames.some((name) => name.type === type))
      .map(([, name]) => name),
  };
}

function nameConstraintsOf(extension: Extension | undefined): ReadCertificate['nameConstraints'] {
  if (extension === undefined) return undefined;
  const value = parsed<NameConstraints>(extension, 'nameConstraints');
  const mail = (subtrees: NameConstraints['permittedSubtrees']): string[] =>
    texts(
      (subtrees ?? []).map((subtree) => subtree.base),
      RFC822_NAME,
    );
  return { permitted: mail(value.permittedSubtrees), excluded: mail(value.excludedSubtrees) };
}

function texts(names: readonly GeneralName[], type: number): string[] {
  return names.filter((name) => name.type === type).map((name) => String(name.value));
}
