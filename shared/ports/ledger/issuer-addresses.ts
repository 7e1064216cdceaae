/** Which addresses of an issuer were fetched from outside, as anybody would, and found right. */
export type AddressKind = 'crl' | 'issuer' | 'ocsp';

export interface IssuerAddress {
  readonly kind: AddressKind;
  readonly url: string;
  /** The first time it was right; absent: never yet. Never taken back, so an outage later stops nobody. */
  readonly verifiedAt?: Date;
  /** The last time it was right. */
  readonly seenAt?: Date;
  /** SHA-256 of what came back then. */
  readonly sha256Hex?: string;
  /** What that was, in words. */
  readonly found?: string;
  /** The last time it was not right, and why. */
  readonly failedAt?: Date;
  readonly failure?: string;
}

export interface IssuerAddresses {
  issuerAddresses(issuerId: string): Promise<readonly IssuerAddress[]>;
  /** What one look at an address gave. A failure leaves what was verified before. */
  recordAddressCheck(
    issuerId: string,
    check: { readonly kind: AddressKind; readonly url: string } & (
      | { readonly sha256Hex: string; readonly found: string }
      | { readonly failure: string }
    ),
  ): Promise<void>;
}
