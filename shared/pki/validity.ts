/** Validity periods: whole seconds, both ends included (RFC 5280 §4.1.2.5), never beyond the issuer's. */
import { permanent } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import { BACKDATE_MS, LEAF_MAXIMUM_DAYS } from './profile.ts';

export interface Validity {
  readonly notBefore: Date;
  /** The last second of validity. */
  readonly notAfter: Date;
}

const DAY_MS = 86_400_000;

/** Rounds down to a second, in milliseconds. */
export const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000;

/**
 * A leaf's validity: from five minutes before `now` for so many days, or until its issuer ends. Throws
 * `policy-invalid` for days outside 1 to 819, `issuer-not-ready` where the issuer is not valid now.
 */
export function leafValidity(now: Date, validityDays: number, issuer: Certificate): Validity {
  if (!Number.isInteger(validityDays) || validityDays < 1 || validityDays > LEAF_MAXIMUM_DAYS) {
    throw permanent(
      'policy-invalid',
      `A leaf cannot be valid for ${validityDays} days: set validityDays to a whole number from 1 to ${LEAF_MAXIMUM_DAYS}.`,
    );
  }
  const issuerFrom = issuer.notBefore.at;
  const issuerUntil = issuer.notAfter.at;
  if (now < issuerFrom || now > issuerUntil) {
    throw permanent(
      'issuer-not-ready',
      `The issuer is valid from ${issuerFrom.toISOString()} to ${issuerUntil.toISOString()} and it is ${now.toISOString()} now: make a new issuing CA under the root, or correct the clock.`,
    );
  }
  const from = Math.max(wholeSecond(now.getTime() - BACKDATE_MS), issuerFrom.getTime());
  // Both ends count, so the last second of the last day is one second earlier.
  return within(
    { notBefore: new Date(from), notAfter: new Date(from + validityDays * DAY_MS - 1000) },
    issuer,
  );
}

/** From five minutes before `now` to one second before the same moment so many calendar years later. */
export function validityOfYears(now: Date, years: number): Validity {
  const notBefore = new Date(wholeSecond(now.getTime() - BACKDATE_MS));
  const end = new Date(notBefore);
  end.setUTCFullYear(notBefore.getUTCFullYear() + years);
  return { notBefore, notAfter: new Date(end.getTime() - 1000) };
}

/** The part of a validity that lies within the issuer's. */
export const within = (validity: Validity, issuer: Certificate): Validity => ({
  notBefore: new Date(Math.max(validity.notBefore.getTime(), issuer.notBefore.at.getTime())),
  notAfter: new Date(Math.min(validity.notAfter.getTime(), issuer.notAfter.at.getTime())),
});
