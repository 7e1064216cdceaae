/** What admins ask to be done to single key pairs: disabling, and obliterating, which needs two of them. */
import type { KeypairRequest } from '../../domain/records.ts';
import type { AuditEntry, Lease } from '../ledger.ts';

export interface KeypairRequestView extends KeypairRequest {
  readonly userId: string;
  readonly primaryEmail: string;
  readonly requestedAt: Date;
  readonly confirmedAt?: Date;
  /** Of an obliteration: what becomes unreadable, as it was shown. */
  readonly statement?: Readonly<Record<string, unknown>>;
  /** `requested` waits for a second admin, `confirmed` for its turn. */
  readonly state: 'requested' | 'confirmed' | 'done' | 'refused' | 'cancelled';
  readonly detail?: string;
}

export interface KeypairRequestLedger {
  /**
   * Records a request and its audit line. A disable waits for its turn at once and wakes the user; an obliteration waits
   * for a second admin. Throws `conflict` (permanent) when one is open for the pair.
   */
  recordKeypairRequest(request: {
    readonly kind: KeypairRequest['kind'];
    readonly userId: string;
    readonly primaryEmail: string;
    readonly serialHex: string;
    readonly keypairId: string;
    readonly reason: string;
    readonly requestedBy: string;
    readonly statement?: Readonly<Record<string, unknown>>;
  }): Promise<{ readonly requestId: string }>;
  /**
   * Hands `decide` an open request that waits for a second admin and, when it does not throw, records the confirmation or
   * cancellation with its audit line; a confirmation wakes the user. Answers undefined where there is no such request.
   */
  decideKeypairRequest(
    requestId: string,
    decision: { readonly kind: 'confirmed' | 'cancelled'; readonly by: string },
    decide: (request: KeypairRequestView) => void,
  ): Promise<KeypairRequestView | undefined>;
  /**
   * Carried out, or refused at its turn. With `erase` every wrapped form that this user has of that key goes with it, with `audit`, or
   * nothing of all this. The database refuses (`conflict`) a key that the request's pair did not hold, and one that a certificate which is
   * good still, a move or somebody else needs.
   */
  closeKeypairRequest(
    lease: Lease,
    close: {
      readonly requestId: string;
      readonly state: 'done' | 'refused';
      readonly detail: string;
      readonly erase?: { readonly spkiSha256Hex: string; readonly audit: AuditEntry };
    },
  ): Promise<void>;
  readKeypairRequest(requestId: string): Promise<KeypairRequestView | undefined>;
  /** Newest first. */
  keypairRequests(filter: { readonly open: boolean }): Promise<readonly KeypairRequestView[]>;
}
