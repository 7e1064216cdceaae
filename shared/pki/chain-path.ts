/** Putting the certificates of a file in order: the user's first, then whoever issued the one before, the root last. */
import { X509Certificate } from 'node:crypto';
import { type Certificate, readCertificate } from './certificate.ts';
import { DerError, sameBytes } from './der-reader.ts';
import { type DecodedExtensions, decodeExtensions, type MalformedExtension } from './extensions-reader.ts';

/** `issuing`: the CA right above the user certificate. */
export type ChainRole = 'leaf' | 'issuing' | 'intermediate' | 'root';

export interface ChainMember {
  readonly der: Uint8Array;
  readonly certificate: Certificate;
  readonly extensions: DecodedExtensions;
  readonly malformed: readonly MalformedExtension[];
  readonly isSelfIssued: boolean;
  readonly isCa: boolean;
}

/** Throws `DerError` for bytes that are no certificate. */
export function chainMember(der: Uint8Array): ChainMember {
  const certificate = readCertificate(der);
  const { decoded, malformed } = decodeExtensions(certificate.extensions);
  return {
    der,
    certificate,
    extensions: decoded,
    malformed,
    isSelfIssued: sameBytes(certificate.subjectDer, certificate.issuerDer),
    // Version 1 roots have no extensions to say it with.
    isCa:
      decoded.basicConstraints?.ca === true ||
      (certificate.version < 3 && sameBytes(certificate.subjectDer, certificate.issuerDer)),
  };
}

/** Members, and the reasons why the others are none. */
export function chainMembers(certificatesDer: readonly Uint8Array[]): {
  readonly members: readonly ChainMember[];
  readonly unreadable: readonly string[];
} {
  const members: ChainMember[] = [];
  const unreadable: string[] = [];
  for (const [index, der] of certificatesDer.entries()) {
    try {
      members.push(chainMember(der));
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      unreadable.push(`certificate ${index + 1} of the file: ${error.message}`);
    }
  }
  return { members, unreadable };
}

/** Longer than any real chain. */
const LONGEST_PATH = 10;

/**
 * The path upwards from a certificate, itself first. Of several issuers of one name the one whose key verifies wins; if
 * none does, the first is taken, so that the broken signature can be reported.
 */
export function pathFrom(start: ChainMember, members: readonly ChainMember[]): readonly ChainMember[] {
  const path = [start];
  for (let last = start; !last.isSelfIssued && path.length < LONGEST_PATH; ) {
    const candidates = members.filter((other) => !path.includes(other) && mayBeIssuer(other, last));
    const next = candidates.find((other) => isSignedBy(last, other)) ?? candidates[0];
    if (next === undefined) break;
    path.push(next);
    last = next;
  }
  return path;
}

/** Same name, byte for byte or, for the report's sake, in other string types; the key identifiers do not disagree. */
function mayBeIssuer(issuer: ChainMember, subject: ChainMember): boolean {
  if (sameBytes(issuer.certificate.subjectDer, subject.certificate.issuerDer)) return true;
  const wanted = subject.extensions.authorityKeyIdentifier?.keyIdentifier;
  const found = issuer.extensions.subjectKeyIdentifier;
  return wanted !== undefined && found !== undefined && sameBytes(wanted, found);
}

/** Whether OpenSSL verifies the signature with the issuer's key; false where it cannot read either. */
export function isSignedBy(subject: ChainMember, issuer: ChainMember): boolean {
  try {
    return new X509Certificate(subject.der).verify(new X509Certificate(issuer.der).publicKey);
  } catch {
    return false;
  }
}
