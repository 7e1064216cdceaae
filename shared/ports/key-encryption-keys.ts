export interface KeyEncryptionKey {
  /** Written into every wrapped key made under it, for good; printable ASCII, no secret. */
  readonly id: string;
  /** 32 bytes, for AES-256-GCM. Never kept by the caller beyond one request. */
  readonly key: Uint8Array;
}

/**
 * The keys that wrap users' private keys. Rotation puts a new one in front; the older ones stay for reading. Throws
 * the errors of the `Secrets` port.
 */
export interface KeyEncryptionKeys {
  /** The newest: what is wrapped now is wrapped under it. */
  current(): Promise<KeyEncryptionKey>;
  /** Undefined when this deployment does not know the id. */
  byId(id: string): Promise<Uint8Array | undefined>;
}
