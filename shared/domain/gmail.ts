/** Gmail's objects in our words; the wire form stays in the Gmail adapter. */

export interface GmailKeypair {
  readonly keypairId: string;
  readonly enabled: boolean;
  readonly disabledAt?: Date;
  /** SHA-256 of the leaf's DER, lower-case hex; undefined where Gmail's `pem` could not be read. */
  readonly leafSha256Hex?: string;
  readonly subjectAddresses: readonly string[];
}

export interface GmailIdentity {
  readonly address: string;
  readonly use:
    | { readonly kind: 'dual'; readonly keypairId: string }
    | { readonly kind: 'split'; readonly signingKeypairId: string; readonly encryptionKeypairId: string };
}

/**
 * What Gmail answered for a user. `unavailable` carries why, because a mailbox that is not ready yet, a unit without
 * client-side encryption and a suspended user each wait in their own way.
 */
export type GmailFacts =
  | {
      readonly kind: 'observed';
      readonly keypairs: readonly GmailKeypair[];
      readonly identities: readonly GmailIdentity[];
    }
  | {
      readonly kind: 'unavailable';
      readonly code: 'mailbox-not-ready' | 'cse-not-enabled' | 'delegation-refused';
      readonly message: string;
    }
  /** Not asked, because nothing about this user needs Gmail. */
  | { readonly kind: 'unasked' };
