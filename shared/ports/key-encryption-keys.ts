export interface KeyEncryptionKey {
  /** Written into every wrapped key made under it, for good; printable ASCII, no secret. */
  readonly id: string;
  /** 32 bytes, for AES-256-GCM. Never kept by the caller beyond one request. */
  readonly key: Uint8Array;
  /**
   * Present where the key-encryption key never leaves its KMS: then `key` is a data key drawn for this one blob, and this
   * is the same data key as only the KMS can open it. It goes into the blob; the caller wipes `key`.
   */
  readonly wrappedDataKey?: Uint8Array;
}

/**
 * The keys that wrap users' private keys. Rotation puts a new one in front; the older ones stay for reading. Throws
 * the errors of the `Secrets` port, and where a KMS holds them `kms-key-unusable` (permanent), `kms-answer-refused`
 * (permanent), `kms-unavailable` (retryable).
 */
export interface KeyEncryptionKeys {
  /**
   * The newest: what is wrapped now is wrapped under it. A KMS binds the data key to `boundTo`, which it wants again,
   * byte for byte, to open it.
   */
  current(boundTo: Uint8Array): Promise<KeyEncryptionKey>;
  /**
   * The key that opens a blob: the key-encryption key itself, or the blob's data key, which the caller wipes. Undefined
   * when this deployment does not know the id. Throws `wrapped-key-unreadable` (invalid input) for a data key that the
   * KMS does not open.
   */
  byId(
    id: string,
    dataKey?: { readonly wrapped: Uint8Array; readonly boundTo: Uint8Array },
  ): Promise<Uint8Array | undefined>;
}
