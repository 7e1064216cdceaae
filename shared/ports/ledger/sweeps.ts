/**
 * The ledger's part in sweeps of the directory (`shared/sources/sweep`). Every write is made under the lease of
 * `job:sweep`, so that two sweeps cannot write, whatever stopped or paused either of them.
 */
import type { Absence, UserState } from '../../domain/records.ts';
import type { Lease } from '../ledger.ts';

/** The subject whose lease a sweep works under. */
export const SWEEP_SUBJECT = 'job:sweep';

/** Everybody. Any other scope is the path of an org unit, whose subtree is meant. */
export const EVERYBODY = '/';

/** `living` and `deleted`: which list is being read; `close`: both are read, what they say is about to be concluded. */
export type SweepPhase = 'living' | 'deleted' | 'close';

/** Of the pass, not of the invocation. */
export interface SweepCounts {
  readonly pages: number;
  readonly living: number;
  readonly deleted: number;
  /** Users that were found to differ and did not wait for a wave already, each pass counted anew. */
  readonly differing: number;
}

/** How far a pass has come. */
export interface SweepProgress extends SweepCounts {
  readonly phase: SweepPhase;
  /** Of the next page; absent for the first one of a phase. */
  readonly pageToken?: string;
  /** Names of the rules that cover somebody among the users read in this pass; absent where that is not known. */
  readonly covering?: readonly string[] | undefined;
}

/** How far the members of a group of the policy's are read for a sweep. */
export interface GroupReading {
  readonly groupId: string;
  /** Of the next page; absent once all pages are read. */
  readonly pageToken?: string;
  /** All users of the tenant are in it. */
  readonly holdsEverybody: boolean;
  /** So many were read. */
  readonly members: number;
}

export interface SweepRecord extends SweepProgress {
  /** Groups whose members take more than seconds to read; absent where there are none. */
  readonly groups?: readonly GroupReading[];
  readonly sweepId: bigint;
  readonly scope: string;
  readonly state: 'waiting' | 'running' | 'whole' | 'not-whole';
  /** Who or what asked: for the cause of its hints. */
  readonly cause: { readonly eventId: string; readonly event: string };
  readonly requestedAt: Date;
  readonly startedAt?: Date;
  readonly endedAt?: Date;
  /** When the pass under way asked for its first page. */
  readonly passAt?: Date;
  readonly passes: number;
  /** Users hinted at because nobody had looked for long. */
  readonly sampled: number;
  /** Users of ours in neither list; present once the sweep is whole. */
  readonly missing?: number;
  /** Invocations in a row that could not read on. */
  readonly failures: number;
  /** Why it is not whole, or why it does not go on at present. */
  readonly why?: string;
}

/** What the comparison reads of a user. */
export interface SweptUser {
  readonly userId: string;
  readonly state: UserState;
  readonly hasLeftScope: boolean;
  readonly isSuspended: boolean;
  /** A look has found the account deleted, and nobody has seen it since. */
  readonly isDeleted: boolean;
  /** At the last look that found the account. */
  readonly isArchived: boolean;
  /** The last look found a rule that only observes. */
  readonly isObserved: boolean;
  readonly ruleName?: string;
  /** Of the addresses last seen; absent for rows from before digests were kept. */
  readonly addressDigest?: number;
}

/** Somebody in no list, as the ledger has them before that is written down. */
export interface UnseenUser {
  readonly userId: string;
  /** A look has found the account deleted, or in no list by proof, and nobody has seen it since. */
  readonly isDeleted: boolean;
  /** What sweeps before said. */
  readonly absence?: Absence;
}

/** Everybody as the ledger had them at one moment, whoever writes meanwhile. */
export interface SweptMoment {
  /** For `keepTable`. */
  readonly name: string;
  /** About how many users there are, from what the database remembers; 0 where it remembers nothing. */
  estimateUsers(): Promise<number>;
  /** Everybody, packed for speed: one record after the other as `PackedUsers` (packed-users.ts) reads them. */
  packedUsers(take: TakePart): Promise<void>;
  /**
   * What `keepTable` was last given, and how many writes since may have changed what a sweep compares, counted up to
   * `MOST_WRITES`. Undefined where nothing was.
   */
  keptTable(): Promise<{ readonly head: string; readonly writes: number } | undefined>;
  /** Its bytes, from the first to the last. */
  keptBytes(take: TakePart): Promise<void>;
  /** Whoever was written since: how many they are, and, packed, those of them who are still there. */
  changedUsers(): Promise<{ readonly users: number; readonly packed: readonly Uint8Array[] }>;
}

