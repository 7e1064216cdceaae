/** Everybody the ledger ever saw, with every address they have or had: what a key service elsewhere is fed with. */
export interface AddressHistory {
  /** Ordered by user id; `next` is absent on the last page. Addresses are in lower case. */
  addressHistory(page: { readonly after?: string; readonly limit: number }): Promise<{
    readonly people: readonly { readonly userId: string; readonly addresses: readonly string[] }[];
    readonly next?: string;
  }>;
}
