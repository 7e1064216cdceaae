import type { AddressClaim } from '../../domain/address-claim.ts';

/**
 * Who else an address belongs to. Together the two questions keep two users' certificates from naming one address: the
 * new holder is seen (committed) before they ask for leaves of others, and the former holder's intent is committed before
 * they ask for the latest holders, so that at least one of the two sees the other, whatever the order.
 */
export interface AddressClaims {
  /** Leaves of others, neither revoked nor expired at `at`, that name one of these addresses; signed or intended. */
  liveLeavesNaming(question: {
    readonly addresses: readonly string[];
    readonly exceptUserId: string;
    readonly at: Date;
  }): Promise<readonly (AddressClaim & { readonly serialHex: string })[]>;
  /** Who was seen last with each of these addresses, of those that anybody was seen with, by address. */
  latestHolders(addresses: readonly string[]): Promise<readonly AddressClaim[]>;
}
