/** A wrapped key that nobody has seen open. */
export interface KeyToProve {
  readonly keyId: string;
  readonly userId: string;
  readonly primaryEmail: string;
  readonly spkiDer: Uint8Array;
  readonly spkiSha256Hex: string;
  /** The form that Gmail has. */
  readonly wrappedKey: string;
}

/** Keys whose proof is still to come; `recordProof` writes it down. */
export interface KeyProofs {
  /** Unproven keys of this key service by key id, those after `after`. */
  keysToProve(wanted: {
    readonly keyServiceUrl: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly KeyToProve[]>;
}
