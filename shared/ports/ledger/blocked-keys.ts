/** A public key whose leaf was revoked for compromise. */
export interface BlockedKey {
  readonly spkiSha256Hex: string;
  /** The leaf whose revocation blocked it. */
  readonly serialHex: string;
  readonly blockedAt: Date;
}

export interface BlockedKeyRows {
  /** Blocked in the transaction that revokes a leaf for `keyCompromise`, whoever revokes it; never unblocked. */
  readBlockedKey(spkiSha256Hex: string): Promise<BlockedKey | undefined>;
  /**
   * Every public key (SubjectPublicKeyInfo, DER) of a user or a device that was ever to be certified, in pages: `next` is absent on the last one.
   * For finding out whether a new key shares a prime with one of them.
   */
  knownPublicKeys(page: {
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ readonly spkisDer: readonly Uint8Array[]; readonly next?: string }>;
}
