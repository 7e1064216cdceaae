/** Hints at what the directory does not show yet, kept until it is asked again. */
import type { Hint } from '../../domain/hint.ts';

export interface PutOffHint {
  /** Grows with each hint that is put off. */
  readonly number: bigint;
  readonly hint: Hint;
}

export interface PutOffHintLedger {
  /** Kept once for each target, event id and event: put off again, it takes a new number. */
  recordPutOff(hint: Hint): Promise<void>;
  /** The longest waiting first. */
  putOffHints(most: number): Promise<readonly PutOffHint[]>;
  /** They were published. One that was put off again since has another number and stays. */
  forgetPutOff(numbers: readonly bigint[]): Promise<void>;
}
