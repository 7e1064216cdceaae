/**
 * CRLReason of RFC 5280 §5.3.1, spelled as there. `unspecified` (0) is never written, `certificateHold` (6) is
 * forbidden by the strict S/MIME profile, `removeFromCRL` (8) belongs to delta CRLs: none of the three is ours.
 */
export const REVOCATION_REASONS = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

export type RevocationReason = keyof typeof REVOCATION_REASONS;

export const isRevocationReason = (value: unknown): value is RevocationReason =>
  typeof value === 'string' && Object.hasOwn(REVOCATION_REASONS, value);
