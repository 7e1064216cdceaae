/** An address that a leaf of one user names while another user has it, or is about to have it certified. */
export interface AddressClaim {
  readonly address: string;
  /** The other user. */
  readonly userId: string;
}
