/** Step of the entry that begins a departure. Its details are `LeaveTerms`. */
export const LEAVE_BEGUN = 'leave-begun';

/** How somebody leaves, as details of an entry: of the one that begins it, and of each revocation that carries it out. */
export interface LeaveTerms {
  readonly leaving: 'outside' | 'suspended' | 'deleted';
  /**
   * From when the grace period counts, ISO 8601: when somebody first saw it, of a deletion what the directory says, or 1970 where it
   * does not. With `leaving` it names one departure of a user.
   */
  readonly leavingSince: string;
  /** ISO 8601; as `leavingSince` where there is no grace period. */
  readonly graceEndsAt: string;
}
