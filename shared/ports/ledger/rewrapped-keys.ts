import type { AuditEntry } from '../ledger.ts';

/** How many wrapped keys lie under one key-encryption key of one key service. */
export interface WrappedKeyCount {
  readonly keyServiceUrl: string;
  /** That the blob names which Gmail was given; absent for the blobs of other vendors' services, which say nothing. */
  readonly kekId?: string;
  readonly keys: number;
  /** Of these, under which key-encryption key the newest blob of the same key lies, where there is a newer one. */
  readonly rewrappedUnder: Readonly<Record<string, number>>;
  /** Of these, how many nobody has seen open. */
  readonly unproven: number;
  /** Of these, how many the key service could not open when it last tried. */
  readonly unreadable: number;
}

export interface KeyToRewrap {
  readonly keyId: string;
  readonly userId: string;
  /** The newest blob of the key. */
  readonly wrappedKey: string;
  readonly kekId: string;
}

/**
 * Wrapped keys and their later forms. What was recorded with a key never changes, because Gmail keeps it; a form made
 * after a rotation stands beside it, and counts from then on.
 */
export interface RewrappedKeys {
  countWrappedKeys(): Promise<readonly WrappedKeyCount[]>;
  /**
   * Keys of this service whose newest blob is under another key-encryption key than this one, in no order, at most
   * `limit`. Those found unreadable within the last day are left out.
   */
  keysToRewrap(wanted: {
    readonly keyServiceUrl: string;
    readonly kekId: string;
    readonly limit: number;
  }): Promise<readonly KeyToRewrap[]>;
  /**
   * Records a newer blob of a key; its kekId is read from the blob. `audit` is written with it or not at all. `erased`: two admins have
   * erased the key meanwhile, and nothing is written. Throws `conflict` (permanent) for a blob that is none of our own key service.
   */
  recordRewrapped(keyId: string, wrappedKey: string, audit?: AuditEntry): Promise<'recorded' | 'erased'>;
  /** The key service could not open the newest blob of this key. */
  recordUnreadable(keyId: string, found: { readonly kekId: string; readonly reason: string }): Promise<void>;
  /** The newest blob of the key that has this SPKI hash and of which `wrappedKey` is an earlier one; else undefined. */
  newerWrappedKey(spkiSha256Hex: string, wrappedKey: string): Promise<string | undefined>;
}
