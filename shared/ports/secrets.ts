/**
 * Secret Manager. Throws `secret-missing` (permanent), `secret-unreadable` (permanent: destroyed, disabled, or the
 * CRC32C does not fit), `secrets-unavailable` (retryable).
 */
export interface Secrets {
  /** `version` is a full resource name, `projects/P/secrets/S/versions/N`; CA keys are always pinned to a number. */
  read(version: string): Promise<Uint8Array>;
  /**
   * Every version there ever was, in any order, also those whose payload is gone; none where the secret is missing. Nothing is
   * read of what they hold.
   */
  listVersions(secret: string): Promise<readonly SecretVersion[]>;
  /** Creates the secret where it is missing, adds a version, answers its full resource name. */
  add(secret: string, payload: Uint8Array): Promise<string>;
}

export interface SecretVersion {
  /** Full resource name. */
  readonly name: string;
  readonly state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
}
