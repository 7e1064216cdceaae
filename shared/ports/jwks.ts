/** A JSON Web Key Set as it was fetched, RFC 7517 section 5. Nothing about the keys has been checked yet. */
export interface KeySetDocument {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** How long the sender lets it be kept, in milliseconds; undefined when it did not say. */
  readonly maxAgeMs: number | undefined;
}

/** Fetches key sets of token issuers. It keeps nothing: `shared/kacls/key-sets.ts` does. */
export interface KeySetDocuments {
  /** Throws `key-service-unavailable` (retryable) for anything that is not a key set, whatever the cause. */
  fetch(url: string): Promise<KeySetDocument>;
}
