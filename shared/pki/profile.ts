/**
 * Certificate profiles as data. The builders write what a profile says, the linter checks it, and nobody else decides
 * what goes into a certificate. Each row carries the id of the rule it follows; `rules.ts` has its text and source.
 *
 * Leaves are a grid: what the key is for, what kind of key it is, what the subject says. A new kind of certificate is a
 * new value here, not new code.
 */
import { permanent } from '../errors.ts';
import type { SignatureAlgorithm } from './algorithm.ts';
import { type ExtensionName, type KeyPurpose, type KeyUsage, RESERVED_POLICIES } from './oids.ts';
import type { Curve } from './public-key.ts';
import type { RuleId } from './rules.ts';

export interface Row<Value> {
  readonly value: Value;
  /** The rule this value follows. */
  readonly rule: RuleId;
}

/** `unless-subject`: critical only where the subject is empty, as RFC 5280 §4.2.1.6 demands of subjectAltName. */
export type Criticality = 'critical' | 'not-critical' | 'unless-subject';

export interface CertificateProfile {
  /** Recorded with each intent, so that a later version knows what was meant. */
  readonly name: string;
  /** `service`: a key of the CA's own machinery (OCSP answers, audit trail), which is no user's. */
  readonly kind: 'root' | 'issuing' | 'leaf' | 'service';
  readonly signatureAlgorithms: Row<readonly SignatureAlgorithm[]>;
  /** RSA sizes the certified key may have; none where it must be EC. */
  readonly modulusBits: Row<readonly number[]>;
  /** Curves the certified key may be on; none where it must be RSA. */
  readonly curves: Row<readonly Curve[]>;
  /** Longest validity, both ends included, in seconds. */
  readonly maximumValiditySeconds: Row<number>;
  readonly subject: Row<'ca' | 'mailbox' | 'sponsor'>;
  /** Policies of the CA/Browser Forum that fit the subject; at most one of them may be there, and none need be. */
  readonly reservedPolicies: Row<readonly string[]>;
  /** Exactly the extensions that must be there; any other is refused. */
  readonly extensions: Row<Readonly<Partial<Record<ExtensionName, Criticality>>>>;
  readonly keyUsage: Row<readonly KeyUsage[]>;
  /** Empty where the extension is absent. */
  readonly extKeyUsage: Row<readonly KeyPurpose[]>;
  /** Undefined where the extension is absent. */
  readonly basicConstraints: Row<{ readonly ca: true; readonly pathLength: number | undefined } | undefined>;
}

const DAY_SECONDS = 86_400;

/** Google's 27 months are 819 to 823 days, depending on the month they begin in; SMBR's 825 days would be too long. */
export const LEAF_MAXIMUM_DAYS = 819;
export const LEAF_DEFAULT_DAYS = 365;
/** How far notBefore lies before the moment of building, so that a reader whose clock is slow accepts it at once. */
export const BACKDATE_MS = 5 * 60_000;

export const ROOT_YEARS = 20;
export const ISSUING_YEARS = 10;
/** An OCSP signer cannot be revoked (nocheck), so it is short-lived: it is replaced weekly and lives a month at most. */
export const OCSP_SIGNER_DAYS = { minimum: 7, maximum: 30 } as const;
/** The most days that so many calendar years can have. */
const daysOfYears = (years: number) => years * 365 + Math.ceil(years / 4);

const RSA_SIGNATURES = ['sha256WithRSA', 'sha384WithRSA', 'sha512WithRSA'] as const;
const ECDSA_SIGNATURES = ['ecdsaWithSha256', 'ecdsaWithSha384'] as const;
const RSA_SIZES = [2048, 3072, 4096] as const;
const CURVES = ['P-256', 'P-384'] as const;

