/** Messages that no function could handle in the attempts that Pub/Sub makes. They wait until somebody decides. */
export interface DeadLetter {
  /** Pub/Sub's id of the message on the dead-letter topic. */
  readonly id: string;
  /** Short name of the subscription that gave it up, and of the topic that it is published to again. */
  readonly subscription: string;
  readonly topic: string;
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
  /**
   * Hands every dead letter that `wanted` chooses to `settle`, one by one, and acknowledges it once that has come to its
   * end; the others are given back. Answers what was settled.
   */
  settle(
    wanted: (letter: DeadLetter) => boolean,
    settle: (letter: DeadLetter) => Promise<void>,
  ): Promise<readonly DeadLetter[]>;
  /** Publishes it once more where it came from. */
  republish(letter: DeadLetter): Promise<void>;
}
