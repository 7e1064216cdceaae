import type { Facts } from '../facts.ts';

/** From the end of the first whole sweep that missed a user to the beginning of another. */
const PROOF_MS = 24 * 3_600_000;

/**
 * True when a user who was just looked for in vain (by id and among the deleted) was also in no list of two whole sweeps a day
 * apart. Any sighting in between has ended the proof. It departs somebody, so the guard counts it like any departure.
 */
export function isProvenAbsent({ ledger: { absence } }: Facts): boolean {
  return (
    absence !== undefined && absence.lastMissedAt.getTime() - absence.firstMissedAt.getTime() >= PROOF_MS
  );
}
