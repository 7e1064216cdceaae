/**
 * What the ledger keeps of CRLs. A CRL of a million entries is 51 MB, so nobody is ever given the whole of one: its bytes come
 * and go in parts, and revoked leaves in pages. The ledger keeps the entries once, however many CRLs list them.
 */
import type { RecordedParts } from '../../domain/recorded.ts';
import type { AuditEntry, Lease } from '../ledger.ts';

/** A CRL without its bytes. */
export interface CrlRecord {
  readonly issuerId: string;
  readonly crlNumber: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly state: 'intended' | 'signed' | 'published';
}

export interface CrlIntent extends Omit<CrlRecord, 'state'> {
  readonly text: CrlText;
}

/** The exact bytes that will be signed: a TBSCertList, DER, as it is made. */
export interface CrlText {
  /** Its entries, in order; read once. Blocks that an earlier CRL had too are not written again. */
  readonly blocks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** What stands before and after them; asked for once they have all been read. What it throws leaves no intent behind. */
  around(): { readonly head: Uint8Array; readonly tail: Uint8Array };
}

export interface StoredCrl extends CrlRecord {
  /** The TBSCertList in parts, in order; read anew each time, and each part compared with the digest it is recorded under. */
  tbsParts(): RecordedParts;
  /** What follows the TBSCertList in the signed CRL: algorithm and signature, DER. */
  readonly endDer?: Uint8Array;
}

export interface CrlLedger {
  /**
   * Revoked leaves of an issuer that must be listed in a CRL issued now, by serial, in the form of `packed-entries.ts`: all of them, or
   * one page. Pages are read one after the other, so somebody who is revoked meanwhile may be in or not.
   */
  revokedLeaves(
    issuerId: string,
    page?: { readonly afterSerialHex: string; readonly limit: number },
  ): Promise<Uint8Array>;
  /** Whether somebody is revoked whom no published CRL of this issuer lists. One look at an index. */
  hasUnlistedRevocations(issuerId: string): Promise<boolean>;
  /** The highest number, in whatever state: numbers are never used twice. */
  latestCrl(issuerId: string): Promise<CrlRecord | undefined>;
  /** The one that is public. */
  latestPublishedCrl(issuerId: string): Promise<CrlRecord | undefined>;
  recordCrlIntent(lease: Lease, intent: CrlIntent): Promise<void>;
  /** Undefined too once its bytes have been pruned. */
  readCrl(issuerId: string, crlNumber: bigint): Promise<StoredCrl | undefined>;
  /** `endDer`: what follows the TBSCertList. */
  recordSignedCrl(issuerId: string, crlNumber: bigint, endDer: Uint8Array): Promise<void>;
  /**
   * `listed` says, from the CRL's own bytes, which of these ascending serials it lists. The ledger asks it of those that were in no
   * published CRL yet, which have this one for their first, and of those whose certificate ended before this CRL's time: they need not
   * be listed again (RFC 5280 §3.3). The entry is written with the publication, at the same instant. Said of a CRL that is
   * published already it writes down the rest of what it lists, if any is missing. Refuses as `conflict` while that is missing of an
   * earlier one.
   */
  recordPublishedCrl(
    lease: Lease,
    issuerId: string,
    crlNumber: bigint,
    listed: (serialsHex: readonly string[]) => Promise<readonly string[]>,
    audit?: AuditEntry,
  ): Promise<void>;
  /** The published CRL of which not all is written down that it lists: whoever published it died meanwhile. */
  publicationToFinish(issuerId: string): Promise<bigint | undefined>;
  /**
   * Takes out the bytes of CRLs that have ended and that a published one follows; their numbers, times and signatures stay, so
   * that a copy kept elsewhere can still be told from a forged one. Answers how many.
   */
  pruneCrls(lease: Lease, issuerId: string): Promise<number>;
}
