import type { DisableCause } from '../../domain/records.ts';
import type { Lease } from '../ledger.ts';

/** Which pairs are disabled because we disabled them. */
export interface KeypairEnablement {
  /** Writes down, before Gmail is asked, that we disable a pair and why. A pair we disabled before keeps its first cause. */
  recordKeypairDisabled(
    lease: Lease,
    disabled: { readonly serialHex: string; readonly because: DisableCause },
  ): Promise<void>;
  /** The pair is in use again. */
  recordKeypairEnabled(lease: Lease, serialHex: string): Promise<void>;
}
