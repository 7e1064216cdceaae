/** What one key service asks of another when a customer moves between them. */
export interface OtherKeyServices {
  /**
   * Has a content key unwrapped: POST `privilegedunwrap`, https://developers.google.com/workspace/cse/reference/privileged-unwrap.
   * Answers the raw key. The address has been checked against the allow-list; nothing but it is called, and no
   * redirect is followed. Throws `key-service-unavailable`, `key-service-answer-invalid` (retryable) and
   * `key-service-refused` (permanent); nothing the other side wrote is in them.
   */
  privilegedUnwrap(request: {
    /** Base address without a trailing slash. */
    readonly keyServiceUrl: string;
    readonly authentication: string;
    readonly wrappedKey: string;
    readonly resourceName: string;
    readonly reason: string;
  }): Promise<Uint8Array>;
}
