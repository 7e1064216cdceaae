/** Wrapped keys of people who were deleted, and the set of them that is shown before they are erased. */

/** A wrapped key of somebody who is deleted, or proven to be nowhere. */
export interface DeletedUsersKey {
  readonly keyId: string;
  readonly userId: string;
  readonly primaryEmail: string;
  /** The rule that covered them last. */
  readonly ruleName?: string;
  /** When a look first found them deleted. */
  readonly deletedAt: Date;
  readonly spkiSha256Hex: string;
  /** What mail may have been encrypted to: serials, or import ids; empty for a key that only signs. */
  readonly certificates: readonly {
    readonly serial: string;
    readonly from: string;
    readonly to: string;
    readonly addresses: readonly string[];
  }[];
  /** Present where nothing may be erased now. */
  readonly against?: 'not-out' | 'used-by-the-living' | 'being-moved';
}

/** The set as the first admin was shown it. Plain JSON. */
export interface ShownKey {
  readonly keyId: string;
  readonly userId: string;
  readonly user: string;
  /** ISO 8601. */
  readonly deletedSince: string;
  readonly spkiSha256: string;
  readonly certificates: DeletedUsersKey['certificates'];
}
