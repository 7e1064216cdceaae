/**
 * Building a user's leaf, up to the bytes that will be signed. The signature comes later and elsewhere: these bytes
 * are committed to the ledger first, and the private `sign` function signs exactly them.
 */
import { type LeafSubject, MAILBOX_TEMPLATE } from '../domain/subject-template.ts';
import { permanent } from '../errors.ts';
import { type SignatureAlgorithm, signatureAlgorithmFor } from './algorithm.ts';
import { type IssuerCertificate, issuerKeyIdentifier, keyIdentifier, readIssuer } from './certificate.ts';
import { DerError } from './der-reader.ts';
import { assertLintClean } from './finding.ts';
import { lintCertificate } from './lint.ts';
import { addressForm, sameAddress } from './mailbox-address.ts';
import { RESERVED_POLICY_ARC } from './oids.ts';
import { type CertificateProfile, DUAL_USE_RSA } from './profile.ts';
import { encodeLeafSubject, subjectPlan } from './subject.ts';
import { encodeExtensions, encodeTbs } from './tbs.ts';
import { leafValidity } from './validity.ts';

/** What a leaf needs to know of its issuer; an `IssuerRecord` of the ledger fits. */
export interface LeafIssuer {
  readonly certificateDer: Uint8Array;
  /** Printed as CRL distribution point; plain http. */
  readonly crlUrl: string;
  /** Printed as caIssuers; plain http, answers the issuer's certificate in DER. */
  readonly issuerUrl: string;
  /** Printed as OCSP responder where there is one; plain http. */
  readonly ocspUrl?: string;
}

export interface LeafRequest {
  readonly issuer: LeafIssuer;
  /** The user's public key, SubjectPublicKeyInfo. */
  readonly spkiDer: Uint8Array;
  /** Primary address first. Domains may be internationalised; they are printed as A-labels. */
  readonly addresses: readonly string[];
  /** From `drawSerial`. */
  readonly serialHex: string;
  readonly now: Date;
  /** 1 to 819; the leaf ends earlier where its issuer does. */
  readonly validityDays: number;
  /** Default: dual use, RSA. */
  readonly profile?: CertificateProfile;
  /** What the subject says; must fit the profile. Default: the primary address alone. */
  readonly subject?: LeafSubject;
  /**
   * Default: every policy of the issuer's certificate that fits the profile's subject, which is where the tenant's own
   * OID is decided once and for all leaves. Given, it must be a subset of those.
   */
  readonly policyOids?: readonly string[];
  /**
   * How the issuer will sign; the algorithm is part of the signed bytes. Default sha256WithRSA, or the ECDSA algorithm
   * of the issuer's curve.
   */
  readonly signatureAlgorithm?: SignatureAlgorithm;
}

/** A leaf waiting for its signature; what an intent records. */
export interface UnsignedLeaf {
  /** DER of TBSCertificate. */
  readonly tbsDer: Uint8Array;
  readonly serialHex: string;
  readonly profile: string;
  /** As printed: primary first, domains as A-labels, no address twice. */
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Builds and lints. notBefore is five minutes before `now`, rounded down to a second; notAfter is the last second of
 * `validityDays` days from there, or the issuer's notAfter if that is earlier.
 *
 * Throws (all permanent) `policy-invalid` for an impossible number of days or subject
 * template, `issuer-not-ready` for an issuer that has
 * expired or cannot be read, `lint-failed` naming each broken rule: among them an address or a URL that cannot be
 * printed, and a key of the wrong kind.
 */
export function buildLeaf(request: LeafRequest): UnsignedLeaf {
  const profile = request.profile ?? DUAL_USE_RSA;
  const issuer = readIssuer(request.issuer.certificateDer);
  const addresses = printedAddresses(request.addresses);
  const { notBefore, notAfter } = leafValidity(request.now, request.validityDays, issuer.certificate);
  const subjectDer = subjectOf(profile, request.subject, addresses[0]);
  const values = {
    subjectKeyIdentifier: leafKeyIdentifier(request.spkiDer),
    authorityKeyIdentifier: issuerKeyIdentifier(issuer),
    policyOids: request.policyOids ?? policiesFor(profile, issuer),
    crlUrls: [request.issuer.crlUrl],
    issuerUrls: [request.issuer.issuerUrl],
    ocspUrls: request.issuer.ocspUrl === undefined ? [] : [request.issuer.ocspUrl],
    addresses,
  };
  const tbsDer = encodeTbs({
    serialHex: request.serialHex,
    signatureAlgorithm: request.signatureAlgorithm ?? signatureAlgorithmFor(issuer.certificate.spkiDer),
    issuerDer: issuer.certificate.subjectDer,
    notBefore,
    notAfter,
    subjectDer,
    spkiDer: request.spkiDer,
    extensions: encodeExtensions(profile, values, false),
  });
  assertLintClean(
    lintCertificate(tbsDer, {
      profile,
      issuerCertificateDer: request.issuer.certificateDer,
      signingTime: request.now,
    }),
    `the leaf ${request.serialHex}`,
  );
  return { tbsDer, serialHex: request.serialHex, profile: profile.name, addresses, notBefore, notAfter };
}

function subjectOf(
  profile: CertificateProfile,
  subject: LeafSubject | undefined,
  primaryAddress: string,
): Uint8Array {
  const plan = subjectPlan(subject?.template ?? MAILBOX_TEMPLATE);
  if (plan.kind !== profile.subject.value) {
    throw permanent(
      'policy-invalid',
      `The profile "${profile.name}" wants a ${profile.subject.value} subject and the template makes a ${plan.kind} one: change one of them.`,
    );
  }
  const { template: _template, ...names } = subject ?? { template: MAILBOX_TEMPLATE };
  return encodeLeafSubject(plan, { primaryAddress, ...names });
}

/** A policy of the CA/Browser Forum claims how the subject was validated, so it is printed only where that is so. */
function policiesFor(profile: CertificateProfile, issuer: IssuerCertificate): readonly string[] {
  return (issuer.extensions.certificatePolicies ?? [])
    .map(({ oid }) => oid)
    .filter((oid) => !oid.startsWith(RESERVED_POLICY_ARC) || profile.reservedPolicies.value.includes(oid));
}

function leafKeyIdentifier(spkiDer: Uint8Array): Uint8Array {
  try {
    return keyIdentifier(spkiDer);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw permanent(
      'lint-failed',
      `The public key to certify cannot be read: ${error.message}. It must be a SubjectPublicKeyInfo in DER.`,
      { cause: error },
    );
  }
}

function printedAddresses(addresses: readonly string[]): readonly [string, ...string[]] {
  const printed: string[] = [];
  for (const text of addresses) {
    const form = addressForm(text);
    if (form.kind === 'unusable') {
      throw permanent(
        'lint-failed',
        `The address "${text}" cannot be certified: ${form.why}. Correct it in the directory, or leave aliases out by policy.`,
      );
    }
    // Two spellings of one address (a domain in Unicode and in A-labels) are one address.
    if (!printed.some((earlier) => sameAddress(earlier, form.address))) printed.push(form.address);
  }
  const [primary, ...aliases] = printed;
  if (primary === undefined) {
    throw permanent('lint-failed', 'A leaf needs at least the primary address of its user; none was given.');
  }
  return [primary, ...aliases];
}
