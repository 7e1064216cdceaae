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

/** By octet, one for each code that is ours: a list is looked at a million entries at a time. */
export const IS_REASON_CODE: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, code) =>
  Object.values<number>(REVOCATION_REASONS).includes(code) ? 1 : 0,
);
