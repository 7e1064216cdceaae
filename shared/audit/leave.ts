/**
 * How the trail ties a departure to the event that began it. The revocation comes when a grace period has ended, an admin has approved
 * it or a failure is over, and its own cause is then the clock or the admin; the event stands in an entry of its own.
 */

import type { HeldSet } from '../domain/held.ts';
import { LEAVE_BEGUN, type LeaveTerms } from '../domain/leave.ts';
import type { ChainedEntry } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';

/** The terms an entry names; undefined where it is about no departure. */
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

/** What came between the event and an entry that carries a departure out. */
export interface WayOut {
  /** The entry that began it: `leave-begun`, or in its absence the guard's first refusal in the set that was approved. */
  readonly begun?: ChainedEntry;
  /** How long the guard held it for an admin, over all the sets it was in. */
  readonly held?: { readonly setId: string; readonly from: Date; readonly until: Date };
}

/** `candidates` are the user's entries of `leave-begun` and of the guard, oldest first; `sets` those that were decided. */
export function wayOut(
  entry: ChainedEntry,
  candidates: readonly ChainedEntry[],
  sets: readonly { readonly setId: HeldSet['setId']; readonly decided?: { readonly at: Date } }[],
): WayOut {
  const heldSet = entry.details?.['heldSet'];
  const named = beginningOf(entry, candidates);
  const refusals = candidates.filter(
    ({ step, outcome, userId, id }) =>
      step === 'guard' && outcome === 'refused' && userId === entry.userId && id < entry.id,
  );
  const inThisSet = refusals.find(({ details }) => heldSet !== undefined && details?.['heldSet'] === heldSet);
  const begun = named ?? inThisSet;
  const until = sets.find(({ setId }) => Number(setId) === heldSet)?.decided?.at;
  // Held in one set, dismissed or changed, and held again in another: all of that is time an admin took.
  const first = named === undefined ? inThisSet : refusals.find(({ at }) => at >= named.at);
  return {
    ...(begun === undefined ? {} : { begun }),
    ...(inThisSet === undefined || first === undefined || until === undefined
      ? {}
      : { held: { setId: String(heldSet), from: first.at, until } }),
  };
}
