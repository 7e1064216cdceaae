/**
 * Having a wrapped key wrapped again under the newest key-encryption key, an operation of our own key service.
 *
 * Throws `key-service-unavailable` (retryable), `key-service-answer-invalid` (retryable), `key-service-refused` (permanent;
 * `details.httpStatus` is 400 or 422 where it is about this blob, else about us).
 */
export interface KeyRewrapping {
  rewrapPrivateKey(request: {
    /** Base address, as registered in the Admin console. */
    readonly keyServiceUrl: string;
    readonly wrappedKey: string;
  }): Promise<{
    /** The same as was sent where that is under the newest already. */
    readonly wrappedKey: string;
    /** The newest key-encryption key. */
    readonly kekId: string;
    /** What the blob holds, by the service's own seal; absent where it does not say. */
    readonly opened?: {
      /** SHA-256 of the DER SubjectPublicKeyInfo, lower-case hex. */
      readonly spkiSha256Hex: string;
      /** Immutable directory id the blob is bound to. */
      readonly userId: string;
    };
  }>;
}
