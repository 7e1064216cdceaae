import type { Recorded } from '../../domain/recorded.ts';

/** A certificate of the CA's own machinery (OCSP signer, audit signer) before it is signed. */
export interface ServiceSignerIntent {
  readonly serialHex: string;
  readonly issuerId: string;
  readonly spkiDer: Uint8Array;
  /** Full resource name of the pinned Secret Manager version holding its PKCS#8 key. */
  readonly keySecretVersion: string;
  readonly profile: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER of TBSCertificate, the exact bytes that will be signed. */
  readonly tbsDer: Uint8Array;
}

export interface StoredServiceSigner extends ServiceSignerIntent {
  readonly tbsDer: Recorded;
  readonly certificateDer?: Uint8Array;
}