/** Is given one part after the other, as they come, each of which is good until this returns. */
export type TakePart = (part: Uint8Array) => void;

export const MOST_WRITES = 100_000;

export interface SweepLedger {
  /** Asks for a sweep; one that waits for the same scope already is enough. */
  requestSweep(request: {
    scope: string;
    cause: { readonly eventId: string; readonly event: string };
  }): Promise<void>;
  /** The sweep under way, else the oldest one waiting, which is thereby begun. */
  takeUpSweep(lease: Lease): Promise<SweepRecord | undefined>;
  /** Another pass from the first page on: what the pass before has seen is forgotten. */
  beginPass(lease: Lease, sweepId: bigint): Promise<SweepRecord>;
  /** Progress and, packed in twelve bytes each, the users seen since the last one (`packed-id.ts`, little-endian), together; ends a row of failures. */
  recordSweepProgress(
    lease: Lease,
    sweepId: bigint,
    progress: SweepProgress & { readonly seen: Uint8Array },
  ): Promise<void>;
  /** How far a group is read by now, and the members read since that was last written down, packed likewise; ends a row of failures. */
  recordGroupReading(
    lease: Lease,
    sweepId: bigint,
    reading: GroupReading,
    members: Uint8Array,
  ): Promise<void>;
  /** The members of groups that were written down for the pass under way. */
  membersOfSweep(sweepId: bigint): AsyncIterable<{ readonly groupId: string; readonly packed: Uint8Array }>;
  /** It could not read on; it stays under way. Answers how often in a row. */
  recordSweepFailure(lease: Lease, sweepId: bigint, why: string): Promise<number>;
  /** Whom the pass under way has seen, in the pieces that were written down. */
  seenBySweep(sweepId: bigint): AsyncIterable<Uint8Array>;
  /**
   * Ends it, with `counts` where they went on since progress was last recorded. `whole`, and of everybody: the absences are
   * then exactly `missing`, of whom the ones missed before keep their first instant. Any other end leaves the absences as
   * they are.
   */
  endSweep(
    lease: Lease,
    sweepId: bigint,
    end: (
      | { readonly state: 'whole'; readonly missing: readonly string[]; readonly sampled: number }
      | { readonly state: 'not-whole'; readonly why: string }
    ) & { readonly counts?: SweepCounts },
  ): Promise<SweepRecord>;
  /** For the status: the one under way, those waiting, and of everybody the last whole one and the last that ended. */
  sweepOverview(): Promise<{
    readonly running?: SweepRecord;
    readonly waiting: readonly SweepRecord[];
    readonly lastWhole?: SweepRecord;
    readonly lastEnded?: SweepRecord;
  }>;

  /** Runs `read` on everybody as they are now. Inside it no other method may be called. */
  atOneMoment<T>(read: (moment: SweptMoment) => Promise<T>): Promise<T>;
  /**
   * Keeps what was made of everybody as they were at the moment of that name, in place of what was kept before. From then on `changedUsers`
   * has whoever was written since that moment. Under one lease the moments of what is kept follow each other.
   */
  keepTable(
    lease: Lease,
    moment: string,
    table: { readonly head: string; readonly bytes: Uint8Array },
  ): Promise<void>;
  /** The users among these ids that the ledger knows. */
  sweptUsers(userIds: readonly string[]): Promise<ReadonlyMap<string, SweptUser>>;
  /**
   * Of these ids those whose absence may be written down: not `out`, and nobody has sighted them since the instant.
   * A user who came while the sweep ran was not missing.
   */
  unseenSince(userIds: readonly string[], since: Date): Promise<readonly UnseenUser[]>;
  /**
   * Ready users whom nobody has sighted since the instant and for whom no hint waits, longest ago first. Not those whose account is
   * known to be gone, which nobody will sight.
   */
  readyUsersNotSightedSince(since: Date, limit: number): Promise<readonly string[]>;
}
