/**
 * Vocabulary of the sweep. A *sweep* reads the whole directory, or one org unit's subtree, page by page and compares it with the ledger; a *pass* is one attempt from the first page
 * to the last; a *tick* is one invocation, which takes up the sweep under way where the one before left it. A *suspect*
 * is a user whom the quick comparison points out; a *difference* is what comparing with the row as it is now confirms.
 *
 * What this room will not do: act. It publishes hints, and whoever is hinted at is looked at like anybody else. About
 * users it did not see it says something only when the whole directory was provably read.
 */
import type { Policy } from '../../domain/policy.ts';
import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Directory } from '../../ports/directory.ts';
import type { PolicyFollowingLedger } from '../../ports/ledger/policy-following.ts';
import type { RolloutLedger } from '../../ports/ledger/rollouts.ts';
import type { SweepLedger } from '../../ports/ledger/sweeps.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';
import type { Log } from '../../ports/log.ts';

export interface SweepDeps {
  readonly clock: Clock;
  /** Milliseconds since some fixed moment; unlike `clock` it never jumps. */
  readonly elapsedMs: () => number;
  readonly directory: Pick<Directory, 'livingPage' | 'deletedPage' | 'orgUnits' | 'group' | 'membersPage'>;
  readonly ledger: SweepLedger &
    RolloutLedger &
    PolicyFollowingLedger &
    Pick<Ledger, 'audit' | 'acquireLease' | 'renewLease' | 'releaseLease' | 'latchGuard'>;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly policy: Policy;
  /** Tells the activation that the policy is in force by from all others; absent: changes of its rules are not followed. */
  readonly activation?: string;
  readonly log: Log;
  /** Whole sweeps begin this long after the one before began, milliseconds. */
  readonly intervalMs: number;
  /** An invocation stops reading after this, milliseconds; less than the function's time limit. */
  readonly budgetMs: number;
  /** Ready users whom nobody has looked at for this long are hinted at, milliseconds. */
  readonly lookByAgeMs: number;
  /** How many waiting hints go out in a minute. */
  readonly hintsPerMinute: number;
}

/** One invocation at work: its dependencies, its lease, and when it must stop. */
export interface Tick {
  readonly deps: SweepDeps;
  readonly lease: Lease;
  /** By `elapsedMs`. */
  readonly endsAtMs: number;
}

/** A lease outlives a page that Google takes its time for, and the adapter's own retries. */
export const LEASE_MS = 180_000;

/** The event of a sweep that an admin asked for because the directory did shrink; its numbers are then believed. */
export const ACCEPT_SHRUNK = 'accept-shrunk';

/** After so long it is written down how far the sweep is; what came since is read again after a crash. */
export const CHECKPOINT_EVERY_MS = 10_000;

/** Taken like a page token that has expired: the pass begins anew. */
export class SamePageAgain extends Error {
  override readonly name = 'SamePageAgain';
  constructor() {
    super('The directory answered a page with the token of the same page.');
  }
}
