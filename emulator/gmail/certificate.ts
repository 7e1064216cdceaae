import { createHash, X509Certificate } from 'node:crypto';
import { Boolean as Asn1Boolean, BitString, Integer, Primitive } from 'asn1js';
import {
  dateOf,
  derOf,
  type Extension,
  extensionsOf,
  fieldsOf,
  insideOf,
  integerOf,
  oidOf,
  parsed,
  tagOf,
} from './asn1.ts';

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
  let fields: Fields;
  try {
    x509 = new X509Certificate(der);
    fields = fieldsIn(der);
  } catch (error) {
    throw new Error('One of the certificates cannot be read as X.509.', { cause: error });
  }
  const { attributes, extensions } = fields;
  const textsOf = (oid: string) => attributes.filter(([type]) => type === oid).map(([, text]) => text);
  const read = <T>(oid: string, what: string, as: (extension: Extension) => T): T | undefined => {
    const extension = extensions.find((candidate) => candidate.oid === oid);
    try {
      return extension === undefined ? undefined : as(extension);
    } catch (error) {
      const sentence = `The ${what} extension of one of the certificates cannot be read.`;
      throw new Error(sentence, { cause: error });
    }
  };
  const commonNames = textsOf(OID.commonName);
  return {
    der,
    x509,
    fingerprint,
    version: fields.version,
    serial: fields.serial,
    issuerDn: fields.issuerDn,
    subjectDn: fields.subjectDn,
    subjectCommonNames: commonNames,
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
    signatureAlgorithm: fields.signatureAlgorithm,
    key: publicKeyKind(x509),
    keyUsage: read(OID.keyUsage, 'keyUsage', keyUsageOf),
    basicConstraints: read(OID.basicConstraints, 'basicConstraints', basicConstraintsOf),
    extendedKeyUsage: read(OID.extKeyUsage, 'extKeyUsage', extendedKeyUsageOf),
    policies: read(OID.certificatePolicies, 'certificatePolicies', policiesOf),
    crlDistributionPoints: read(
      OID.crlDistributionPoints,
      'CRL distribution points',
      crlDistributionPointsOf,
    ),
    subjectAltName: read(OID.subjectAltName, 'subjectAltName', subjectAltNameOf),
    nameConstraints: read(OID.nameConstraints, 'nameConstraints', nameConstraintsOf),
    subjectEmails: [
      ...textsOf(OID.emailAddress),
      ...commonNames.filter((name) => /^[^\s@]+@[^\s@]+$/.test(name)),
    ],
    criticalExtensions: extensions.filter(({ critical }) => critical).map(({ oid }) => oid),
  };
}

interface Fields
  extends Pick<ReadCertificate, 'version' | 'serial' | 'issuerDn' | 'subjectDn' | 'notBefore' | 'notAfter'> {
  readonly signatureAlgorithm: string;
  /** The subject's, each with its type. */
  readonly attributes: readonly (readonly [string, string])[];
  readonly extensions: readonly Extension[];
}

/** RFC 5280 section 4.1. From the library's values themselves: its classes for certificates take four times as long. */
function fieldsIn(der: Buffer): Fields {
  const [tbs, algorithm] = fieldsOf(parsed(der));
  const fields = [...fieldsOf(tbs)];
  const version = tagOf(fields[0]) === 0 ? insideOf(fields.shift())[0] : undefined;
  const [serial, , issuer, validity, subject, , ...rest] = fields;
  const [notBefore, notAfter] = fieldsOf(validity);
  const extensions = rest.find((field) => tagOf(field) === 3);
  return {
    version: version instanceof Integer ? version.valueBlock.valueDec + 1 : 1,
    serial: integerOf(serial),
    issuerDn: derOf(issuer),
    subjectDn: derOf(subject),
    notBefore: dateOf(notBefore),
    notAfter: dateOf(notAfter),
    signatureAlgorithm: oidOf(fieldsOf(algorithm)[0]),
    attributes: fieldsOf(subject).flatMap(insideOf).map(attributeOf),
    extensions: extensions === undefined ? [] : extensionsOf(insideOf(extensions)[0]),
  };
}

function attributeOf(value: unknown): readonly [string, string] {
  const [type, text] = fieldsOf(value) as readonly [unknown, { valueBlock: { value?: unknown } }];
  return [oidOf(type), String(text.valueBlock.value)];
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

function keyUsageOf({ critical, value }: Extension): ReadCertificate['keyUsage'] {
  const bitString = parsed(value);
  if (!(bitString instanceof BitString)) throw new RangeError('This is no BIT STRING.');
  const bytes = bitString.valueBlock.valueHexView;
  const bits = KEY_USAGE_BITS.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  return { critical, bits: new Set(bits) };
}

function basicConstraintsOf({ critical, value }: Extension): ReadCertificate['basicConstraints'] {
  const fields = [...fieldsOf(parsed(value))];
  const ca = fields[0] instanceof Asn1Boolean && (fields.shift() as Asn1Boolean).getValue();
  const pathLength =
    fields[0] instanceof Integer ? (fields.shift() as Integer).valueBlock.valueDec : undefined;
  if (fields.length > 0) throw new RangeError('There is more than basic constraints have.');
  return { critical, ca, pathLength };
}

const extendedKeyUsageOf = ({ value }: Extension): ReadCertificate['extendedKeyUsage'] => ({
  oids: fieldsOf(parsed(value)).map(oidOf),
});

const policiesOf = ({ critical, value }: Extension): ReadCertificate['policies'] => ({
  critical,
  oids: fieldsOf(parsed(value)).map((policy) => oidOf(fieldsOf(policy)[0])),
});

function crlDistributionPointsOf({ critical, value }: Extension): ReadCertificate['crlDistributionPoints'] {
  const names = fieldsOf(parsed(value)).flatMap((point) => {
    const distributionPoint = fieldsOf(point).find((field) => tagOf(field) === 0);
    const [name] = distributionPoint === undefined ? [] : insideOf(distributionPoint);
    return tagOf(name) === 0 ? insideOf(name) : []; // else relative to the issuer's name
  });
  return { critical, uris: texts(names, URI_NAME) };
}

function subjectAltNameOf({ critical, value }: Extension): ReadCertificate['subjectAltName'] {
  const names = fieldsOf(parsed(value));
  const forbidden = [
    [DNS_NAME, 'dNSName'],
    [IP_ADDRESS, 'iPAddress'],
    [URI_NAME, 'uniformResourceIdentifier'],
  ] as const;
  return {
    critical,
    emails: texts(names, RFC822_NAME),
    forbidden: forbidden
      .filter(([type]) => names.some((name) => tagOf(name) === type))
      .map(([, name]) => name),
  };
}

function nameConstraintsOf({ value }: Extension): ReadCertificate['nameConstraints'] {
  const fields = fieldsOf(parsed(value));
  const mail = (number: number): string[] => {
    const subtrees = fields.find((field) => tagOf(field) === number);
    const bases = subtrees === undefined ? [] : insideOf(subtrees).map((subtree) => fieldsOf(subtree)[0]);
    return texts(bases, RFC822_NAME);
  };
  return { permitted: mail(0), excluded: mail(1) };
}

/** GeneralNames that are an IA5String each. */
const texts = (names: readonly unknown[], type: number): string[] =>
  names
    .filter((name) => tagOf(name) === type)
    .map((name) => {
      if (!(name instanceof Primitive)) throw new RangeError('This is no text.');
      return Buffer.from(name.valueBlock.valueHexView).toString('latin1');
    });
