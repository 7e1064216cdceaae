/**
 * What the ledger keeps of CRLs. A CRL of a million entries is 51 MB, so its bytes come only where somebody asks for that
 * one CRL, and revoked leaves come in pages.
 */
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import type { Lease } from '../ledger.ts';

/** A CRL without its bytes. */
export interface CrlRecord {
  readonly issuerId: string;
  readonly crlNumber: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly state: 'intended' | 'signed' | 'published';
}

export interface CrlIntent extends Omit<CrlRecord, 'state'> {
  /** DER of TBSCertList, the exact bytes that will be signed. */
  readonly tbsDer: Uint8Array;
}

export interface StoredCrl extends CrlIntent {
  readonly state: CrlRecord['state'];
  readonly crlDer?: Uint8Array;
}

export interface RevokedLeaf {
  readonly serialHex: string;
  readonly reason: RevocationReason;
  readonly revokedAt: Date;
  readonly invalidityDate?: Date;
  readonly notAfter: Date;
}

export interface CrlLedger {
  /**
   * Revoked leaves of an issuer that must be listed in a CRL issued now, by serial: all of them, or one page. Pages are
   * read one after the other, so somebody who is revoked meanwhile may be in or not.
   */
  revokedLeaves(
    issuerId: string,
    page?: { readonly afterSerialHex: string; readonly limit: number },
  ): Promise<readonly RevokedLeaf[]>;
  /** Whether somebody is revoked whom no published CRL of this issuer lists. One look at an index. */
  hasUnlistedRevocations(issuerId: string): Promise<boolean>;
  /** The highest number, in whatever state: numbers are never used twice. */
  latestCrl(issuerId: string): Promise<CrlRecord | undefined>;
  /** The one that is public. */
  latestPublishedCrl(issuerId: string): Promise<CrlRecord | undefined>;
  recordCrlIntent(lease: Lease, intent: CrlIntent): Promise<void>;
  /** With its bytes: the to-be-signed ones and, once it is signed, the CRL. */
  readCrl(issuerId: string, crlNumber: bigint): Promise<StoredCrl | undefined>;
  /** The signed CRL alone, DER; undefined where there is none. */
  readSignedCrl(issuerId: string, crlNumber: bigint): Promise<Uint8Array | undefined>;
  recordSignedCrl(issuerId: string, crlNumber: bigint, crlDer: Uint8Array): Promise<void>;
  /**
   * `lists` says, from the CRL's own bytes, whether it lists a serial. The ledger asks it of those that were in no published CRL
   * yet, and of those whose certificate ended before this CRL's time: they need not be listed again (RFC 5280 §3.3).
   */
  recordPublishedCrl(
    lease: Lease,
    issuerId: string,
    crlNumber: bigint,
    lists: (serialHex: string) => boolean,
  ): Promise<void>;
}
