/** How long CRLs are good for. */
import { sameBytes } from './der-reader.ts';

const DAY_MS = 86_400_000;

export interface CrlPeriod {
  /** From thisUpdate to nextUpdate. */
  readonly validForMs: number;
  /** The most that the S/MIME Baseline Requirements 4.9.7 allow. */
  readonly maximumMs: number;
}

/**
 * Leaves: a week, renewed daily (ten days are allowed). Issuing CAs: half a year, as the root is offline (twelve
 * months are allowed).
 */
export const CRL_SCHEDULE = {
  issuing: { validForMs: 7 * DAY_MS, maximumMs: 10 * DAY_MS },
  root: { validForMs: 183 * DAY_MS, maximumMs: 365 * DAY_MS },
} as const satisfies Record<string, CrlPeriod>;

/** Which schedule an issuer's CRLs follow: a self-issued certificate is a root. */
export const crlSchedule = (issuer: {
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
}): CrlPeriod => CRL_SCHEDULE[sameBytes(issuer.subjectDer, issuer.issuerDer) ? 'root' : 'issuing'];
