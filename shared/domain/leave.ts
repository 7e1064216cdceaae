/** Step of the entry that begins a grace period. Its details are `LeaveTerms`. */
export const LEAVE_BEGUN = 'leave-begun';

/** How somebody leaves, as details of an entry: of the one that begins it, and of each revocation that ends it. */
export interface LeaveTerms {
  readonly leaving: 'outside' | 'suspended' | 'deleted';
  /** From when the grace period counts, ISO 8601. With `leaving` it names one departure of a user. */
  readonly leavingSince: string;
  /** ISO 8601. */
  readonly graceEndsAt: string;
}
