/**
 * The error taxonomy. Every failure that leaves a room is one of these or a bug.
 *
 * | kind          | meaning                                                    | event function            | HTTP             |
 * |---------------|------------------------------------------------------------|---------------------------|------------------|
 * | invalid-input | can never be understood                                    | log, acknowledge          | 400              |
 * | permanent     | understood; needs a human or a change elsewhere            | record *blocked*, ack     | 401 403 404 409 422 |
 * | retryable     | the same call may succeed later; may carry `retryAfterMs`  | fail, so it is redelivered | 429 503         |
 * | anything else | a bug                                                      | fail                      | 500              |
 *
 * Messages are sentences that name what is wrong and what to do. They never carry a private key, a token, a
 * request header or a wrapped key: ids, codes, fingerprints and serials only.
 */
export type ErrorKind = 'invalid-input' | 'permanent' | 'retryable';

/** Closed union of stable codes; `docs/errors.md` says for each what an admin does about it. */
export type ErrorCode =
  // what came in
  | 'malformed-request'
  | 'malformed-event'
  | 'request-too-large'
  | 'too-many-requests'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'conflict'
  // configuration
  | 'settings-invalid'
  | 'policy-invalid'
  | 'policy-not-active'
  // directory and Gmail
  | 'directory-unavailable'
  | 'directory-refused'
  | 'page-token-expired'
  | 'reports-unavailable'
  | 'reports-refused'
  | 'mailbox-not-ready'
  | 'cse-not-enabled'
  | 'delegation-refused'
  | 'gmail-unavailable'
  | 'gmail-refused'
  // key service
  | 'key-service-unavailable'
  | 'key-service-refused'
  | 'key-service-answer-invalid'
  | 'wrapped-key-unreadable'
  | 'supplied-key-unusable'
  | 'card-key-unusable'
  // certificate authority
  | 'issuer-missing'
  | 'issuer-not-ready'
  | 'ca-key-unusable'
  | 'lint-failed'
  | 'key-blocked'
  | 'key-weak'
  | 'intent-mismatch'
  | 'signing-unavailable'
  | 'tokens-unavailable'
  | 'publication-refused'
  | 'address-unreachable'
  // ledger, bus, secrets, storage
  | 'ledger-unavailable'
  | 'lease-held'
  | 'lease-lost'
  | 'bus-unavailable'
  | 'secret-missing'
  | 'secret-unreadable'
  | 'secrets-unavailable'
  | 'storage-unavailable'
  | 'storage-precondition'
  | 'kms-key-unusable'
  | 'kms-answer-refused'
  | 'kms-unavailable'
  // guard
  | 'guard-refused'
  | 'held-set-changed'
  | 'held-set-decided'
  | 'same-admin'
  | 'obliteration-refused'
  | 'erasure-refused'
  | 'stopped';

export interface SealwrightErrorOptions {
  readonly cause?: unknown;
  /** How long the other side asked us to wait, in milliseconds; only meaningful for `retryable`. */
  readonly retryAfterMs?: number;
  /** Non-secret facts for the log line and for an admin: field names, ids, serials. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class SealwrightError extends Error {
  override readonly name = 'SealwrightError';
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(kind: ErrorKind, code: ErrorCode, message: string, options: SealwrightErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }
}

export const invalidInput = (code: ErrorCode, message: string, options?: SealwrightErrorOptions) =>
  new SealwrightError('invalid-input', code, message, options);

export const permanent = (code: ErrorCode, message: string, options?: SealwrightErrorOptions) =>
  new SealwrightError('permanent', code, message, options);

export const retryable = (code: ErrorCode, message: string, options?: SealwrightErrorOptions) =>
  new SealwrightError('retryable', code, message, options);

export const isSealwrightError = (value: unknown): value is SealwrightError =>
  value instanceof SealwrightError;
