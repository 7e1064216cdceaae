/** Who has an address, or is about to have it certified. */
export interface AddressClaim {
  readonly address: string;
  readonly userId: string;
}
