/** Questions about finished certificates: is it what was recorded, whom does it name, does the chain hold. */
import { X509Certificate } from 'node:crypto';
import { permanent } from '../errors.ts';
import { readCertificate, sha256Hex, type TbsCertificate } from './certificate.ts';
import { DerError, sameBytes } from './der-reader.ts';
import { decodeExtensions } from './extensions-reader.ts';

/** Whether the to-be-signed part of a certificate is exactly these bytes. False too for bytes that are no certificate. */
export function tbsMatches(certificateDer: Uint8Array, tbsDer: Uint8Array): boolean {
  try {
    return sameBytes(readCertificate(certificateDer).tbsDer, tbsDer);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

/**
 * Throws `intent-mismatch` (permanent) unless the certificate contains exactly the bytes that were linted and
 * recorded.
 */
export function assertTbsMatches(certificateDer: Uint8Array, tbsDer: Uint8Array): void {
  if (tbsMatches(certificateDer, tbsDer)) return;
  throw permanent(
    'intent-mismatch',
    'The certificate is not over the bytes that were recorded: it is not accepted. Look for a second signer or a changed row, then issue anew under a new serial.',
  );
}

/** Addresses of a certificate's subjectAltName, in its order. Throws `DerError` for bytes that are no certificate. */
export const certificateAddresses = (certificateDer: Uint8Array): readonly string[] =>
  addressesOf(readCertificate(certificateDer));

/** Addresses (rfc822Name) of a parsed certificate's or to-be-signed certificate's subjectAltName. */
export const addressesOf = (certificate: Pick<TbsCertificate, 'extensions'>): readonly string[] =>
  (decodeExtensions(certificate.extensions).decoded.subjectAltName ?? [])
    .filter((name) => name.type === 1)
    .map((name) => name.value);

/** Lower-case hex of the SHA-256 of a certificate's SubjectPublicKeyInfo. */
export const certificateSpkiSha256Hex = (certificateDer: Uint8Array): string =>
  sha256Hex(readCertificate(certificateDer).spkiDer);

/**
 * Throws `issuer-not-ready` (permanent) unless each certificate was issued by the next and the last by itself, and all
 * are valid at `now`. Leaf or issuing CA first, root last. OpenSSL's functions do the checking.
 */
export function assertChain(chainDer: readonly Uint8Array[], now: Date): void {
  const chain = chainDer.map((der) => new X509Certificate(der));
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? certificate;
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
      throw permanent(
        'issuer-not-ready',
        `The chain breaks at certificate ${index + 1} of ${chain.length} (${certificate.serialNumber}): ${chain[index + 1] === undefined ? 'it is not a self-signed root' : 'the next one did not issue it'}. Record the issuer with its whole chain.`,
      );
    }
    if (now < certificate.validFromDate || now > certificate.validToDate) {
      throw permanent(
        'issuer-not-ready',
        `Certificate ${index + 1} of ${chain.length} (${certificate.serialNumber}) is not valid at ${now.toISOString()}: make a new one.`,
      );
    }
  }
}
