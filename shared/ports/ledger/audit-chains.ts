/**
 * The audit trail as it is read, and its checkpoints. The ledger chains entries by itself when they are written
 * (`shared/audit/entry.ts` says how); nobody else can.
 */
import type { AuditEntry } from '../ledger.ts';
import type { ServiceSignerIntent, StoredServiceSigner } from './service-signers.ts';

/** One entry as the ledger holds it, with its link in the chain. Digests are lower-case hex. */
export interface ChainedEntry extends AuditEntry {
  /** Number in the order of writing, over all chains. */
  readonly id: bigint;
  readonly at: Date;
  /** Counts from 1 within the chain. */
  readonly place: bigint;
  /** SHA-256 of the entry before it in its chain; 64 zeros for the first. */
  readonly previousSha256Hex: string;
  /** SHA-256 over the entry's text, `shared/audit/entry.ts`. */
  readonly sha256Hex: string;
}

/** The newest entry of a chain. */
export interface ChainHead {
  readonly chain: string;
  readonly place: bigint;
  readonly sha256Hex: string;
}

/** Where a revocation became public. */
export interface CrlListing {
  readonly serialHex: string;
  readonly issuerId: string;
  readonly revokedAt: Date;
  /** The first public CRL that lists it, as its own bytes said when it was published. Absent while there is none. */
  readonly crl?: { readonly crlNumber: bigint; readonly publishedAt: Date };
}

export interface StoredCheckpoint {
  readonly number: bigint;
  readonly lastEntryId: bigint;
  /** The exact text that is signed. */
  readonly statement: string;
  readonly signerSerialHex: string;
  /** DER of CMS SignedData with the statement inside; absent until it is signed. */
  readonly signedDer?: Uint8Array;
}

export interface AuditChains {
  /**
   * By id, which follows the order of writing. Two writers may commit in the other order: whoever follows the trail
   * while it grows reads the last seconds again.
   */
  auditTrail(filter: { userId?: string; afterId?: bigint; limit: number }): Promise<readonly ChainedEntry[]>;
  /** Entries of one step about these users, by id. */
  auditEntriesOfStep(step: string, userIds: readonly string[]): Promise<readonly ChainedEntry[]>;
  /**
   * The number of the last entry such that it and all before it are committed: waits for writers under way and lets none
   * begin meanwhile. 0 for an empty trail.
   */
  settledAuditEntry(): Promise<bigint>;
  /** Newest entry, at or before an entry number, of each chain; by chain, compared octet by octet. */
  auditHeads(lastEntryId: bigint): AsyncIterable<ChainHead>;
  /**
   * Where each chain ends by the ledger's own account, which it keeps beside the entries; by chain, compared octet by octet. An
   * entry that is written meanwhile moves an end on, never back.
   */
  auditEnds(filter: { afterChain?: string; limit: number }): Promise<readonly ChainHead[]>;

  /** Of those among these serials that are revoked, by serial. */
  crlListings(serialsHex: readonly string[]): Promise<readonly CrlListing[]>;

  recordAuditSignerIntent(intent: ServiceSignerIntent): Promise<void>;
  readAuditSigner(serialHex: string): Promise<StoredServiceSigner | undefined>;
  /** Called by `sign` alone. The first write wins; writing the same bytes again is done already. */
  recordSignedAuditSigner(serialHex: string, certificateDer: Uint8Array): Promise<void>;
  /** Signers that end after now, the one that ends last first, signed or not. */
  auditSigners(): Promise<readonly StoredServiceSigner[]>;

  /** Commits what will be signed. A number that exists is a `conflict`. */
  recordCheckpointIntent(checkpoint: Omit<StoredCheckpoint, 'signedDer'>): Promise<void>;
  readCheckpoint(number: bigint): Promise<StoredCheckpoint | undefined>;
  /** The one with the highest number, signed or not. */
  latestCheckpoint(): Promise<StoredCheckpoint | undefined>;
  /** Called by `sign` alone. The first write wins; writing the same bytes again is done already. */
  recordSignedCheckpoint(number: bigint, signedDer: Uint8Array): Promise<void>;
  /** By number. */
  checkpoints(filter: { afterNumber?: bigint; limit: number }): Promise<readonly StoredCheckpoint[]>;
}
