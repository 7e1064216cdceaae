import type { Account } from '../core/rooms.ts';

/** What Gmail asks the Admin console's settings. */
export interface CseAdministration {
  /** DER of the S/MIME roots uploaded for the domain of this address. */
  trustedRoots(address: string): readonly Buffer[];
  /** Why this account may not use client-side encryption now, as a sentence; undefined when it may. */
  refusal(account: Account): string | undefined;
  /** Base addresses of the key services registered, without a trailing slash. */
  keyServices(): readonly string[];
}
