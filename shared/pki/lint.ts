/**
 * The certificate linter. It reads the bytes with the strict reader, never with the code that wrote them, lets OpenSSL
 * (through node:crypto) read them too, and holds them against a profile and the issuer's certificate.
 *
 * What it will not do: talk to anybody. Whether a serial is unused is the ledger's unique index; whether an address
 * answers is the monitor's business.
 */
import { X509Certificate } from 'node:crypto';
import { fitsKey, signatureAlgorithmOf } from './algorithm.ts';
import {
  type Certificate,
  type IssuerCertificate,
  keyIdentifier,
  readCertificate,
  readIssuer,
  readTbsCertificate,
  type TbsCertificate,
} from './certificate.ts';
import { addressesOf } from './chain.ts';
import { DerError, inside, readWhole, sameBytes, toHex } from './der-reader.ts';
import {
  type DecodedExtensions,
  decodeExtensions,
  extensionName,
  type MalformedExtension,
} from './extensions-reader.ts';
import type { Finding } from './finding.ts';
import { rememberingLast } from './last-read.ts';
import { addressForm, sameAddress } from './mailbox-address.ts';
import { COMMON_NAME_MAXIMUM, type NameAttribute, readName } from './name.ts';
import {
  ACCESS_METHOD_OIDS,
  ANY_POLICY,
  ATTRIBUTE_OIDS,
  CPS_QUALIFIER,
  EXTENSION_OIDS,
  type ExtensionName,
  KEY_PURPOSE_OIDS,
  RESERVED_POLICY_ARC,
} from './oids.ts';
import type { CertificateProfile } from './profile.ts';
import { describeKey, modulusBits, type PublicKey, RSA_KEY_ALGORITHM, readPublicKey } from './public-key.ts';
import { isLoopbackUrl, type UrlRule, urlProblem } from './public-url.ts';
import { RULES, type RuleId } from './rules.ts';
import { isDrawnSerial } from './serial.ts';
import { assembleCertificate } from './tbs.ts';
import { weakKey } from './weak-key.ts';

export interface LintContext {
  readonly profile: CertificateProfile;
  /** Left out for a root, which is its own issuer. */
  readonly issuerCertificateDer?: Uint8Array;
  /** When the certificate is or will be signed. */
  readonly signingTime: Date;
  /** Whether an issuing CA may carry loopback addresses. A leaf may exactly where its issuer does. */
  readonly trial?: boolean;
}

/**
 * Lints a certificate or a to-be-signed certificate, DER; answers a finding for each broken rule, none when all hold.
 * Bytes that cannot be read at all give the single finding `strict-der`. Throws `issuer-not-ready` for an issuer's
 * certificate that cannot be read.
 */
export function lintCertificate(der: Uint8Array, context: LintContext): readonly Finding[] {
  const facts = gatherFacts(der, context);
  if ('unreadable' in facts) return [finding('strict-der', facts.unreadable)];
  return (Object.keys(CHECKS) as readonly RuleId[]).flatMap((rule) =>
    CHECKS[rule](facts).map((found) => finding(rule, found)),
  );
}

const finding = (rule: RuleId, found: string): Finding => ({ rule, ...RULES[rule], found });

/** Everything the checks look at, gathered once. */
interface Facts {
  readonly tbs: TbsCertificate;
  /** Absent when only the to-be-signed part was given. */
  readonly certificate: Certificate | undefined;
  readonly certificateDer: Uint8Array;
  readonly extensions: DecodedExtensions;
  readonly malformed: readonly MalformedExtension[];
  readonly subject: readonly NameAttribute[];
  /** Undefined where the bytes are no SubjectPublicKeyInfo. */
  readonly key: PublicKey | undefined;
  readonly addresses: readonly string[];
  /** Every address printed for machines: CRL, issuer, OCSP. */
  readonly urls: readonly string[];
  /** Undefined for a root. */
  readonly issuer: IssuerCertificate | undefined;
  readonly profile: CertificateProfile;
  readonly signingTime: Date;
  readonly loopbackAllowed: boolean;
}

