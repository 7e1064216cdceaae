import type { WrapProof } from '../domain/records.ts';

/**
 * A KACLS as the issuing side sees it: it takes a private key once and gives back the only form in which the key
 * goes on existing. https://developers.google.com/workspace/cse/reference/wrap-private-key
 *
 * Throws `key-service-unavailable` (retryable), `key-service-refused` (permanent), `key-service-answer-invalid`
 * (retryable: an answer that is no wrapped key, or proves another key than the one sent).
 */
export interface KeyService {
  wrapPrivateKey(request: {
    /** Base address, as registered in the Admin console. */
    keyServiceUrl: string;
    /** PKCS#8 DER. The caller wipes it after the call. */
    privateKeyDer: Uint8Array;
    /** SHA-256 of the DER SubjectPublicKeyInfo, lower-case hex; the answer must prove the same. */
    spkiSha256Hex: string;
    /** Immutable directory id the blob is bound to. */
    userId: string;
    perimeterId?: string;
  }): Promise<{ readonly wrappedKey: string; readonly proof: WrapProof }>;
}
