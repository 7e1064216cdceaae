/**
 * The private `sign` function as its callers see it. It takes the id of an intent that is already in the ledger,
 * reads it again, lints it again, signs exactly those bytes and records the outcome. Asking twice gives the same
 * bytes twice.
 *
 * Throws `signing-unavailable` (retryable), `lint-failed`, `intent-mismatch`, `ca-key-unusable`, `not-found` (permanent).
 */
export interface Signing {
  /** Signs the leaf intended under this serial; answers its certificate, DER. */
  signLeaf(serialHex: string): Promise<Uint8Array>;
  /** Signs the CRL intended under this issuer and number; the ledger has it then. A long one is too much for an answer. */
  signCrl(issuerId: string, crlNumber: bigint): Promise<void>;
  /** Signs the OCSP signer intended under this serial; answers its certificate, DER. */
  signOcspSigner(serialHex: string): Promise<Uint8Array>;
  /** Signs the OCSP answers of this batch with its signer's key and makes them public. */
  signOcspBatch(batchId: bigint): Promise<void>;
  /** Signs the audit signer intended under this serial; answers its certificate, DER. */
  signAuditSigner(serialHex: string): Promise<Uint8Array>;
  /** Signs the checkpoint of the audit trail intended under this number; answers DER of CMS SignedData. */
  signCheckpoint(number: bigint): Promise<Uint8Array>;
}