function gatherFacts(der: Uint8Array, context: LintContext): Facts | { readonly unreadable: string } {
  const issuer =
    context.issuerCertificateDer === undefined ? undefined : readIssuer(context.issuerCertificateDer);
  try {
    const certificate = isWholeCertificate(der) ? readCertificate(der) : undefined;
    const tbs = certificate ?? readTbsCertificate(der);
    const { decoded, malformed } = decodeExtensions(tbs.extensions);
    return {
      tbs,
      certificate,
      certificateDer: certificate?.certificateDer ?? assembleCertificate(der, 'sha256WithRSA', UNSIGNED),
      extensions: decoded,
      malformed,
      subject: readName(tbs.subjectDer),
      key: publicKey(tbs.spkiDer),
      addresses: addressesOf(tbs),
      urls: printedUrls(decoded),
      issuer,
      profile: context.profile,
      signingTime: context.signingTime,
      loopbackAllowed:
        context.profile.kind === 'leaf' || context.profile.kind === 'service'
          ? issuer !== undefined && printedUrls(issuer.extensions).some(isLoopbackUrl)
          : (context.trial ?? false),
    };
  } catch (error) {
    if (error instanceof DerError) return { unreadable: error.message };
    throw error;
  }
}

/** Stands where the signature will be, so that OpenSSL can read what is not signed yet. */
const UNSIGNED = new Uint8Array(256);

/** A certificate begins with a SEQUENCE, a TBSCertificate with a version or a serial. */
const isWholeCertificate = (der: Uint8Array) =>
  inside(readWhole(der, 'SEQUENCE', 'the certificate')).peek() === 0x30;

