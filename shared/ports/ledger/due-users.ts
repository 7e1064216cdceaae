/** Whose time has come, and whom `due` has hinted at for it. */
import type { Cause } from '../../domain/hint.ts';

export interface DueUser {
  readonly userId: string;
  readonly nextAction: string;
  /** What they are due for: the time that came (`nextActionAt`), or the fence of the lease that ran out. */
  readonly occasion: Date | bigint;
  /** Of whoever asked while that lease was held. */
  readonly cause?: Cause;
}

export interface DueUserLedger {
  /**
   * Users whose `nextActionAt` has come, or who were being worked on, or asked about, under a lease that has expired. Without those
   * that were hinted at for the same occasion in the last ten minutes; and only so many that with these there are `most`: that many
   * may wait in Pub/Sub or be looked at. Whoever was never hinted at for it comes first, then the longest waiting.
   */
  dueUsers(most: number): Promise<readonly DueUser[]>;
  /** How many users' `nextActionAt` has come by that instant, those included who were hinted at and are not through. */
  dueBy(at: Date): Promise<number>;
  /** They were hinted at. Written after the hints went out: a crash in between repeats them, which harms nobody. */
  recordDueHints(hinted: readonly DueUser[]): Promise<void>;
}
