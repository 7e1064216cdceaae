/**
 * Vocabulary of the planner. *Facts* are what was observed of one user at one moment. *Standing* is what the
 * directory and the policy make of that user. A *plan* is the ordered list of steps from the facts to what the
 * standing asks for, with a verdict. Everything here is pure; nothing here asks the clock, draws a number or talks to
 * anybody, so the same facts always give the same plan.
 */
import type { AddressClaim } from '../domain/address-claim.ts';
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { GmailFacts } from '../domain/gmail.ts';
import type { Place } from '../domain/place.ts';
import type { IssuerRecord, UserLedger } from '../domain/records.ts';

export interface Facts {
  readonly userId: string;
  readonly now: Date;
  readonly presence: DirectoryPresence;
  /** Where a present user is among the policy's units and groups; absent only for a draft without pins. */
  readonly place?: Place;
  readonly ledger: UserLedger;
  readonly gmail: GmailFacts;
  /**
   * SHA-256 of each signed leaf's DER, lower-case hex, by serial, and of each imported certificate's by import id: how Gmail's
   * keypairs are told apart.
   */
  readonly leafSha256BySerial: ReadonlyMap<string, string>;
  /** How certificates spell an address, where they spell it otherwise than the directory (A-labels). */
  readonly printedAddresses: ReadonlyMap<string, string>;
  /** Live leaves of others that name an address this user's certificate would name, spelled as in certificates. */
  readonly namedByOthers: readonly (AddressClaim & { readonly serialHex: string })[];
  /** Addresses that live leaves of this user name and that somebody else has now, spelled as in certificates. */
  readonly lostAddresses: readonly AddressClaim[];
  /** Of the addresses that the policy protects, those the ledger saw last with this user; only of whoever is not present. */
  readonly formerAddresses: readonly string[];
  readonly issuerStates: ReadonlyMap<string, IssuerRecord['state']>;
}