function publicKey(spkiDer: Uint8Array): PublicKey | undefined {
  try {
    return readPublicKey(spkiDer);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

const printedUrls = (extensions: DecodedExtensions): readonly string[] => [
  ...(extensions.cRLDistributionPoints ?? []).flatMap((point) => point.names.map((name) => name.value)),
  ...(extensions.authorityInfoAccess ?? []).map((access) => access.location.value),
];

type Check = (facts: Facts) => readonly string[];

/** A finding when the condition does not hold. */
const unless = (holds: boolean, found: string): readonly string[] => (holds ? [] : [found]);

const urlCheck =
  (rule: UrlRule): Check =>
  ({ urls, loopbackAllowed }) =>
    urls.flatMap((url) => {
      const problem = urlProblem(url, { trial: loopbackAllowed });
      return problem?.rule === rule ? [problem.found] : [];
    });

/** Names that would fit any CA (Google A.2: no generic value), and placeholders (SMBR 7.1.4). */
const GENERIC_CA_NAMES = new Set([
  'certificate authority',
  'root',
  'root ca',
  'issuing ca',
  'intermediate ca',
  'ca',
  'default',
  'test',
  '-',
  '.',
  '',
]);

const HOURS_48_MS = 48 * 3_600_000;

const isReserved = (oid: string) => oid.startsWith(RESERVED_POLICY_ARC);

const STATED_ELSEWHERE: ReadonlySet<string> = new Set(['small-modulus', 'even-modulus', 'bad-exponent']);

/** One certificate is linted three times on its way, and looking for close primes costs as much as half a signature. */
const weaknessOf = rememberingLast((spkiDer) => weakKey(spkiDer));

const CHECKS: { readonly [Id in RuleId]: Check } = {
  'strict-der': ({ malformed }) => malformed.map(({ oid, why }) => `extension ${oid}: ${why}`),
  'version-3': ({ tbs }) => unless(tbs.version === 3, `version ${tbs.version}`),
  'unique-ids-absent': ({ tbs }) => unless(!tbs.hasUniqueIds, 'a unique identifier'),
  'serial-positive': ({ tbs: { serialHex } }) =>
    unless(
      serialHex.length <= 40 && !/^[89a-f]/.test(serialHex) && !/^0+$/.test(serialHex),
      `serial ${serialHex}`,
    ),
  'serial-shape': ({ tbs: { serialHex } }) => unless(isDrawnSerial(serialHex), `serial ${serialHex}`),
  'signature-algorithm': ({ tbs, certificate, profile }) => {
    const inner = signatureAlgorithmOf(tbs.signatureAlgorithmDer);
    return [
      ...unless(
        inner !== undefined && profile.signatureAlgorithms.value.includes(inner),
        toHex(tbs.signatureAlgorithmDer),
      ),
      ...unless(
        certificate === undefined || sameBytes(certificate.outerAlgorithmDer, tbs.signatureAlgorithmDer),
        'another algorithm outside than inside',
      ),
    ];
  },
  'signature-fits-key': ({ tbs, issuer }) => {
    const algorithm = signatureAlgorithmOf(tbs.signatureAlgorithmDer);
    const signerDer = issuer?.certificate.spkiDer ?? tbs.spkiDer;
    const signer = publicKey(signerDer);
    if (algorithm === undefined || signer === undefined || signer.kind === 'other') return [];
    return unless(fitsKey(algorithm, signerDer), `${algorithm} by ${describeKey(signer)}`);
  },
  'issuer-dn': ({ tbs, issuer }) =>
    unless(
      issuer === undefined || sameBytes(tbs.issuerDer, issuer.certificate.subjectDer),
      'another issuer name',
    ),
  'issuer-may-sign': ({ issuer, profile, extensions }) =>
    issuer === undefined
      ? unless(profile.kind === 'root', 'no issuer was given')
      : issuerObjections(issuer, profile, extensions),
  'validity-cap': ({ tbs, profile }) => {
    const seconds = (tbs.notAfter.at.getTime() - tbs.notBefore.at.getTime()) / 1000 + 1;
    const maximum = profile.maximumValiditySeconds.value;
    return unless(seconds > 1 && seconds <= maximum, `${seconds} seconds where ${maximum} are the most`);
  },
  'validity-nested': ({ tbs, issuer }) =>
    issuer === undefined
      ? []
      : [
          ...unless(tbs.notBefore.at >= issuer.certificate.notBefore.at, 'it begins before its issuer'),
          ...unless(tbs.notAfter.at <= issuer.certificate.notAfter.at, 'it ends after its issuer'),
        ],
  'not-before-skew': ({ tbs, signingTime }) => {
    const skew = Math.abs(signingTime.getTime() - tbs.notBefore.at.getTime());
    return [
      ...unless(
        skew <= HOURS_48_MS,
        `notBefore ${tbs.notBefore.at.toISOString()}, signed ${signingTime.toISOString()}`,
      ),
      ...unless(tbs.notAfter.at > signingTime, `it ended ${tbs.notAfter.at.toISOString()}`),
    ];
  },
  'time-encoding': ({ tbs }) =>
    [tbs.notBefore, tbs.notAfter]
      .filter(({ at, form }) => at.getUTCFullYear() < 2050 !== (form === 'utc'))
      .map(({ at, form }) => `${form} time for ${at.getUTCFullYear()}`),
  'spki-algorithm': ({ key, profile }) => {
    if (key === undefined) return ['a public key that cannot be read'];
    if (key.kind === 'other') return [key.description];
    if (key.kind === 'ec')
      return unless(profile.curves.value.length > 0, `${key.curve}, where RSA is wanted`);
    return [
      ...unless(profile.modulusBits.value.length > 0, 'RSA, where EC is wanted'),
      ...unless(sameBytes(key.algorithmDer, RSA_KEY_ALGORITHM), toHex(key.algorithmDer)),
    ];
  },
  'rsa-modulus': ({ key, profile: { modulusBits: sizes } }) => {
    if (key?.kind !== 'rsa') return [];
    const bits = modulusBits(key.modulus);
    return [
      ...unless(sizes.value.length === 0 || sizes.value.includes(bits), `${bits} bits`),
      ...unless((key.modulus & 1n) === 1n, 'an even modulus'),
    ];
  },
  'rsa-exponent': ({ key }) =>
    key?.kind !== 'rsa' ? [] : unless(key.exponent === 65_537n, `exponent ${key.exponent}`),
  'ec-curve': ({ key, profile: { curves } }) =>
    key?.kind !== 'ec' || curves.value.length === 0
      ? []
      : unless(curves.value.includes(key.curve), key.curve),
  'key-weak': ({ tbs, key }) => {
    if (key?.kind !== 'rsa') return [];
    const found = weaknessOf(tbs.spkiDer);
    // Size, parity and exponent have rules of their own.
    return found === undefined || STATED_ELSEWHERE.has(found.id) ? [] : [found.sentence];
  },
  'key-not-issuers': ({ tbs, issuer }) =>
    unless(issuer === undefined || !sameBytes(tbs.spkiDer, issuer.certificate.spkiDer), 'the issuer’s key'),
  'subject-ca': ({ subject, profile }) => (profile.subject.value === 'ca' ? caObjections(subject) : []),
  'subject-mailbox': ({ subject, profile }) => {
    if (profile.subject.value !== 'mailbox') return [];
    const [attribute, ...more] = subject;
    return unless(
      attribute !== undefined &&
        more.length === 0 &&
        (attribute.oid === ATTRIBUTE_OIDS.commonName || attribute.oid === ATTRIBUTE_OIDS.emailAddress) &&
        addressForm(attribute.value).kind === 'address',
      subject.length === 0 ? 'an empty subject' : describeAttributes(subject),
    );
  },
  'subject-sponsor': ({ subject, profile }) => {
    if (profile.subject.value !== 'sponsor') return [];
    const found = subject.map(({ oid }) => oid).filter((oid) => oid !== ATTRIBUTE_OIDS.countryName);
    return [
      ...unless(sameMembers(found, SPONSOR_ATTRIBUTES), describeAttributes(subject)),
      ...subject
        .filter(({ value }) => !/[\p{L}\p{N}]/u.test(value))
        .map(({ oid, value }) => `${oid} is "${value}"`),
    ];
  },
  'subject-length': ({ subject }) =>
    subject
      .filter(({ oid, value }) => [...value].length > (LENGTH_LIMITS.get(oid) ?? Number.POSITIVE_INFINITY))
      .map(({ oid, value }) => `${oid} of ${[...value].length} characters`),
  'subject-address-in-san': ({ subject, addresses, profile }) =>
    profile.subject.value === 'ca'
      ? []
      : subject
          // In a sponsor's subject only what looks like an address is one.
          .filter(({ value }) => profile.subject.value === 'mailbox' || value.includes('@'))
          .filter(({ value }) => value !== addresses[0])
          .map(({ value }) => `"${value}" is not the first address`),
  'self-signed': ({ tbs, profile }) =>
    unless(profile.kind !== 'root' || sameBytes(tbs.issuerDer, tbs.subjectDer), 'another issuer name'),
  'extension-missing': ({ tbs, profile }) =>
    (Object.keys(profile.extensions.value) as readonly ExtensionName[]).filter(
      (name) => !tbs.extensions.some(({ oid }) => oid === EXTENSION_OIDS[name]),
    ),
  'extension-unexpected': ({ tbs, profile }) =>
    tbs.extensions
      .filter(({ oid }) => {
        const name = extensionName(oid);
        return name === undefined || profile.extensions.value[name] === undefined;
      })
      .map(({ oid, critical }) => `${extensionName(oid) ?? oid}${critical ? ', critical' : ''}`),
  'extension-duplicate': ({ tbs: { extensions } }) =>
    extensions
      .map(({ oid }) => oid)
      .filter((oid, index, all) => all.indexOf(oid) !== index)
      .map((oid) => extensionName(oid) ?? oid),
  'extension-criticality': ({ tbs, subject, profile }) =>
    tbs.extensions.flatMap(({ oid, critical }) => {
      const name = extensionName(oid);
      const wanted = name === undefined ? undefined : profile.extensions.value[name];
      if (wanted === undefined) return [];
      const shouldBe = wanted === 'critical' || (wanted === 'unless-subject' && subject.length === 0);
      return unless(critical === shouldBe, `${name} is ${critical ? '' : 'not '}critical`);
    }),
  'key-usage': ({ extensions: { keyUsage }, profile }) =>
    keyUsage === undefined || sameMembers(keyUsage, profile.keyUsage.value) ? [] : [keyUsage.join(' + ')],
  'extended-key-usage': ({ extensions: { extKeyUsage }, profile }) => {
    const wanted = profile.extKeyUsage.value.map((purpose) => KEY_PURPOSE_OIDS[purpose]);
    return extKeyUsage === undefined || sameMembers(extKeyUsage, wanted) ? [] : [extKeyUsage.join(' + ')];
  },
  'basic-constraints': ({ extensions: { basicConstraints: found }, profile }) => {
    const wanted = profile.basicConstraints.value;
    if (found === undefined || wanted === undefined) return [];
    return unless(
      found.ca === wanted.ca && found.pathLength === wanted.pathLength,
      `CA ${found.ca}, path length ${found.pathLength ?? 'unlimited'}`,
    );
  },
  'policy-own': ({ extensions: { certificatePolicies: policies } }) =>
    policies === undefined || policies.some(({ oid }) => oid !== ANY_POLICY && !isReserved(oid))
      ? []
      : ['no policy of our own'],
  'policy-reserved': ({ extensions: { certificatePolicies = [] }, profile }) => {
    const reserved = certificatePolicies.map(({ oid }) => oid).filter(isReserved);
    return unless(
      reserved.length <= 1 && reserved.every((oid) => profile.reservedPolicies.value.includes(oid)),
      reserved.join(' + '),
    );
  },
  'policy-any': ({ extensions: { certificatePolicies = [] } }) =>
    unless(!certificatePolicies.some(({ oid }) => oid === ANY_POLICY), 'anyPolicy'),
  'policy-duplicate': ({ extensions: { certificatePolicies = [] } }) =>
    certificatePolicies.map(({ oid }) => oid).filter((oid, index, all) => all.indexOf(oid) !== index),
  'policy-in-issuer': ({ extensions: { certificatePolicies = [] }, issuer, profile }) => {
    if (issuer === undefined || profile.kind === 'issuing') return [];
    const allowed = (issuer.extensions.certificatePolicies ?? []).map(({ oid }) => oid);
    return certificatePolicies.map(({ oid }) => oid).filter((oid) => !allowed.includes(oid));
  },
  'policy-qualifier': ({ extensions: { certificatePolicies = [] } }) =>
    certificatePolicies
      .flatMap(({ qualifiers }) => qualifiers)
      .filter(({ oid, cps }) => oid !== CPS_QUALIFIER || cps === undefined || !/^https?:\/\//.test(cps))
      .map(({ oid, cps }) => cps ?? oid),
  'crl-point': ({ extensions: { cRLDistributionPoints = [] } }) =>
    cRLDistributionPoints
      .filter(
        ({ names, hasMore }) => hasMore || names.length === 0 || names.some((name) => name.type !== URI),
      )
      .map(() => 'a distribution point that is more than URIs'),
  'access-methods': ({ extensions: { authorityInfoAccess: found } }) => {
    if (found === undefined) return [];
    const methods = found.map(({ method }) => method);
    return [
      ...unless(methods.includes(ACCESS_METHOD_OIDS.caIssuers), 'no caIssuers'),
      ...methods.filter((method) => !ACCESS_METHODS.includes(method)),
      ...unless(
        found.every(({ location }) => location.type === URI),
        'a location that is no URI',
      ),
    ];
  },
  'url-scheme': urlCheck('url-scheme'),
  'url-host': urlCheck('url-host'),
  'url-parameters': urlCheck('url-parameters'),
  'subject-key-identifier': ({ extensions: { subjectKeyIdentifier: found }, tbs, key }) =>
    found === undefined || key === undefined || sameBytes(found, keyIdentifier(tbs.spkiDer))
      ? []
      : [toHex(found)],
  'authority-key-identifier': ({ extensions: { authorityKeyIdentifier: found }, issuer }) => {
    if (found === undefined || issuer === undefined) return [];
    const wanted = issuer.extensions.subjectKeyIdentifier;
    return [
      ...unless(
        found.keyIdentifier !== undefined && wanted !== undefined && sameBytes(found.keyIdentifier, wanted),
        found.keyIdentifier === undefined ? 'no key identifier' : toHex(found.keyIdentifier),
      ),
      ...unless(!found.hasMore, 'issuer and serial as well'),
    ];
  },
  'san-types': ({ extensions: { subjectAltName = [] } }) =>
    subjectAltName.filter(({ type }) => type !== RFC822_NAME).map(({ type }) => `a name of type ${type}`),
  'san-address': ({ addresses }) =>
    addresses.flatMap((address) => {
      const form = addressForm(address);
      if (form.kind === 'unusable') return [`"${address}": ${form.why}`];
      return unless(form.address === address, `"${address}" should be "${form.address}"`);
    }),
  'san-duplicate': ({ addresses }) =>
    addresses.filter(
      (address, index) => addresses.findIndex((other) => sameAddress(other, address)) !== index,
    ),
  'parsers-agree': openSslDisagreements,
};

const RFC822_NAME = 1;
const URI = 6;
const ACCESS_METHODS: readonly string[] = Object.values(ACCESS_METHOD_OIDS);

/** RFC 5280 appendix A.1: ub-common-name, ub-organization-name, ub-emailaddress-length. */
const LENGTH_LIMITS = new Map<string, number>([
  [ATTRIBUTE_OIDS.commonName, COMMON_NAME_MAXIMUM],
  [ATTRIBUTE_OIDS.organizationName, 64],
  [ATTRIBUTE_OIDS.givenName, 64],
  [ATTRIBUTE_OIDS.surname, 64],
  [ATTRIBUTE_OIDS.emailAddress, 255],
]);

const SPONSOR_ATTRIBUTES: readonly string[] = [
  ATTRIBUTE_OIDS.organizationName,
  ATTRIBUTE_OIDS.organizationIdentifier,
  ATTRIBUTE_OIDS.givenName,
  ATTRIBUTE_OIDS.surname,
  ATTRIBUTE_OIDS.commonName,
];

const describeAttributes = (name: readonly NameAttribute[]) =>
  name.map(({ oid, value }) => `${oid}=${value}`).join(', ');

const sameMembers = (left: readonly string[], right: readonly string[]) =>
  left.length === right.length && left.every((member) => right.includes(member));

function caObjections(subject: readonly NameAttribute[]): readonly string[] {
  const [country, organization, commonName, ...more] = subject;
  if (
    country?.oid !== ATTRIBUTE_OIDS.countryName ||
    organization?.oid !== ATTRIBUTE_OIDS.organizationName ||
    commonName?.oid !== ATTRIBUTE_OIDS.commonName ||
    more.length > 0
  ) {
    return [describeAttributes(subject)];
  }
  return [
    ...unless(/^[A-Z]{2}$/.test(country.value), `country "${country.value}"`),
    ...[organization.value, commonName.value]
      .filter((value) => GENERIC_CA_NAMES.has(value.trim().toLowerCase()))
      .map((value) => `the name "${value}" would fit any CA`),
  ];
}

function issuerObjections(
  issuer: IssuerCertificate,
  profile: CertificateProfile,
  extensions: DecodedExtensions,
): readonly string[] {
  const { basicConstraints, keyUsage = [], extKeyUsage } = issuer.extensions;
  const selfIssued = sameBytes(issuer.certificate.subjectDer, issuer.certificate.issuerDer);
  const room = basicConstraints?.pathLength ?? Number.POSITIVE_INFINITY;
  return [
    ...unless(basicConstraints?.ca === true, 'the issuer is no CA'),
    ...unless(keyUsage.includes('keyCertSign'), 'the issuer’s key may not sign certificates'),
    ...unless(profile.kind !== 'leaf' || !selfIssued, 'a root would issue a leaf'),
    ...unless(profile.kind !== 'issuing' || room >= 1, 'the issuer’s path length leaves no room for a CA'),
    ...unless(
      extKeyUsage === undefined ||
        // OCSP and audit signers are authorized by being issued directly (RFC 6960 §4.2.2.2), not by their issuer's list.
        profile.kind === 'service' ||
        (extensions.extKeyUsage ?? []).every((purpose) => extKeyUsage.includes(purpose)),
      'the issuer is not meant for this extended key usage',
    ),
  ];
}

/** What OpenSSL reads, beside what our reader reads. */
function openSslDisagreements({ tbs, certificateDer, addresses, extensions }: Facts): readonly string[] {
  let theirs: X509Certificate;
  try {
    theirs = new X509Certificate(certificateDer);
  } catch {
    return ['OpenSSL cannot read the certificate'];
  }
  return [
    ...unless(openSslSerial(theirs) === signedValue(tbs.serialHex), 'the serial'),
    ...unless(theirs.validFromDate.getTime() === tbs.notBefore.at.getTime(), 'notBefore'),
    ...unless(theirs.validToDate.getTime() === tbs.notAfter.at.getTime(), 'notAfter'),
    ...unless(theirs.ca === mayBeCa(extensions), 'the CA flag'),
    ...unless(sameMembers(openSslAddresses(theirs), addresses), 'the addresses'),
  ];
}

/** OpenSSL's notion of a CA: the flag, and keyCertSign where there is a key usage at all. */
const mayBeCa = ({ basicConstraints, keyUsage }: DecodedExtensions) =>
  basicConstraints?.ca === true && (keyUsage === undefined || keyUsage.includes('keyCertSign'));

/** Node gives hex, with a minus sign before the magnitude of a negative serial. */
function openSslSerial({ serialNumber }: X509Certificate): bigint {
  return serialNumber.startsWith('-') ? -BigInt(`0x${serialNumber.slice(1)}`) : BigInt(`0x${serialNumber}`);
}

/** Two's complement of INTEGER content octets. */
function signedValue(contentHex: string): bigint {
  return BigInt.asIntN(contentHex.length * 4, BigInt(`0x${contentHex}`));
}

/** A kind (`email`, `IP Address`, `X400Name`), in front of an other name's value what kind that is, and the value. */
const NAME = /(?:^|, )([A-Za-z0-9 ]+):(?:[A-Za-z0-9.]+:(?="))?("(?:[^"\\]|\\.)*"|[^,]*)/gs;

/** Node lists names as `email:a@b, email:"o'b@c"`, quoting as JSON whatever could be misread. */
const openSslAddresses = (certificate: X509Certificate): readonly string[] =>
  Array.from((certificate.subjectAltName ?? '').matchAll(NAME), ([, kind, value = '']) => ({ kind, value }))
    .filter(({ kind }) => kind === 'email')
    .map(({ value }) => (value.startsWith('"') ? String(JSON.parse(value)) : value));
