/**
 * Hints that wait for their wave. Switching a policy on finds everybody at once; the quotas of Gmail, the directory and
 * the key service let so many a minute through. A *rollout* lasts from the first waiting hint to the last user's end.
 */
import type { Lease } from '../ledger.ts';

/** Why they are hinted at; becomes the event of the cause. */
export type WaveKind = 'came-into-scope' | 'rule-changed' | 'look-by-age';

export interface WaitingHint {
  readonly userId: string;
  readonly kind: WaveKind;
  readonly sweepId: bigint;
}

/** Why it waits: one sweep found them, or one activation of a policy changed their rule. */
export interface WaveHint {
  readonly userId: string;
  readonly kind: WaveKind;
  readonly origin: { readonly sweepId: bigint } | { readonly activation: string };
}

export interface RolloutOverview {
  readonly paused: boolean;
  /** Who paused or resumed last. */
  readonly changedBy?: string;
  readonly changedAt?: Date;
  readonly begunAt?: Date;
  /** Users of the rollout under way, by where they stand. All zero when there is none. */
  readonly total: number;
  readonly waiting: number;
  readonly underWay: number;
  readonly ready: number;
  readonly blocked: number;
  /** Since when the first of those who wait does. */
  readonly waitingSince?: Date;
  /** As `WavesLately`. */
  readonly late: number;
}

/** What became of the waves of the last hour. */
export interface WavesLately {
  /** Hints let out in the minute before now, by waves and by `due`. */
  readonly lastMinute: number;
  /**
   * Users let out two minutes to an hour ago who are not through: nobody has looked at them yet, or what a look began was refused. Those who
   * wait for their mailbox, or for an address that somebody else's certificate names, are not among them: that is nobody's load.
   */
  readonly late: number;
}

export interface RolloutLedger {
  /**
   * Puts hints in the queue, in a rollout that begins with them if there is none. Whoever waits already stays where they
   * are; whoever was hinted at more than an hour ago and is found again waits again. Answers how many of them that sweep found: not those who
   * were known before, and wait or were hinted at within the hour.
   */
  queueHints(lease: Lease, hints: readonly WaitingHint[]): Promise<number>;
  /** The next to be hinted at, those looked at by age last, longest waiting first; nobody while paused. */
  nextWave(limit: number): Promise<readonly WaveHint[]>;
  wavesLately(): Promise<WavesLately>;
  /** They were hinted at. Written after the hints went out: a crash in between repeats them, which harms nobody. */
  recordWave(lease: Lease, userIds: readonly string[]): Promise<void>;
  /** Ends the rollout when nobody waits and nobody hinted at is still on their way; users long blocked do not hold it up. */
  endRolloutIfDone(lease: Lease): Promise<boolean>;
  switchRollout(change: { readonly paused: boolean; readonly by: string }): Promise<void>;
  rolloutOverview(): Promise<RolloutOverview>;
}