/** Any issuer may sign any profile: an EC CA above RSA users is fine with both documents. */
const signatureAlgorithms = {
  value: [...RSA_SIGNATURES, ...ECDSA_SIGNATURES],
  rule: 'signature-algorithm',
} as const;
const rsaOnly = {
  modulusBits: { value: RSA_SIZES, rule: 'rsa-modulus' },
  curves: { value: [], rule: 'ec-curve' },
} as const;
const ecOnly = {
  modulusBits: { value: [], rule: 'rsa-modulus' },
  curves: { value: CURVES, rule: 'ec-curve' },
} as const;
const anyKey = {
  modulusBits: { value: RSA_SIZES, rule: 'rsa-modulus' },
  curves: { value: CURVES, rule: 'ec-curve' },
} as const;

/** The root, made offline: signs issuing CAs and its own CRL, nothing else. RSA by default, P-384 or P-256 if asked. */
export const ROOT: CertificateProfile = defineProfile({
  signatureAlgorithms,
  ...anyKey,
  name: 'root/1',
  kind: 'root',
  maximumValiditySeconds: { value: daysOfYears(ROOT_YEARS) * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
  reservedPolicies: { value: [], rule: 'policy-reserved' },
  extensions: {
    value: { basicConstraints: 'critical', keyUsage: 'critical', subjectKeyIdentifier: 'not-critical' },
    rule: 'extension-unexpected',
  },
  keyUsage: { value: ['keyCertSign', 'cRLSign'], rule: 'key-usage' },
  extKeyUsage: { value: [], rule: 'extension-unexpected' },
  basicConstraints: { value: { ca: true, pathLength: undefined }, rule: 'basic-constraints' },
});

/**
 * The issuing CA: signs leaves and their CRL. digitalSignature is there because one reading of Google's page demands
 * it, and so that this key could sign OCSP answers itself.
 */
export const ISSUING: CertificateProfile = defineProfile({
  signatureAlgorithms,
  ...anyKey,
  name: 'issuing/1',
  kind: 'issuing',
  maximumValiditySeconds: { value: daysOfYears(ISSUING_YEARS) * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
  reservedPolicies: {
    value: [...RESERVED_POLICIES.mailbox, ...RESERVED_POLICIES.sponsor],
    rule: 'policy-reserved',
  },
  extensions: {
    value: {
      basicConstraints: 'critical',
      keyUsage: 'critical',
      extKeyUsage: 'not-critical',
      subjectKeyIdentifier: 'not-critical',
      authorityKeyIdentifier: 'not-critical',
      certificatePolicies: 'not-critical',
      cRLDistributionPoints: 'not-critical',
      authorityInfoAccess: 'not-critical',
    },
    rule: 'extension-unexpected',
  },
  keyUsage: { value: ['digitalSignature', 'keyCertSign', 'cRLSign'], rule: 'key-usage' },
  extKeyUsage: { value: ['emailProtection'], rule: 'extended-key-usage' },
  basicConstraints: { value: { ca: true, pathLength: 0 }, rule: 'basic-constraints' },
});

/** What a user's key is for. Gmail takes one dual-use key, or a signing and an encryption key side by side. */
export type LeafUse = 'dual-use' | 'signing' | 'encryption';
export type KeyKind = 'rsa' | 'ec';
/** Whether the subject says the address alone, or the person and the organization (see `subject.ts`). */
export type SubjectKind = 'mailbox' | 'sponsor';

/** Key usage by use and kind of key, strict column (SMBR 7.1.2.3 e): never dataEncipherment, never nonRepudiation. */
const LEAF_KEY_USAGE: Readonly<Record<LeafUse, Readonly<Record<KeyKind, readonly KeyUsage[]>>>> = {
  'dual-use': { rsa: ['digitalSignature', 'keyEncipherment'], ec: ['digitalSignature', 'keyAgreement'] },
  signing: { rsa: ['digitalSignature'], ec: ['digitalSignature'] },
  encryption: { rsa: ['keyEncipherment'], ec: ['keyAgreement'] },
};

function leaf(use: LeafUse, key: KeyKind, subject: SubjectKind): CertificateProfile {
  return defineProfile({
    signatureAlgorithms,
    ...(key === 'rsa' ? rsaOnly : ecOnly),
    name: `${use}-${key}${subject === 'sponsor' ? '-sponsor' : ''}/1`,
    kind: 'leaf',
    maximumValiditySeconds: { value: LEAF_MAXIMUM_DAYS * DAY_SECONDS, rule: 'validity-cap' },
    subject: { value: subject, rule: subject === 'sponsor' ? 'subject-sponsor' : 'subject-mailbox' },
    reservedPolicies: { value: RESERVED_POLICIES[subject], rule: 'policy-reserved' },
    extensions: {
      value: {
        keyUsage: 'critical',
        extKeyUsage: 'not-critical',
        subjectKeyIdentifier: 'not-critical',
        authorityKeyIdentifier: 'not-critical',
        certificatePolicies: 'not-critical',
        cRLDistributionPoints: 'not-critical',
        authorityInfoAccess: 'not-critical',
        subjectAltName: 'unless-subject',
      },
      rule: 'extension-unexpected',
    },
    keyUsage: { value: LEAF_KEY_USAGE[use][key], rule: 'key-usage' },
    extKeyUsage: { value: ['emailProtection'], rule: 'extended-key-usage' },
    basicConstraints: { value: undefined, rule: 'extension-unexpected' },
  });
}

const LEAF_USES = Object.keys(LEAF_KEY_USAGE) as readonly LeafUse[];

/** Every kind of user certificate: use × kind of key × what the subject says. */
export const LEAF_PROFILES: readonly CertificateProfile[] = LEAF_USES.flatMap((use) =>
  (['rsa', 'ec'] as const).flatMap((key) =>
    (['mailbox', 'sponsor'] as const).map((subject) => leaf(use, key, subject)),
  ),
);

/** The profile of a user certificate. EC is for mail clients that hold their own keys: Gmail's key service is RSA. */
export const leafProfileFor = (
  use: LeafUse,
  key: KeyKind = 'rsa',
  subject: SubjectKind = 'mailbox',
): CertificateProfile => leafProfile(`${use}-${key}${subject === 'sponsor' ? '-sponsor' : ''}/1`);

/** A user's leaf for signing and encryption with one RSA key. */
export const DUAL_USE_RSA: CertificateProfile = leafProfileFor('dual-use');

/**
 * A key that signs OCSP answers for the CA that issued it (RFC 6960 §4.2.2.2). With nocheck nobody asks whether it is
 * revoked, so it has no CRL and no OCSP address and lives for days. Its extended key usage is not among its issuer's:
 * RFC 6960 makes the authorization the direct issue, and SMBR keep ocspSigning out of issuing CAs.
 */
export const OCSP_SIGNER: CertificateProfile = defineProfile({
  signatureAlgorithms,
  ...anyKey,
  name: 'ocsp-signer/1',
  kind: 'service',
  maximumValiditySeconds: { value: OCSP_SIGNER_DAYS.maximum * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
  reservedPolicies: { value: [], rule: 'policy-reserved' },
  extensions: {
    value: {
      keyUsage: 'critical',
      extKeyUsage: 'not-critical',
      subjectKeyIdentifier: 'not-critical',
      authorityKeyIdentifier: 'not-critical',
      ocspNoCheck: 'not-critical',
    },
    rule: 'extension-unexpected',
  },
  keyUsage: { value: ['digitalSignature'], rule: 'key-usage' },
  extKeyUsage: { value: ['ocspSigning'], rule: 'extended-key-usage' },
  basicConstraints: { value: undefined, rule: 'extension-unexpected' },
});

/** A key that signs exports of the audit trail (RFC 9336 documentSigning), so that it can sign nothing like mail. */
export const AUDIT_SIGNER: CertificateProfile = defineProfile({
  signatureAlgorithms,
  ...anyKey,
  name: 'audit-signer/1',
  kind: 'service',
  maximumValiditySeconds: { value: LEAF_MAXIMUM_DAYS * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
  reservedPolicies: { value: [], rule: 'policy-reserved' },
  extensions: {
    value: {
      keyUsage: 'critical',
      extKeyUsage: 'not-critical',
      subjectKeyIdentifier: 'not-critical',
      authorityKeyIdentifier: 'not-critical',
      certificatePolicies: 'not-critical',
      cRLDistributionPoints: 'not-critical',
      authorityInfoAccess: 'not-critical',
    },
    rule: 'extension-unexpected',
  },
  keyUsage: { value: ['digitalSignature'], rule: 'key-usage' },
  extKeyUsage: { value: ['documentSigning'], rule: 'extended-key-usage' },
  basicConstraints: { value: undefined, rule: 'extension-unexpected' },
});

/** Every profile there is. */
export const PROFILES: readonly CertificateProfile[] = [
  ROOT,
  ISSUING,
  ...LEAF_PROFILES,
  OCSP_SIGNER,
  AUDIT_SIGNER,
];

/** The leaf profile an intent was recorded under; throws `lint-failed` for one this version does not issue. */
export function leafProfile(name: string): CertificateProfile {
  return named(name, LEAF_PROFILES);
}

/** The same for OCSP and audit signers. */
export const serviceProfile = (name: string): CertificateProfile => named(name, [OCSP_SIGNER, AUDIT_SIGNER]);

function named(name: string, profiles: readonly CertificateProfile[]): CertificateProfile {
  const profile = profiles.find((candidate) => candidate.name === name);
  if (profile === undefined) {
    const known = profiles.map((candidate) => candidate.name).join(', ');
    throw permanent(
      'lint-failed',
      `The profile "${name}" is not one that may be issued (${known}): build the certificate again under one of these.`,
    );
  }
  return profile;
}

/**
 * Checks that a profile does not contradict itself, so that a slip in a row fails at start and not in a certificate.
 * Throws `settings-invalid`.
 */
export function defineProfile(profile: CertificateProfile): CertificateProfile {
  const has = (name: ExtensionName) => profile.extensions.value[name] !== undefined;
  const isCa = profile.kind === 'root' || profile.kind === 'issuing';
  const isLeaf = profile.kind === 'leaf';
  const uses = profile.keyUsage.value;
  const sizes = profile.modulusBits.value;
  const curves = profile.curves.value;
  const contradictions = [
    [has('basicConstraints') !== (profile.basicConstraints.value !== undefined), 'basicConstraints'],
    [isCa !== (profile.basicConstraints.value?.ca === true), 'CA flag and kind'],
    [isCa !== uses.includes('keyCertSign'), 'keyCertSign and kind'],
    [isCa !== uses.includes('cRLSign'), 'cRLSign and kind'],
    [
      uses.length === 0 || profile.extensions.value.keyUsage !== 'critical',
      'keyUsage, which must be critical',
    ],
    [sizes.length === 0 && curves.length === 0, 'no kind of key'],
    [sizes.length > 0 && uses.includes('keyAgreement'), 'keyAgreement, which an RSA key cannot do'],
    [curves.length > 0 && uses.includes('keyEncipherment'), 'keyEncipherment, which an EC key cannot do'],
    [has('extKeyUsage') !== profile.extKeyUsage.value.length > 0, 'extKeyUsage'],
    [
      profile.extKeyUsage.value.includes('ocspSigning') !== has('ocspNoCheck'),
      'ocspSigning without nocheck, or nocheck without ocspSigning',
    ],
    [has('subjectAltName') !== isLeaf, 'subjectAltName and kind'],
    [isLeaf === (profile.subject.value === 'ca'), 'subject and kind'],
    [(profile.kind === 'root') === has('authorityKeyIdentifier'), 'authorityKeyIdentifier'],
    [!isCa && profile.maximumValiditySeconds.value > LEAF_MAXIMUM_DAYS * DAY_SECONDS, 'validity of a leaf'],
  ] as const;
  const found = contradictions.filter(([contradicts]) => contradicts).map(([, what]) => what);
  if (found.length > 0) {
    throw permanent(
      'settings-invalid',
      `The profile "${profile.name}" contradicts itself: ${found.join('; ')}.`,
    );
  }
  return profile;
}
