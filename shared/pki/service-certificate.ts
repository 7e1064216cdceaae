/**
 * Certificates of the CA's own machinery, up to the bytes that will be signed: the key that signs OCSP answers and the
 * key that signs exports of the audit trail. They are recorded and signed as leaves are.
 */
import { permanent } from '../errors.ts';
import { type SignatureAlgorithm, signatureAlgorithmFor } from './algorithm.ts';
import { type IssuerCertificate, issuerKeyIdentifier, keyIdentifier, readIssuer } from './certificate.ts';
import { assertLintClean } from './finding.ts';
import type { LeafIssuer } from './leaf.ts';
import { lintCertificate } from './lint.ts';
import { type CaSubject, encodeCaSubject } from './name.ts';
import { RESERVED_POLICY_ARC } from './oids.ts';
import { AUDIT_SIGNER, type CertificateProfile, OCSP_SIGNER, OCSP_SIGNER_DAYS } from './profile.ts';
import { encodeExtensions, encodeTbs } from './tbs.ts';
import { leafValidity } from './validity.ts';

export interface ServiceRequest {
  readonly issuer: LeafIssuer;
  /** SubjectPublicKeyInfo of the service's key. */
  readonly spkiDer: Uint8Array;
  /** Country, organization and a telling common name, such as "Acme S/MIME OCSP 2026-11-22". */
  readonly subject: CaSubject;
  /** From `drawSerial`. */
  readonly serialHex: string;
  readonly now: Date;
  /** OCSP signer: 7 to 30. Audit signer: 1 to 819. It ends earlier where its issuer does. */
  readonly validityDays: number;
  readonly signatureAlgorithm?: SignatureAlgorithm;
}

export interface UnsignedService {
  /** DER of TBSCertificate. */
  readonly tbsDer: Uint8Array;
  readonly serialHex: string;
  readonly profile: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * A delegated OCSP signer (RFC 6960 §4.2.2.2): nocheck, no CRL and no OCSP address of its own. Throws `policy-invalid`,
 * `issuer-not-ready`, `lint-failed` (permanent).
 */
export function buildOcspSigner(request: ServiceRequest): UnsignedService {
  const { minimum, maximum } = OCSP_SIGNER_DAYS;
  if (!(request.validityDays >= minimum && request.validityDays <= maximum)) {
    throw permanent(
      'policy-invalid',
      `An OCSP signer cannot be valid for ${request.validityDays} days: it cannot be revoked, so give it ${minimum} to ${maximum}.`,
    );
  }
  return build(OCSP_SIGNER, request);
}

/** A signer of audit exports; it has a CRL address and can be revoked. Throws as `buildOcspSigner`. */
export const buildAuditSigner = (request: ServiceRequest): UnsignedService => build(AUDIT_SIGNER, request);

function build(profile: CertificateProfile, request: ServiceRequest): UnsignedService {
  const issuer = readIssuer(request.issuer.certificateDer);
  const { notBefore, notAfter } = leafValidity(request.now, request.validityDays, issuer.certificate);
  const tbsDer = encodeTbs({
    serialHex: request.serialHex,
    signatureAlgorithm: request.signatureAlgorithm ?? signatureAlgorithmFor(issuer.certificate.spkiDer),
    issuerDer: issuer.certificate.subjectDer,
    notBefore,
    notAfter,
    subjectDer: encodeCaSubject(request.subject),
    spkiDer: request.spkiDer,
    extensions: encodeExtensions(
      profile,
      {
        subjectKeyIdentifier: keyIdentifier(request.spkiDer),
        authorityKeyIdentifier: issuerKeyIdentifier(issuer),
        policyOids: ownPolicies(issuer),
        crlUrls: [request.issuer.crlUrl],
        issuerUrls: [request.issuer.issuerUrl],
        ocspUrls: request.issuer.ocspUrl === undefined ? [] : [request.issuer.ocspUrl],
      },
      false,
    ),
  });
  assertLintClean(
    lintCertificate(tbsDer, {
      profile,
      issuerCertificateDer: request.issuer.certificateDer,
      signingTime: request.now,
    }),
    `the ${profile.name} certificate ${request.serialHex}`,
  );
  return { tbsDer, serialHex: request.serialHex, profile: profile.name, notBefore, notAfter };
}

/** The CA/Browser Forum's policies are about users. */
const ownPolicies = (issuer: IssuerCertificate): readonly string[] =>
  (issuer.extensions.certificatePolicies ?? [])
    .map(({ oid }) => oid)
    .filter((oid) => !oid.startsWith(RESERVED_POLICY_ARC));
