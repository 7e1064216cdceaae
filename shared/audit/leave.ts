/**
 * How the trail ties a departure to the event that began it. The revocation comes when a grace period has ended, and its own cause is
 * then the clock; the event stands in an entry of its own, written when the grace period began.
 */
import { LEAVE_BEGUN, type LeaveTerms } from '../domain/leave.ts';
import type { ChainedEntry } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';

/** The terms an entry names; undefined where it is about no grace period. */
export function leaveTermsOf({ details }: Pick<AuditEntry, 'details'>): LeaveTerms | undefined {
  const leaving = details?.['leaving'];
  const leavingSince = details?.['leavingSince'];
  const graceEndsAt = details?.['graceEndsAt'];
  if (leaving !== 'outside' && leaving !== 'suspended' && leaving !== 'deleted') return undefined;
  if (typeof leavingSince !== 'string' || typeof graceEndsAt !== 'string') return undefined;
  return { leaving, leavingSince, graceEndsAt };
}

/** The entry that began the departure that `entry` carries out: the first one that names it. */
export function beginningOf(
  entry: ChainedEntry,
  candidates: readonly ChainedEntry[],
): ChainedEntry | undefined {
  const terms = leaveTermsOf(entry);
  if (terms === undefined) return undefined;
  return candidates.find((candidate) => {
    if (candidate.step !== LEAVE_BEGUN || candidate.userId !== entry.userId) return false;
    const begun = leaveTermsOf(candidate);
    return begun?.leaving === terms.leaving && begun.leavingSince === terms.leavingSince;
  });
}
