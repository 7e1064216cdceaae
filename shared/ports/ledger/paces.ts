/** Quotas of Google's that every instance spends from together. */
export interface PaceLedger {
  /**
   * Books `units` of a quota that gives `unitsPerMinute`, of which `burstUnits` may be spent at once; answers how long to
   * wait before they may be used. Nothing is booked, and undefined answered, when that would be longer than `maxWaitMs`.
   * The database's clock decides, so that instances need not agree on the time.
   */
  bookPace(request: {
    readonly pace: string;
    readonly units: number;
    readonly unitsPerMinute: number;
    readonly burstUnits: number;
    readonly maxWaitMs: number;
  }): Promise<number | undefined>;
  /**
   * Takes everything that will be earned within `ms` from now for spent. A booking may run a burst ahead of what is earned,
   * so to keep everybody waiting for a time that burst has to be added to it.
   */
  holdPace(pace: string, ms: number): Promise<void>;
}
