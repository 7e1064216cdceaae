/**
 * Making the CA itself: a root, kept offline, and an issuing CA under it. Nothing here runs in the cloud; the command
 * line and the trial call it, take the private keys as PKCS#8 DER and store them.
 */
import { madeOffline } from '../domain/recorded.ts';
import { permanent } from '../errors.ts';
import { issuerKeyIdentifier, keyIdentifier, readIssuer } from './certificate.ts';
import { buildCrl } from './crl.ts';
import { issueCertificate, issueCrl } from './issue.ts';
import { type GenerateKey, generateEcKey, generateRsaKey } from './key.ts';
import { type CaSubject, encodeCaSubject } from './name.ts';
import { ISSUING, ISSUING_YEARS, ROOT, ROOT_YEARS } from './profile.ts';
import type { Curve } from './public-key.ts';
import { drawSerial, type RandomBytes } from './serial.ts';
import { type Signer, signerFromPkcs8 } from './signer.ts';
import { encodeExtensions, encodeTbs } from './tbs.ts';
import { validityOfYears, within } from './validity.ts';

export interface RootRequest {
  readonly subject: CaSubject;
  /** Holds the root's own key; sha384WithRSA by custom, or P-384. */
  readonly signer: Signer;
  readonly serialHex: string;
  readonly now: Date;
}

/**
 * A self-signed root, DER: 20 years, no extended key usage, no policies. Throws `lint-failed` for a subject or key
 * that a root may not have.
 */
export function makeRoot(request: RootRequest): Promise<Uint8Array> {
  const { signer } = request;
  const subjectDer = caSubject(request.subject);
  const tbsDer = encodeTbs({
    serialHex: request.serialHex,
    signatureAlgorithm: signer.algorithm,
    issuerDer: subjectDer,
    ...validityOfYears(request.now, ROOT_YEARS),
    subjectDer,
    spkiDer: signer.spkiDer,
    extensions: encodeExtensions(ROOT, { subjectKeyIdentifier: keyIdentifier(signer.spkiDer) }, false),
  });
  return issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: ROOT,
    signer,
    signingTime: request.now,
    trial: false,
  });
}

/** The tenant's certificate policies, printed into the issuing CA and from there into every leaf. */
export interface PolicyOids {
  /** Under the tenant's own private enterprise number; `EXAMPLE_POLICY_OID` for trials. */
  readonly own: string;
  /**
   * A policy of the CA/Browser Forum (2.23.140.1.5.1.3 strict, .1.2 multipurpose). It claims compliance with their
   * Baseline Requirements, so only a CA that is audited against them names it.
   */
  readonly reserved?: string;
}

export interface IssuingRequest {
  readonly root: { readonly certificateDer: Uint8Array; readonly signer: Signer };
  readonly subject: CaSubject;
  /** The issuing CA's public key. */
  readonly spkiDer: Uint8Array;
  readonly serialHex: string;
  readonly now: Date;
  /** Where the root's CRL will be; plain http. */
  readonly rootCrlUrl: string;
  /** Where the root's certificate will be; plain http. */
  readonly rootUrl: string;
  readonly policyOids: PolicyOids;
  /**
   * Lets loopback addresses into the certificate, for a system tried on one machine. Leaves follow their issuer: only
   * under an issuing CA made so may they carry loopback addresses.
   */
  readonly trial?: boolean;
}

/**
 * An issuing CA under a root, DER: 10 years or as long as the root, path length 0, emailProtection only. Throws
 * `lint-failed` naming the rule for whatever an issuing CA may not have.
 */
export function makeIssuing(request: IssuingRequest): Promise<Uint8Array> {
  const root = readIssuer(request.root.certificateDer);
  const { own, reserved } = request.policyOids;
  const tbsDer = encodeTbs({
    serialHex: request.serialHex,
    signatureAlgorithm: request.root.signer.algorithm,
    issuerDer: root.certificate.subjectDer,
    ...within(validityOfYears(request.now, ISSUING_YEARS), root.certificate),
    subjectDer: caSubject(request.subject),
    spkiDer: request.spkiDer,
    extensions: encodeExtensions(
      ISSUING,
      {
        subjectKeyIdentifier: keyIdentifier(request.spkiDer),
        authorityKeyIdentifier: issuerKeyIdentifier(root),
        policyOids: reserved === undefined ? [own] : [own, reserved],
        crlUrls: [request.rootCrlUrl],
        issuerUrls: [request.rootUrl],
      },
      false,
    ),
  });
  return issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: ISSUING,
    issuerCertificateDer: request.root.certificateDer,
    signer: request.root.signer,
    signingTime: request.now,
    trial: request.trial ?? false,
  });
}

