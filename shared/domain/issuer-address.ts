/** The addresses that an issuer's leaves and its chain carry, and what is known of them from outside. */

export type AddressKind = 'crl' | 'issuer' | 'ocsp';

export interface PrintedAddress {
  readonly kind: AddressKind;
  readonly url: string;
}

/** An address that was fetched as anybody would, and what came of it. */
export interface IssuerAddress extends PrintedAddress {
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

/** Those of `printed` that were never found right. */
export const unverified = (
  printed: readonly PrintedAddress[],
  known: readonly Pick<IssuerAddress, 'kind' | 'url' | 'verifiedAt'>[],
): readonly PrintedAddress[] =>
  printed.filter(
    ({ kind, url }) =>
      !known.some((entry) => entry.kind === kind && entry.url === url && entry.verifiedAt !== undefined),
  );
