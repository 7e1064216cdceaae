/**
 * Certificate profiles as data. The builders write what a profile says, the linter checks it, and nobody else decides
 * what goes into a certificate. Each row carries the id of the rule it follows; `rules.ts` has its text and source.
 *
 * A new kind of leaf (signing only, encryption only, OCSP signer, audit signer) is a new value here, not new code.
 */
import { permanent } from '../errors.ts';
import type { SignatureAlgorithm } from './algorithm.ts';
import type { ExtensionName, KeyPurpose, KeyUsage } from './oids.ts';
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
  readonly kind: 'root' | 'issuing' | 'leaf';
  readonly signatureAlgorithms: Row<readonly SignatureAlgorithm[]>;
  readonly modulusBits: Row<readonly number[]>;
  /** Longest validity, both ends included, in seconds. */
  readonly maximumValiditySeconds: Row<number>;
  readonly subject: Row<'ca' | 'mailbox'>;
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
/** The most days that so many calendar years can have. */
const daysOfYears = (years: number) => years * 365 + Math.ceil(years / 4);

const RSA_SIGNATURES = ['sha256WithRSA', 'sha384WithRSA', 'sha512WithRSA'] as const;
const RSA_SIZES = [2048, 3072, 4096] as const;

const common = {
  signatureAlgorithms: { value: RSA_SIGNATURES, rule: 'signature-algorithm' },
  modulusBits: { value: RSA_SIZES, rule: 'rsa-modulus' },
} as const;

/** The root, made offline: signs issuing CAs and its own CRL, nothing else. */
export const ROOT: CertificateProfile = defineProfile({
  ...common,
  name: 'root/1',
  kind: 'root',
  maximumValiditySeconds: { value: daysOfYears(ROOT_YEARS) * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
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
  ...common,
  name: 'issuing/1',
  kind: 'issuing',
  maximumValiditySeconds: { value: daysOfYears(ISSUING_YEARS) * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'ca', rule: 'subject-ca' },
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

/** A user's leaf for signing and encryption with one RSA key. */
export const DUAL_USE_RSA: CertificateProfile = defineProfile({
  ...common,
  name: 'dual-use-rsa/1',
  kind: 'leaf',
  maximumValiditySeconds: { value: LEAF_MAXIMUM_DAYS * DAY_SECONDS, rule: 'validity-cap' },
  subject: { value: 'mailbox', rule: 'subject-mailbox' },
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
  keyUsage: { value: ['digitalSignature', 'keyEncipherment'], rule: 'key-usage' },
  extKeyUsage: { value: ['emailProtection'], rule: 'extended-key-usage' },
  basicConstraints: { value: undefined, rule: 'extension-unexpected' },
});

const LEAF_PROFILES: readonly CertificateProfile[] = [DUAL_USE_RSA];

/** The leaf profile an intent was recorded under; throws `lint-failed` for one this version does not issue. */
export function leafProfile(name: string): CertificateProfile {
  const profile = LEAF_PROFILES.find((candidate) => candidate.name === name);
  if (profile === undefined) {
    const known = LEAF_PROFILES.map((candidate) => candidate.name).join(', ');
    throw permanent(
      'lint-failed',
      `The profile "${name}" is not one that may be issued (${known}): build the leaf again under one of these.`,
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
  const isCa = profile.kind !== 'leaf';
  const uses = profile.keyUsage.value;
  const contradictions = [
    [has('basicConstraints') !== (profile.basicConstraints.value !== undefined), 'basicConstraints'],
    [isCa !== (profile.basicConstraints.value?.ca === true), 'CA flag and kind'],
    [isCa !== uses.includes('keyCertSign'), 'keyCertSign and kind'],
    [isCa !== uses.includes('cRLSign'), 'cRLSign and kind'],
    [
      uses.length === 0 || profile.extensions.value.keyUsage !== 'critical',
      'keyUsage, which must be critical',
    ],
    [has('extKeyUsage') !== profile.extKeyUsage.value.length > 0, 'extKeyUsage'],
    [has('subjectAltName') !== (profile.subject.value === 'mailbox'), 'subjectAltName and subject'],
    [(profile.kind === 'root') === has('authorityKeyIdentifier'), 'authorityKeyIdentifier'],
    [
      profile.kind === 'leaf' && profile.maximumValiditySeconds.value > LEAF_MAXIMUM_DAYS * DAY_SECONDS,
      'validity of a leaf',
    ],
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
