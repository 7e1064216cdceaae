/**
 * What the guard holds. A *departure* is what a plan would take from one user: revocations, identity deletions,
 * disables. A *scope* is what departures are counted over: the tenant, or an org unit with everything below it. A *held
 * set* is what waits together for one decision.
 */

/** `unit:/staff/sales`: lower case, without a slash at its end. */
export type CountedScope = 'tenant' | `unit:${string}`;

/**
 * `protected`: departures of protected accounts, whatever the count. `again`: departures that an admin dismissed and the
 * facts still ask for, or whose steps changed after they were approved. Neither keeps anybody else from departing.
 */
export type HeldScope = CountedScope | 'protected' | 'again';

/** One step of a departure, as an admin is shown it and as an approval covers it: everything but the prose. */
export interface DepartureStep {
  readonly kind: 'revoke-leaf' | 'delete-identity' | 'disable-keypair';
  /** Serial, address or key pair id. */
  readonly target: string;
  /** Of a revocation, spelled as CRLReason. */
  readonly revocationReason?: string;
}

/**
 * `held` waits; `approved` may be carried out as shown; `dismissed` is not done for a while. The others are history:
 * `done`; `withdrawn` and `unneeded`, before and after the decision the facts no longer asked for it; `changed`, its steps became others and are held anew; `lapsed`,
 * dismissed long ago and held again; `absorbed`, it waits in the set of a wider unit now.
 */
export type HeldState =
  | 'held'
  | 'approved'
  | 'dismissed'
  | 'done'
  | 'withdrawn'
  | 'unneeded'
  | 'changed'
  | 'lapsed'
  | 'absorbed';

export interface HeldDeparture {
  readonly setId: bigint;
  readonly userId: string;
  readonly primaryEmail: string;
  /** Org unit the user was last seen covered in, lower case. */
  readonly unit?: string;
  readonly steps: readonly DepartureStep[];
  readonly heldAt: Date;
  readonly state: HeldState;
  readonly detail?: string;
}

export interface HeldSet {
  readonly setId: bigint;
  readonly scope: HeldScope;
  /** Why it was opened, a sentence. */
  readonly reason: string;
  readonly openedAt: Date;
  readonly state: 'open' | 'absorbed' | 'approved' | 'dismissed';
  /** The set of a wider unit, or of the tenant, in which everybody waits now. */
  readonly absorbedBy?: bigint;
  readonly decided?: {
    readonly by: string;
    readonly at: Date;
    /** Of what was decided on. */
    readonly digest: string;
    /** Under which an approval is followed. */
    readonly jobId?: string;
  };
}

/** Everybody in it, whatever became of them, ordered by user id byte by byte. */
export interface FullHeldSet extends HeldSet {
  readonly departures: readonly HeldDeparture[];
}

export interface RecentDepartures {
  /** Distinct users. Neither approved departures nor those an admin's job confirmed. */
  readonly departures: number;
  /** Users in a state other than `out`. */
  readonly coveredUsers: number;
}

/** What the last hour saw of one scope. */
export interface ScopeCount extends RecentDepartures {
  readonly scope: CountedScope;
  /** Users who departed, and those whom units below it hold. */
  readonly attempted: number;
  /** Units below it that are latched. */
  readonly latchedBelow: number;
}

/** What is known of one departure when it is judged. */
export interface GuardSight {
  /** The user's departure that is held, approved or dismissed, and when its set was decided and by whom. */
  readonly standing?: HeldDeparture & {
    /** Why its set was opened. */
    readonly opening: string;
    readonly decided?: { readonly by: string; readonly at: Date };
  };
  /** Open sets that latch one of the user's scopes, widest first. */
  readonly latches: readonly HeldSet[];
  /**
   * Departures of other users in the last hour, widest scope first. Counted only where no latch is closed and nothing
   * stands for the user; otherwise empty.
   */
  readonly counts: readonly ScopeCount[];
}

/** What the guard decides about one departure, and what the ledger then has to write down. */
export type GuardRuling =
  /** Counts from now on. */
  | { readonly kind: 'let-through'; readonly reason: string }
  /** An admin approved exactly this, or more. */
  | { readonly kind: 'approved'; readonly setId: bigint; readonly by: string }
  /**
   * Joins the open set of `scope`, which is opened with `opening` where there is none; that latches a counted scope, and whoever
   * the units below it hold joins too.
   * `standing` says what becomes of the departure that stood before, where one did.
   */
  | {
      readonly kind: 'held';
      readonly scope: HeldScope;
      readonly opening: string;
      readonly reason: string;
      readonly standing?: 'changed' | 'lapsed';
    }
  /** Held already, but with other steps: it stays in its set, whose digest changes. */
  | { readonly kind: 'held-otherwise'; readonly setId: bigint; readonly reason: string }
  /** Held already, with the same steps: nothing is written. */
  | { readonly kind: 'still-held'; readonly setId: bigint; readonly reason: string }
  | { readonly kind: 'dismissed'; readonly setId: bigint; readonly reason: string; readonly until: Date };

/** Nothing with an effect outside the ledger is begun for anybody while one is in force. */
export interface EmergencyStop {
  readonly reason: string;
  readonly by: string;
  readonly at: Date;
}
