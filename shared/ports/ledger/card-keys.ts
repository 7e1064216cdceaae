/** Keys on smart cards: recorded like any other (`recordKey`), without a wrapped form. */
export interface CardKeyRows {
  /** How many the ledger has, those of departed users and replaced ones included. */
  countCardKeys(): Promise<number>;
  /** Who else's key this is, on a card, wrapped or in another mail client; undefined for a key that only `userId` has. */
  otherHolderOfKey(spkiSha256Hex: string, userId: string): Promise<string | undefined>;
}
