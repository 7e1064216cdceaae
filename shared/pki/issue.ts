/**
 * The bytes room of the CA. Vocabulary: a *leaf* is a user's certificate, an *issuer* the CA certificate and key above
 * it; the *to-be-signed* bytes (TBS) are what a signature covers; a *profile* says what a certificate must look like,
 * the *linter* says whether it does; a *signer* is whatever holds an issuer's key.
 *
 * This file has the two places where something gets signed (`issue-ocsp.ts` has the third, for OCSP answers). Each lints the exact bytes, signs them, checks that
 * the result still contains exactly those bytes and verifies under the issuer's certificate, and only then lets it
 * out. There is no path to a signature around the linter, for no issuer and no kind of artefact.
 *
 * What this room will not do: read a clock, draw randomness of its own (key generation aside), touch a file, the
 * network or the ledger, or decide who gets a certificate.
 */
import { X509Certificate } from 'node:crypto';
import { inOnePart, type Recorded, type RecordedParts } from '../domain/recorded.ts';
import { permanent } from '../errors.ts';
import { SIGNATURE_ALGORITHMS, signatureAlgorithmOf } from './algorithm.ts';
import { readCertificate, readIssuer, readTbsCertificate, type TbsCertificate } from './certificate.ts';
import { tbsMatches } from './chain.ts';
import { CrlPartsReader } from './crl-parts.ts';
import type { CrlHeader } from './crl-reader.ts';
import { bitString, sequence } from './der.ts';
import { sameBytes } from './der-reader.ts';
import { assertLintClean } from './finding.ts';
import { assertIssuersKey } from './issuers-key.ts';
import { rememberingLast } from './last-read.ts';
import { lintCertificate } from './lint.ts';
import { CrlLinter } from './lint-crl.ts';
import { Linted, signLintedParts } from './linted.ts';
import { PartsVerification } from './parts-verification.ts';
import type { CertificateProfile } from './profile.ts';
import { publicKeyOf } from './public-key.ts';
import type { Signer } from './signer.ts';
import { assembleCertificate } from './tbs.ts';

export interface CertificateToSign {
  /** DER of TBSCertificate. */
  readonly tbsDer: Recorded;
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
  // One for the signer's look at its own signature and for ours, which does not believe it: for P-384 each takes longer than signing.
  const verification = new PartsVerification(
    SIGNATURE_ALGORITHMS[signer.algorithm].hash,
    request.issuerCertificateDer === undefined
      ? publicKeyOf(tbs.spkiDer)
      : openSslIssuer(request.issuerCertificateDer).publicKey,
  );
  const signature = await linted.sign(signer, verification);
  const certificateDer = assembleCertificate(tbsDer, signer.algorithm, signature);
  // Linted were exactly the bytes inside, and what stands around them is the algorithm they name: one lint is enough.
  const issuerDer = request.issuerCertificateDer ?? certificateDer;
  const isWhole = isAround(certificateDer, tbs) && isIssuedBy(certificateDer, issuerDer);
  if (!isWhole || !verification.holdsFor(readCertificate(certificateDer).signature)) {
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

/** In OpenSSL's view. It says nothing of the signature. */
const isIssuedBy = (certificateDer: Uint8Array, issuerDer: Uint8Array): boolean =>
  new X509Certificate(certificateDer).checkIssued(openSslIssuer(issuerDer).issuer);

const openSslIssuer = rememberingLast((issuerDer) => {
  const issuer = new X509Certificate(issuerDer);
  return { issuer, publicKey: issuer.publicKey };
});

export interface CrlToSign {
  /** DER of TBSCertList. */
  readonly tbsDer: Recorded;
  readonly issuerCertificateDer: Uint8Array;
  readonly signer: Signer;
  /** Now. */
  readonly signingTime: Date;
}

/** Lints, signs, compares, verifies; answers the CRL, DER. Throws as `issueCertificate`. */
export async function issueCrl(request: CrlToSign): Promise<Uint8Array> {
  const tbsDer = Uint8Array.from(request.tbsDer);
  const { endDer } = await issueCrlParts({ ...request, tbsParts: inOnePart(request.tbsDer) });
  return sequence(tbsDer, endDer);
}

export interface CrlPartsToSign extends Omit<CrlToSign, 'tbsDer'> {
  /** DER of TBSCertList in parts, in order; read once. A part stays as it is while the CRL is signed. */
  readonly tbsParts: RecordedParts;
  /** Told of each run of entries in order. Nothing is signed when it throws. */
  readonly onEntries?: (run: Uint8Array) => Promise<void>;
  /** Told of everything else, after the entries and before the key is used. Nothing is signed when it throws. */
  readonly onHeader?: (header: CrlHeader) => Promise<void>;
}

/**
 * The same for a CRL that is never in memory as a whole. Every part is linted and goes into the digest in one go, and the
 * key is used after the last one, if no rule is broken. Answers what follows the TBSCertList: algorithm and signature, DER.
 */
export async function issueCrlParts(request: CrlPartsToSign): Promise<{ readonly endDer: Uint8Array }> {
  const { signer, issuerCertificateDer } = request;
  assertSigner(issuerCertificateDer, signer);
  // One digest for the signer, for its look at its own signature and for ours, which does not believe it: 50 MB of them cost.
  const verification = new PartsVerification(
    SIGNATURE_ALGORITHMS[signer.algorithm].hash,
    openSslIssuer(issuerCertificateDer).publicKey,
  );
  const signature = await signLintedParts(
    signer,
    request.tbsParts,
    (parts) => lintedParts(parts, request),
    verification,
  );
  if (!verification.holdsFor(signature)) {
    throw permanent(
      'ca-key-unusable',
      'The signature on the CRL does not verify under its issuer; it was not handed out. Check the key and its version.',
    );
  }
  return { endDer: Buffer.concat([SIGNATURE_ALGORITHMS[signer.algorithm].der, bitString(signature)]) };
}

/** The to-be-signed parts as they are, each after the linter has seen it; ends by throwing if it found something. */
async function* lintedParts(
  tbsParts: AsyncIterable<Uint8Array>,
  { issuerCertificateDer, signer, signingTime, onEntries, onHeader }: CrlPartsToSign,
): AsyncGenerator<Uint8Array> {
  const linter = new CrlLinter({ issuerCertificateDer, signingTime });
  const reader = new CrlPartsReader();
  for await (const part of tbsParts) {
    const run = orUnreadable(linter, () => {
      const entries = reader.take(part);
      linter.entries(entries);
      return entries;
    });
    await onEntries?.(run);
    yield part;
  }
  const header = orUnreadable(linter, () => {
    const read = reader.end();
    linter.header(read.header, read.hasList);
    return read.header;
  });
  assertLintClean(linter.findings(), CRL);
  assertAlgorithm(header.signatureAlgorithmDer, signer, CRL);
  await onHeader?.(header);
}

const CRL = 'the CRL';

/** What is no DER breaks a rule of its own, and then there is nothing more to read. */
function orUnreadable<Result>(linter: CrlLinter, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    linter.unreadable(error);
    assertLintClean(linter.findings(), CRL);
    throw error;
  }
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
