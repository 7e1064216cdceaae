/** Messages that no function could handle in the attempts that Pub/Sub makes. They wait until somebody decides. */
export interface DeadLetter {
  /** Pub/Sub's id of the message on the dead-letter topic. */
  readonly id: string;
  /** Short name of the subscription that gave it up. */
  readonly subscription: string;
  /** Short name of the topic that it is published to again. Absent where the subscription is none of ours. */
  readonly topic?: string;
  readonly data: Uint8Array;
  /** As they were published, without those that Pub/Sub adds to a dead letter. */
  readonly attributes: Readonly<Record<string, string>>;
  /** When it was first published, and when it was given up. */
  readonly publishedAt: Date;
  readonly givenUpAt: Date;
  readonly deliveries: number;
}

export interface DeadLetterPage {
  /** Oldest first. */
  readonly letters: readonly DeadLetter[];
  /** There may be more than the limit let through. */
  readonly more: boolean;
}

/** Throws `bus-unavailable`: retryable where it may pass, permanent where a right is missing. */
export interface DeadLetters {
  /** Looks at up to `limit` and gives all of them back. Somebody else who looks at the same moment may see fewer. */
  look(limit: number): Promise<DeadLetterPage>;
  /** The one with this id, looked for among as many as there is time for; `more` where there were others. */
  find(id: string): Promise<{ readonly letter?: DeadLetter; readonly more: boolean }>;
  /**
   * Hands the dead letters with these ids, or all of them, to `settle`, a few hundred at a time, and acknowledges those that it
   * answers once it has come to its end; the others are given back. Answers those, and `more` where time ran out before the last.
   */
  settle(
    chosen: ReadonlySet<string> | 'all',
    settle: (letters: readonly DeadLetter[]) => Promise<readonly DeadLetter[]>,
  ): Promise<{ readonly settled: readonly DeadLetter[]; readonly more: boolean }>;
  /** Publishes them once more where they came from. */
  republish(letters: readonly DeadLetter[]): Promise<void>;
}
