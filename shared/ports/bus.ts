import type { Hint } from '../domain/hint.ts';

/** Where hints and publication requests go. Throws `bus-unavailable` (retryable). */
export interface Bus {
  publishHint(hint: Hint): Promise<void>;
  publishHints(hints: readonly Hint[]): Promise<void>;
  /** "Something was revoked: publish this issuer's CRL soon." */
  requestCrl(issuerId: string): Promise<void>;
}
