/** Which activation of a policy the users it changes were put into the queue for. Written under the lease of `job:sweep`. */
import type { Lease } from '../ledger.ts';

export interface PolicyFollowing {
  /** Absent before the first one. */
  readonly followed?: {
    readonly activation: string;
    readonly at: Date;
    /** A whole sweep has said which of its rules cover nobody. */
    readonly areRulesJudged: boolean;
  };
  /** Another one that is in force, and since when that is known. */
  readonly noticed?: { readonly activation: string; readonly at: Date };
}

export interface OutdatedUsers {
  /** Rules by name, each with the digest of its present form (`shared/plan/rule-digest.ts`). */
  readonly rules: readonly { readonly name: string; readonly digest: string }[];
  /** The activation that they have these forms by. */
  readonly activation: string;
  /** Users for whom no digest was ever written, and those who wait for a unit or group that was gone, are taken for outdated too. */
  readonly withUnknown: boolean;
  /** Whoever was hinted at since then is let alone: their look may be under way. */
  readonly exceptHintedSince: Date;
  /** At most so many, those behind `after` in the order of their ids. */
  readonly after?: string;
  readonly limit: number;
}

export interface PolicyFollowingLedger {
  policyFollowing(): Promise<PolicyFollowing>;
  /** It is in force; the one followed before stays so. */
  recordPolicyNoticed(lease: Lease, activation: string): Promise<void>;
  recordPolicyFollowed(lease: Lease, activation: string): Promise<void>;
  /** Nothing happens where another one was followed since. */
  recordRulesJudged(lease: Lease, activation: string): Promise<void>;
  /**
   * Puts users of these rules (*ready*, *pending* or *blocked*) into the queue whose last look was made under another form of
   * theirs, or found its unit or group gone (`withUnknown`). Answers how many there were, and the last one's id where there may be more.
   */
  queueOutdated(
    lease: Lease,
    outdated: OutdatedUsers,
  ): Promise<{ readonly users: number; readonly after?: string }>;
}
