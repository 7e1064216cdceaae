/** The switch that stops everything. Turning it is written into the audit trail in the same transaction. */
import type { EmergencyStop } from '../../domain/held.ts';
import type { Lease } from '../ledger.ts';

export interface StopLedger {
  /** The stop in force. */
  currentStop(): Promise<EmergencyStop | undefined>;
  /**
   * What is asked before each effect, in one statement: extends the lease as `renewLease` does and answers the stop in force as it
   * begins. Throws `lease-lost`.
   */
  renewHeedingStop(lease: Lease, durationMs: number): Promise<EmergencyStop | undefined>;
  /** `already`: one is in force, and stays as it is. */
  recordStop(stop: { readonly by: string; readonly reason: string }): Promise<'stopped' | 'already'>;
  /** Ends it and wakes whoever waited for that, `paceMs` apart. `not-stopped`: there was nothing to end. */
  recordResume(resume: {
    readonly by: string;
    readonly paceMs: number;
  }): Promise<{ readonly kind: 'resumed'; readonly woken: number } | { readonly kind: 'not-stopped' }>;
}
