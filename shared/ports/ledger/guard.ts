/**
 * What the guard remembers: how many departed, which scopes are latched, what is held, what was decided. All judgements
 * and decisions take turns under one lock, so that users who are judged at the same moment never pass a limit together.
 */
import type {
  CountedScope,
  DepartureStep,
  FullHeldSet,
  GuardRuling,
  GuardSight,
  HeldSet,
  RecentDepartures,
} from '../../domain/held.ts';
import type { Cause } from '../../domain/hint.ts';
import type { AuditEntry, Lease } from '../ledger.ts';

/** One user's departure, as it comes before the guard. */
export interface ProposedDeparture {
  readonly userId: string;
  readonly primaryEmail: string;
  /** Org unit the user was last seen covered in, lower case; absent where none was recorded. */
  readonly unit?: string;
  readonly steps: readonly DepartureStep[];
  /** Counted over, widest first: `tenant`, then the unit's ancestors, then the unit. */
  readonly scopes: readonly CountedScope[];
  /** Since when departures count, inclusive. */
  readonly since: Date;
}

export interface HeldDecision {
  readonly setId: bigint;
  readonly decision: 'approved' | 'dismissed';
  readonly by: string;
  readonly digest: string;
  /** Approved users are woken this far apart, milliseconds, in the order of their ids. */
  readonly paceMs: number;
}

export interface GuardLedger {
  /**
   * Users who departed since an instant (inclusive), each counted once, and users covered now (state other than
   * `out`). Read from the audit trail: outcome `done` or `adopted` of `revoke-leaf` with detail `departure: true`,
   * and of `delete-identity` and `disable-keypair` without detail `departure: false`; and outcome `intended` of
   * `guard`, which is a departure that was let through and is under way. What carries the detail `heldSet` was
   * approved and does not count.
   */
  departuresSince(since: Date): Promise<RecentDepartures>;
  /**
   * Hands `judge` what is known about this departure and carries out its ruling, with its line of the audit trail, in one
   * transaction; no two judgements overlap. `judge` must be pure. Throws `lease-lost`.
   */
  judgeDeparture(
    lease: Lease,
    departure: ProposedDeparture & { readonly cause: Cause },
    judge: (sight: GuardSight) => GuardRuling,
  ): Promise<GuardRuling & { readonly heldIn?: bigint }>;
  /**
   * The user's plan takes nothing away (any more): an approved departure of which something was carried out is done, any
   * other is withdrawn. Nothing stands: nothing happens.
   */
  concludeDeparture(
    lease: Lease,
    departure: { readonly userId: string; readonly cause: Cause },
  ): Promise<void>;
  /**
   * Latches a scope for another reason than its count, such as a directory that shrank: from here on nobody in it
   * departs until an admin decides on what it holds, which may be nobody. Latched already: the first reason stays.
   */
  latchGuard(latch: {
    readonly scope: CountedScope;
    readonly reason: string;
    readonly cause: Cause;
  }): Promise<'latched' | 'already'>;
  /** Newest first; the open ones, or all of them. `held` counts who waits or, once decided, who was decided on. */
  heldSets(filter: {
    readonly state: 'open' | 'any';
  }): Promise<readonly (HeldSet & { readonly held: number })[]>;
  readHeldSet(setId: bigint): Promise<FullHeldSet | undefined>;
  /**
   * Hands `decide` the set as it is now, everybody else kept out meanwhile, and does what it answers: marks who is
   * held, opens the latch, wakes those users, writes the audit line. `decide` throws to refuse; then nothing is changed.
   * Answers undefined where there is no such set.
   */
  decideHeldSet(
    setId: bigint,
    decide: (set: FullHeldSet) => HeldDecision,
    audit: (set: FullHeldSet) => AuditEntry,
  ): Promise<{ readonly set: HeldSet; readonly userIds: readonly string[] } | undefined>;
}