export interface AuthorityRequest {
  readonly country: string;
  readonly organization: string;
  readonly rootName: string;
  readonly issuingName: string;
  readonly rootCrlUrl: string;
  readonly rootUrl: string;
  readonly policyOids: PolicyOids;
  readonly now: Date;
  readonly random: RandomBytes;
  /** Default 4096: the S/MIME Baseline Requirements want no less for CA keys made today. */
  readonly modulusBits?: number;
  /** EC keys on this curve for both CAs, instead of RSA. */
  readonly curve?: Curve;
  readonly generateKey?: GenerateKey;
  /** Stands around the root's signer, so that what it signs is written down first. */
  readonly witness?: (root: Signer) => Signer;
  readonly trial?: boolean;
}

export interface Authority {
  readonly root: {
    readonly certificateDer: Uint8Array;
    /** Goes offline. */
    readonly pkcs8Der: Uint8Array;
    /** The root's first CRL, empty, good for six months. */
    readonly crlDer: Uint8Array;
  };
  readonly issuing: {
    readonly certificateDer: Uint8Array;
    /** Goes into Secret Manager, for the `sign` function alone. */
    readonly pkcs8Der: Uint8Array;
  };
}

/** A new root with its first CRL (number 1, empty, good for six months), and the signer that its issuing CA needs. */
export async function createRoot(
  request: Pick<
    AuthorityRequest,
    | 'country'
    | 'organization'
    | 'rootName'
    | 'now'
    | 'random'
    | 'modulusBits'
    | 'curve'
    | 'generateKey'
    | 'witness'
  >,
): Promise<Authority['root'] & { readonly signer: Signer }> {
  const { country, organization, now, curve } = request;
  const { pkcs8Der } = await makeKey(request);
  const own = signerFromPkcs8(pkcs8Der, curve === undefined ? { algorithm: 'sha384WithRSA' } : {});
  const signer = request.witness?.(own) ?? own;
  const certificateDer = await makeRoot({
    subject: { country, organization, commonName: request.rootName },
    signer,
    serialHex: drawSerial(request.random),
    now,
  });
  const crl = buildCrl({
    issuerCertificateDer: certificateDer,
    crlNumber: 1n,
    now,
    entries: [],
    signatureAlgorithm: signer.algorithm,
  });
  const crlDer = await issueCrl({
    tbsDer: madeOffline(crl.tbsDer),
    issuerCertificateDer: certificateDer,
    signer,
    signingTime: now,
  });
  return { certificateDer, pkcs8Der, crlDer, signer };
}

const makeKey = ({
  curve,
  modulusBits,
  generateKey,
}: Pick<AuthorityRequest, 'curve' | 'modulusBits' | 'generateKey'>) =>
  curve === undefined ? (generateKey ?? generateRsaKey)(modulusBits ?? 4096) : generateEcKey(curve);

/** A whole new CA: root, its first CRL (number 1), and an issuing CA. Throws as `makeRoot` and `makeIssuing`. */
export async function createAuthority(request: AuthorityRequest): Promise<Authority> {
  const { country, organization } = request;
  const [{ signer, ...root }, issuingKey] = await Promise.all([createRoot(request), makeKey(request)]);
  const certificateDer = await makeIssuing({
    root: { certificateDer: root.certificateDer, signer },
    subject: { country, organization, commonName: request.issuingName },
    spkiDer: issuingKey.spkiDer,
    serialHex: drawSerial(request.random),
    now: request.now,
    rootCrlUrl: request.rootCrlUrl,
    rootUrl: request.rootUrl,
    policyOids: request.policyOids,
    trial: request.trial ?? false,
  });
  return { root, issuing: { certificateDer, pkcs8Der: issuingKey.pkcs8Der } };
}

function caSubject(subject: CaSubject): Uint8Array {
  if (!/^[A-Z]{2}$/.test(subject.country)) {
    throw permanent(
      'settings-invalid',
      `"${subject.country}" is not a country of two capital letters (ISO 3166-1), such as "DE".`,
    );
  }
  return encodeCaSubject(subject);
}
