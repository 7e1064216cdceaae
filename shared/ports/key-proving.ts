/**
 * Having a key service open a wrapped key and use it once, on a sample of ours, with the word of an admin whom it lets do that
 * (`privilegedprivatekeydecrypt`).
 * https://developers.google.com/workspace/cse/reference/privileged-private-key-decrypt
 *
 * Throws `key-service-unavailable` (retryable), `key-service-answer-invalid` (retryable), `key-service-refused` (permanent;
 * `details.httpStatus` is 400 or 422 where it is about this blob, else about the admin).
 */
export interface KeyProving {
  decryptSample(request: {
    /** Base address, as registered in the Admin console. */
    readonly keyServiceUrl: string;
    /** A token that the key service takes for the admin's. Secret. */
    readonly authentication: string;
    readonly wrappedKey: string;
    readonly spkiSha256Hex: string;
    /** RSAES-PKCS1-v1_5, as S/MIME 3.2 mail has it. */
    readonly encrypted: Uint8Array;
  }): Promise<Uint8Array>;
}
