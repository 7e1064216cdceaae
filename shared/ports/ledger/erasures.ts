/** Erasing the wrapped keys of people who were deleted: a set that one admin asks for, another confirms, and that is then carried out. */
import type { DeletedUsersKey, ShownKey } from '../../domain/erasure.ts';
import type { AuditEntry, Lease } from '../ledger.ts';

export interface Erasure {
  readonly erasureId: string;
  readonly digest: string;
  readonly shown: readonly ShownKey[];
  readonly noLegalHold: string;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly confirmedBy?: string;
  readonly confirmedAt?: Date;
  readonly state: 'requested' | 'confirmed' | 'done' | 'cancelled';
  readonly detail?: string;
}

export interface ErasedKey {
  readonly keyId: string;
  readonly spkiSha256Hex: string;
  /** By an erasure of the keys of deleted people, or with the obliteration of its last key pair. */
  readonly erasureId?: string;
  readonly obliterationId?: string;
  readonly erasedAt: Date;
  readonly requestedBy: string;
  readonly confirmedBy: string;
}

export interface ErasureLedger {
  /** Every key that has a wrapped form and whose user is deleted, by user and key; of one user where an id is given. */
  keysOfDeleted(userId?: string): Promise<readonly DeletedUsersKey[]>;
  /** With its line of the trail. Throws `conflict` (permanent) while another is open. */
  recordErasure(erasure: Pick<Erasure, 'digest' | 'shown' | 'noLegalHold' | 'requestedBy'>): Promise<Erasure>;
  /**
   * Hands `decide` the erasure and, when it does not throw, records the confirmation or cancellation with its line of the trail.
   * Undefined where there is no such erasure.
   */
  decideErasure(
    erasureId: string,
    decision: { readonly kind: 'confirmed' | 'cancelled'; readonly by: string },
    decide: (erasure: Erasure) => void,
  ): Promise<Erasure | undefined>;
  /**
   * Erases every wrapped form of these keys of the lease's user, with `audit`, or nothing of it; keys that are erased already stay as
   * they are, and where all are, nothing is written. Answers how many were erased now. The database refuses (`conflict`) what no
   * confirmed erasure names, whoever is not deleted, and a key that is being moved or that the living use.
   */
  eraseKeys(
    lease: Lease,
    erase: { readonly erasureId: string; readonly keyIds: readonly string[]; readonly audit: AuditEntry },
  ): Promise<number>;
  /** Carried out as far as it could be; says how in `detail`, with a line of the trail. */
  closeErasure(erasureId: string, detail: string): Promise<void>;
  readErasure(erasureId: string): Promise<Erasure | undefined>;
  /** Newest first. */
  erasures(): Promise<readonly Erasure[]>;
  erasedKeys(userId: string): Promise<readonly ErasedKey[]>;
}
