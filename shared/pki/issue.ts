/**
 * The bytes room of the CA. Vocabulary: a *leaf* is a user's certificate, an *issuer* the CA certificate and key above
 * it; the *to-be-signed* bytes (TBS) are what a signature covers; a *profile* says what a certificate must look like,
 * the *linter* says whether it does; a *signer* is whatever holds an issuer's key.
 *
 * This file has the two places where something gets signed (`crl-stream.ts` is the second one’s twin for long lists, and
 * `issue-ocsp.ts` the third, for OCSP answers). Each lints the exact bytes, signs them, checks that
 * the result still contains exactly those bytes and verifies under the issuer's certificate, and only then lets it
 * out. There is no path to a signature around the linter, for no issuer and no kind of artefact.
 *
 * What this room will not do: read a clock, draw randomness of its own (key generation aside), touch a file, the
 * network or the ledger, or decide who gets a certificate.
 */
import { X509Certificate } from 'node:crypto';
import { permanent } from '../errors.ts';
import { signatureAlgorithmOf } from './algorithm.ts';
import { readCertificate, readIssuer, readTbsCertificate, type TbsCertificate } from './certificate.ts';
import { tbsMatches } from './chain.ts';
import { assembleCrl } from './crl.ts';
import { readCrlHeader, verifyCrl } from './crl-reader.ts';
import { sameBytes } from './der-reader.ts';
import { assertIssuersKey } from './issuers-key.ts';
import { rememberingLast } from './last-read.ts';
import { lintCertificate } from './lint.ts';
import { lintCrl } from './lint-crl.ts';
import { Linted } from './linted.ts';
import type { CertificateProfile } from './profile.ts';
import type { Signer } from './signer.ts';
import { assembleCertificate } from './tbs.ts';

export interface CertificateToSign {
  /** DER of TBSCertificate: for leaves, read back from the ledger. */
  readonly tbsDer: Uint8Array;
  readonly profile: CertificateProfile;
  /** Left out for a root, which is its own issuer. */
  readonly issuerCertificateDer?: Uint8Array;
  /** The issuer's signer. */
  readonly signer: Signer;
  /** Now. */
  readonly signingTime: Date;
  /** Only for making an issuing CA for a trial; leaves follow their issuer. */
  readonly trial?: boolean;
}

/**
 * Lints, signs, compares, verifies; answers the certificate, DER. Throws (permanent) `lint-failed`, `intent-mismatch`
 * when the bytes ask for another algorithm than the signer's, `ca-key-unusable` when the signer is not the issuer's
 * or its signature does not verify.
 */
export async function issueCertificate(request: CertificateToSign): Promise<Uint8Array> {
  const { tbsDer, signer, profile, signingTime } = request;
  const context = {
    profile,
    signingTime,
    trial: request.trial ?? false,
    ...(request.issuerCertificateDer === undefined
      ? {}
      : { issuerCertificateDer: request.issuerCertificateDer }),
  };
  const subject = `the ${profile.kind} certificate`;
  const linted = Linted.by((der) => lintCertificate(der, context), tbsDer, subject);
  const tbs = readTbsCertificate(tbsDer);
  assertAlgorithm(tbs.signatureAlgorithmDer, signer, subject);
  assertSigner(request.issuerCertificateDer, signer);
  const certificateDer = assembleCertificate(tbsDer, signer.algorithm, await linted.sign(signer));
  // Linted were exactly the bytes inside, and what stands around them is the algorithm they name: one lint is enough.
  const issuerDer = request.issuerCertificateDer ?? certificateDer;
  if (!isAround(certificateDer, tbs) || !openSslAccepts(certificateDer, issuerDer)) {
    throw permanent(
      'ca-key-unusable',
      `The signature on certificate ${tbs.serialHex} does not verify under its issuer; it was not handed out. Check the key and its version.`,
    );
  }
  return certificateDer;
}

/** Whether a finished certificate is exactly these to-be-signed bytes, with the algorithm they name outside as well. */
function isAround(certificateDer: Uint8Array, tbs: TbsCertificate): boolean {
  return (
    tbsMatches(certificateDer, tbs.tbsDer) &&
    sameBytes(readCertificate(certificateDer).outerAlgorithmDer, tbs.signatureAlgorithmDer)
  );
}

/** Issued by that certificate, and the signature verifies, in OpenSSL's view. */
function openSslAccepts(certificateDer: Uint8Array, issuerDer: Uint8Array): boolean {
  const certificate = new X509Certificate(certificateDer);
  const { issuer, publicKey } = openSslIssuer(issuerDer);
  return certificate.checkIssued(issuer) && certificate.verify(publicKey);
}

const openSslIssuer = rememberingLast((issuerDer) => {
  const issuer = new X509Certificate(issuerDer);
  return { issuer, publicKey: issuer.publicKey };
});

export interface CrlToSign {
  /** DER of TBSCertList. */
  readonly tbsDer: Uint8Array;
  readonly issuerCertificateDer: Uint8Array;
  readonly signer: Signer;
  /** Now. */
  readonly signingTime: Date;
}

/** Lints, signs, compares, verifies; answers the CRL, DER. Throws as `issueCertificate`. */
export async function issueCrl(request: CrlToSign): Promise<Uint8Array> {
  const { tbsDer, signer, issuerCertificateDer, signingTime } = request;
  const subject = 'the CRL';
  const linted = Linted.by((der) => lintCrl(der, { issuerCertificateDer, signingTime }), tbsDer, subject);
  assertAlgorithm(readCrlHeader(tbsDer).signatureAlgorithmDer, signer, subject);
  assertSigner(issuerCertificateDer, signer);
  const crlDer = assembleCrl(tbsDer, signer.algorithm, await linted.sign(signer));
  if (!verifyCrl(crlDer, issuerCertificateDer)) {
    throw permanent(
      'ca-key-unusable',
      'The signature on the CRL does not verify under its issuer; it was not handed out. Check the key and its version.',
    );
  }
  return crlDer;
}

function assertAlgorithm(algorithmDer: Uint8Array, signer: Signer, subject: string): void {
  const wanted = signatureAlgorithmOf(algorithmDer);
  if (wanted === signer.algorithm) return;
  throw permanent(
    'intent-mismatch',
    `The bytes of ${subject} say ${wanted ?? 'an unknown algorithm'}, but the signer makes ${signer.algorithm}: configure the signer for the algorithm that was recorded.`,
  );
}

function assertSigner(issuerCertificateDer: Uint8Array | undefined, signer: Signer): void {
  if (issuerCertificateDer !== undefined) assertIssuersKey(readIssuer(issuerCertificateDer), signer);
}
