/**
 * Who has, or ever had, an address. The ledger answers it through its method of the same name. A wrapped key is bound
 * to the immutable user id, a token names an address: this is the bridge between the two, and it must know former
 * addresses or old mail becomes unreadable after a rename. Throws `ledger-unavailable` (retryable).
 */
export interface AddressBook {
  /** `address` is in lower case. Immutable directory ids; empty when nobody ever had the address. */
  userIdsOfAddress(address: string): Promise<readonly string[]>;
}
