/** How far the Reports API was read. Every write is made under the lease of `job:reports`, so that two readers cannot write. */
import type { Lease } from '../ledger.ts';
import type { ReportsApplication } from '../reports.ts';

/** The subject whose lease a reader works under. */
export const REPORTS_SUBJECT = 'job:reports';

/** Where a reading under way goes on. */
export interface ReportsPosition {
  /** Its window, the same from the first page to the last. */
  readonly from: Date;
  readonly to: Date;
  /** It reaches far back, for entries that come days late. */
  readonly isDeep: boolean;
  readonly application: ReportsApplication;
  /** Of the next page; absent for the first one of a list. */
  readonly pageToken?: string;
  /** Entries found so far that the log sink had not brought. */
  readonly gaps: number;
}

export interface ReportsReading {
  /** Nothing from before is asked for; absent before the first reading. */
  readonly since?: Date;
  /** Every entry up to here was read; absent before the first whole reading. */
  readonly through?: Date;
  /** When a reading last ended whole. */
  readonly readAt?: Date;
  readonly deepAt?: Date;
  /** Entries that the log sink had not brought, in the last whole reading. */
  readonly gaps: number;
  /** When a reading last ended, whole or not. */
  readonly triedAt?: Date;
  /** In a row. */
  readonly failures: number;
  readonly why?: string;
  readonly underWay?: ReportsPosition;
}

export interface ReportsLedger {
  reportsReading(): Promise<ReportsReading>;
  /** A reading begins, or goes on after a page. The first one of all sets `since`. */
  recordReportsPosition(lease: Lease, position: ReportsPosition): Promise<void>;
  /** It ends whole: everything up to `through` was read. */
  recordReportsRead(
    lease: Lease,
    end: { readonly through: Date; readonly gaps: number; readonly isDeep: boolean },
  ): Promise<void>;
  /** It could not read on; the next attempt goes on where it is. */
  recordReportsFailure(lease: Lease, why: string): Promise<void>;
}
