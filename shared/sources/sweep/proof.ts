/**
 * When a read of the directory counts as whole. Every page came, each with its users and the token of the next (the
 * adapter and the run see to that); what is left are answers that look complete and are not, such as a list that ends
 * in the middle or a directory that tells of a tenth of its users. They are told by their number.
 */
export interface ReadCounts {
  readonly living: number;
  readonly deleted: number;
  /** Users the ledger serves, and how many of them neither list named. */
  readonly served: number;
  readonly missing: number;
}

/** A twentieth, or one in a small company: more than that do not vanish between two reads without being listed as deleted. */
export const allowance = (users: number): number => Math.max(1, Math.floor(users / 20));

/** Why this read proves nothing about those it does not name; undefined when it does. */
export function whyNotWhole(read: ReadCounts, livingLastTime: number | undefined): string | undefined {
  if (livingLastTime !== undefined) {
    const shortfall = livingLastTime - read.living - read.deleted;
    if (shortfall > allowance(livingLastTime)) {
      return `The directory listed ${read.living} users and ${read.deleted} deleted ones; the last whole sweep listed ${livingLastTime}. ${shortfall} are unaccounted for, and at most ${allowance(livingLastTime)} may be.`;
    }
  }
  if (read.missing > allowance(read.served)) {
    return `${read.missing} of the ${read.served} users we serve are in no list of the directory, and at most ${allowance(read.served)} may be.`;
  }
  return undefined;
}
