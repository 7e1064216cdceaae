/** Whether a signer is the issuer's. */
import { permanent } from '../errors.ts';
import type { IssuerCertificate } from './certificate.ts';
import { sameBytes } from './der-reader.ts';
import type { Signer } from './signer.ts';

/** Throws `ca-key-unusable` (permanent) unless the signer's public key is the one in the issuer's certificate. */
export function assertIssuersKey(issuer: IssuerCertificate, signer: Signer): void {
  if (sameBytes(issuer.certificate.spkiDer, signer.spkiDer)) return;
  throw permanent(
    'ca-key-unusable',
    "The signer's key is not the issuer's: pin the secret version that was made with this issuer. Nothing was signed.",
  );
}
