import type { Absence } from '../../domain/records.ts';
import type { Facts } from '../facts.ts';

/** From the end of the first whole sweep that missed a user to the beginning of another. */
const PROOF_MS = 24 * 3_600_000;

/**
 * True when a user who was just looked for in vain (by id and among the deleted) was also in no list of two whole sweeps a day
 * apart. Any sighting in between has ended the proof. It departs somebody, so the guard counts it like any departure.
 */
export const isProvenAbsent = ({ ledger: { absence } }: Facts): boolean =>
  absence !== undefined && isProof(absence);

/** The sweeps' part of it. */
export const isProof = ({ firstMissedAt, lastMissedAt }: Absence): boolean =>
  lastMissedAt.getTime() - firstMissedAt.getTime() >= PROOF_MS;
