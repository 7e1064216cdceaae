/** Verifying a CRL that comes in parts. */
import { createVerify, type Verify } from 'node:crypto';
import {
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  signatureAlgorithmFor,
  signatureAlgorithmOf,
} from './algorithm.ts';
import { type IssuerCertificate, readIssuer } from './certificate.ts';
import { type CrlHeader, crlKeyIdentifier } from './crl-reader.ts';
import { sameBytes } from './der-reader.ts';
import { publicKeyOf } from './public-key.ts';

/**
 * Whether a CRL in parts is this issuer's: its name, its key identifier, and a signature that verifies, as `verifyCrl` for a
 * whole one. Only for CRLs signed with the algorithm that issuers of ours sign with. Give `digest` to the reader that reads it.
 */
export class CrlVerifier {
  readonly #issuer: IssuerCertificate;
  readonly #algorithm: SignatureAlgorithm;
  readonly #verifying: Verify;

  /** Throws `issuer-not-ready` for an issuer's certificate that cannot be read. */
  constructor(issuerCertificateDer: Uint8Array) {
    this.#issuer = readIssuer(issuerCertificateDer);
    this.#algorithm = signatureAlgorithmFor(this.#issuer.certificate.spkiDer);
    this.#verifying = createVerify(SIGNATURE_ALGORITHMS[this.#algorithm].hash);
  }

  readonly digest = (bytes: Uint8Array): void => {
    this.#verifying.update(bytes);
  };

  /** Once. Throws `DerError`. */
  verifies(header: CrlHeader): boolean {
    const { signed, signatureAlgorithmDer, issuerDer } = header;
    const { certificate, extensions } = this.#issuer;
    const identifier = crlKeyIdentifier(header);
    const wanted = extensions.subjectKeyIdentifier;
    if (signed === undefined || signatureAlgorithmOf(signatureAlgorithmDer) !== this.#algorithm) return false;
    if (identifier === undefined || wanted === undefined || !sameBytes(identifier, wanted)) return false;
    if (!sameBytes(signed.algorithmDer, signatureAlgorithmDer)) return false;
    if (!sameBytes(issuerDer, certificate.subjectDer)) return false;
    return this.#verifying.verify(publicKeyOf(certificate.spkiDer), signed.signature);
  }
}
