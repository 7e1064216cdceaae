/** A key that was made and wrapped elsewhere: its public half, and its private half as only its key service can open it. */
export interface SuppliedKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spkiDer: Uint8Array;
  readonly modulusBits: number;
  /** Opaque; becomes `kaclsData`. */
  readonly wrappedKey: string;
}

/**
 * Keys that an admin supplies already wrapped, one for each user at a time. Nobody here has seen them open, so they are
 * `unproven`.
 *
 * Throws `supplied-key-unusable` (permanent) with what is wrong and what to do, and the same when there is none.
 */
export interface SuppliedKeys {
  find(wanted: {
    /** Present primary address, which names the files. */
    readonly address: string;
    /** Base address of the key service that must have wrapped it. */
    readonly keyServiceUrl: string;
  }): Promise<SuppliedKey>;
}
