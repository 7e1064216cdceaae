import type { IssuerAddress, PrintedAddress } from '../../domain/issuer-address.ts';

/** Which addresses of an issuer were fetched from outside, as anybody would, and found right. */
export interface IssuerAddresses {
  issuerAddresses(issuerId: string): Promise<readonly IssuerAddress[]>;
  /** What one look at an address gave. A failure leaves what was verified before. */
  recordAddressCheck(
    issuerId: string,
    check: PrintedAddress &
      ({ readonly sha256Hex: string; readonly found: string } | { readonly failure: string }),
  ): Promise<void>;
}
