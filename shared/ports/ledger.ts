/**
 * The ledger: our append-mostly account of what was meant and done, in Postgres. Throws `ledger-unavailable`
 * (retryable); `lease-held` and `lease-lost` (retryable).
 *
 * Vocabulary. A *lease* is the right to work on one subject (`user:ID`, `issuer:ID`, `job:NAME`), with an expiry and a fence
 * that only grows. Every write about a user names the lease it is made under and is refused with `lease-lost` in the
 * same transaction when that lease is no longer ours. An *intent* is what will be signed or asked for, committed
 * before it is. What it will not do: decide. Rules live in `shared/plan`.
 */

import type { Cause } from '../domain/hint.ts';
import type { IssuerAddress } from '../domain/issuer-address.ts';
import type { NextAction } from '../domain/next-action.ts';
import type { Recorded } from '../domain/recorded.ts';
import type {
  IssuerRecord,
  KeyHolder,
  LeafRecord,
  NewUserKey,
  Revocation,
  UserLedger,
  UserRecord,
  UserState,
  WishRecord,
  WrapProof,
} from '../domain/records.ts';
import type { RevocationReason } from '../domain/revocation-reason.ts';
import type { AddressClaims } from './ledger/address-claims.ts';
import type { AddressHistory } from './ledger/address-history.ts';
import type { AuditChains } from './ledger/audit-chains.ts';
import type { BlockedKeyRows } from './ledger/blocked-keys.ts';
import type { CardKeyRows } from './ledger/card-keys.ts';
import type { CrlLedger, CrlRecord } from './ledger/crls.ts';
import type { DeviceKeyRows } from './ledger/device-keys.ts';
import type { DueUserLedger } from './ledger/due-users.ts';
import type { ErasureLedger } from './ledger/erasures.ts';
import type { EverybodyLedger } from './ledger/everybody.ts';
import type { GuardLedger } from './ledger/guard.ts';
import type { ImportedKeys } from './ledger/imported-keys.ts';
import type { IssuerAddresses } from './ledger/issuer-addresses.ts';
import type { IssuerLife } from './ledger/issuer-life.ts';
import type { KeyMoves } from './ledger/key-moves.ts';
import type { KeyProofs } from './ledger/key-proofs.ts';
import type { KeypairEnablement } from './ledger/keypair-enablement.ts';
import type { KeypairRequestLedger } from './ledger/keypair-requests.ts';
import type { Notices } from './ledger/notices.ts';
import type { OcspLedger } from './ledger/ocsp.ts';
import type { PaceLedger } from './ledger/paces.ts';
import type { PassedOverLedger } from './ledger/passed-over.ts';
import type { PolicyActivations } from './ledger/policy-activations.ts';
import type { PolicyFollowingLedger } from './ledger/policy-following.ts';
import type { PutOffHintLedger } from './ledger/put-off-hints.ts';
import type { ReportsLedger } from './ledger/reports.ts';
import type { RewrappedKeys } from './ledger/rewrapped-keys.ts';
import type { RolloutLedger } from './ledger/rollouts.ts';
import type { SourceLedger } from './ledger/sources.ts';
import type { StopLedger } from './ledger/stop.ts';
import type { SweepLedger } from './ledger/sweeps.ts';

export type { CrlIntent, CrlRecord, CrlText, StoredCrl } from './ledger/crls.ts';

export interface Lease {
  readonly subject: string;
  readonly holder: string;
  readonly fence: bigint;
  /** Whoever had it before never gave it back: they died, or slept past its end. */
  readonly takenOver?: true;
  /**
   * Whoever asked, through those who had it before, for a look that did not come to its end: each asked to look once more while they
   * held it. Told of until a look has ended.
   */
  readonly unanswered?: readonly Cause[];
}

/** One line of the audit trail. Never carries a key, a token or a wrapped key. */
export interface AuditEntry {
  readonly userId?: string;
  readonly cause: Cause;
  /** Step kind, or the name of what happened (`crl-published`, `hint-ignored`). */
  readonly step: string;
  readonly reason: string;
  readonly outcome: 'intended' | 'done' | 'adopted' | 'already' | 'failed' | 'refused' | 'ignored';
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface LeafIntent {
  readonly serialHex: string;
  readonly issuerId: string;
  readonly userId: string;
  /** Default `key-service`. Says what kind of key `keyId` names. */
  readonly holder?: KeyHolder;
  readonly keyId: string;
  readonly profile: string;
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER of TBSCertificate, the exact bytes that will be signed. */
  readonly tbsDer: Uint8Array;
}

/** What `sign` reads again before it uses the CA key. */
export interface StoredLeafIntent extends LeafIntent {
  readonly tbsDer: Recorded;
  readonly state: 'intended' | 'signed';
  readonly spkiDer: Uint8Array;
  readonly leafDer?: Uint8Array;
  /** Present when the intent was revoked, which is possible from the moment it is recorded. */
  readonly revocation?: Revocation;
  /** Present when the key was revoked for compromise, under whatever serial. */
  readonly keyBlockedAt?: Date;
}

/** Of an issuer's public addresses what tells whether they were ever found right, and if not, why. */
export type KnownAddresses = readonly Pick<IssuerAddress, 'kind' | 'url' | 'verifiedAt' | 'failure'>[];

/** All that `sign` looks at before it signs, as it was at one moment. */
export interface LeafToSign extends StoredLeafIntent {
  readonly issuer: IssuerRecord;
  readonly issuerAddresses: KnownAddresses;
}

/** All that is looked at before a leaf is built, as it was at one moment. */
export interface IssuerToUse {
  readonly issuer: IssuerRecord;
  /** The public one. */
  readonly crl?: CrlRecord;
  readonly issuerAddresses: KnownAddresses;
}

export interface JobProgress {
  readonly jobId: string;
  /** `departures`: an approved held set being carried out. `move-keys`: old key pairs to another key service. */
  readonly kind: 'rekey' | 'departures' | 'move-keys';
  readonly state: 'running' | 'done' | 'failed' | 'paused' | 'cancelled';
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly users: readonly {
    readonly user: string;
    readonly state: 'waiting' | 'done' | 'failed';
    readonly detail: string;
  }[];
}

/** Somebody with a Gmail certificate that is good still. */
export interface LiveHolder {
  readonly userId: string;
  readonly primaryEmail: string;
  /** Org unit in which they were last seen covered, lower case. */
  readonly unit?: string;
}

export interface Ledger
  extends AddressClaims,
    AddressHistory,
    AuditChains,
    BlockedKeyRows,
    CardKeyRows,
    CrlLedger,
    DeviceKeyRows,
    DueUserLedger,
    ErasureLedger,
    EverybodyLedger,
    GuardLedger,
    ImportedKeys,
    IssuerAddresses,
    IssuerLife,
    KeyMoves,
    KeyProofs,
    KeypairEnablement,
    KeypairRequestLedger,
    Notices,
    OcspLedger,
    PaceLedger,
    PassedOverLedger,
    PolicyActivations,
    PutOffHintLedger,
    RewrappedKeys,
    RolloutLedger,
    SourceLedger,
    ReportsLedger,
    PolicyFollowingLedger,
    StopLedger,
    SweepLedger {
  // --- leases -------------------------------------------------------------------------------------------------
  /**
   * Takes the lease on `user:ID` or `issuer:ID`, or answers undefined when somebody else holds it (and, for users, asks
   * them to look once more, for the sake of `cause`).
   */
  acquireLease(subject: string, durationMs: number, cause?: Cause): Promise<Lease | undefined>;
  /** Extends it; throws `lease-lost` when it is no longer ours. */
  renewLease(lease: Lease, durationMs: number): Promise<void>;
  /**
   * Gives it back. `again`: somebody asked while we held it; the lease stays ours and the caller looks once more, for the sake
   * of the last one who asked and said for what.
   */
  releaseLease(lease: Lease): Promise<'released' | { readonly again: Cause | undefined }>;

  // --- users --------------------------------------------------------------------------------------------------
  readUser(userId: string): Promise<UserLedger>;
  /** The user id that has or last had this address. */
  userIdOfAddress(address: string): Promise<string | undefined>;
  /** Everybody who ever had this address, for the key service. */
  userIdsOfAddress(address: string): Promise<readonly string[]>;
  /**
   * Writes what was just seen of a user who is present: address history and row; creates the row when new. Of
   * `leftScopeAt` and `suspendedAt` the first instant is kept until a sighting without one clears it. Ends what sweeps said of
   * the user's absence. Another primary address, other aliases, another form of the rule, and leaving or being suspended or an
   * end of either change what is wished, so that earlier `failures` count no more. `audit` is written with the sighting or not at
   * all. Answers the row as it is now.
   */
  recordSighting(
    lease: Lease,
    sighting: {
      userId: string;
      primaryEmail: string;
      aliases: readonly string[];
      /** Absent while in scope: absence clears it. */
      leftScopeAt?: Date;
      /** Absent while not suspended: absence clears it. */
      suspendedAt?: Date;
      isArchived?: boolean;
      /** The covering rule; absence keeps the last one. */
      ruleName?: string;
      /** Of the form in which the rule covers them; written with `ruleName`. */
      ruleDigest?: string;
      /** The org unit's path while covered; absence keeps the last one. */
      unit?: string;
      /** What but a name protects the account, at least one; absent where nothing does. */
      protectedBy?: readonly string[];
      audit?: AuditEntry;
    },
  ): Promise<UserRecord>;
  /** `audit` is written with the state or not at all. */
  recordState(
    lease: Lease,
    state: {
      userId: string;
      state: UserState;
      reason: string;
      failures: number;
      nextAction?: NextAction;
      nextActionAt?: Date;
      /** The account is gone: whoever comes back and is outside begins a grace period of their own. */
      forgetsLeaving?: boolean;
      /** The account is deleted, or proven to be nowhere: since the first such look, until a sighting. */
      deleted?: boolean;
      audit?: AuditEntry;
    },
  ): Promise<void>;

  // --- keys, leaves, keypairs ---------------------------------------------------------------------------------
  recordKey(lease: Lease, key: NewUserKey): Promise<void>;
  /** Of a wrapped key; one on a smart card has nothing to prove. `audit` is written with the proof or not at all. */
  recordProof(keyId: string, proof: WrapProof, audit?: AuditEntry): Promise<void>;
  /**
   * Commits serial and to-be-signed bytes together. A serial that exists is a `conflict`: draw another. A key that was
   * revoked for compromise is refused with `key-blocked` (permanent).
   */
  recordLeafIntent(lease: Lease, intent: LeafIntent): Promise<void>;
  readLeafIntent(serialHex: string): Promise<StoredLeafIntent | undefined>;
  /** The same with what `sign` has to know besides; called by `sign` alone. */
  readLeafToSign(serialHex: string): Promise<LeafToSign | undefined>;
  /** Called by `sign` alone. The first write wins; writing the same bytes again is done already. */
  recordSignedLeaf(serialHex: string, leafDer: Uint8Array): Promise<void>;
  recordRetirement(
    lease: Lease,
    retirement: { serialHex: string; reason: RevocationReason; dueAt: Date },
  ): Promise<void>;
  /**
   * Never undone; revoking the revoked is done already and keeps the first date and reason. `audit` is written with the
   * revocation or not at all, and only by whoever made it: no revocation without its cause, whatever stops in between.
   */
  recordRevocation(
    lease: Lease,
    revocation: { serialHex: string; reason: RevocationReason; invalidityDate?: Date; audit?: AuditEntry },
  ): Promise<LeafRecord>;
  recordKeypairIntent(lease: Lease, serialHex: string): Promise<void>;
  recordKeypair(lease: Lease, keypair: { serialHex: string; keypairId: string }): Promise<void>;

  // --- wishes and jobs ----------------------------------------------------------------------------------------
  /**
   * Users with a Gmail certificate, signed or intended, that is neither revoked nor over, whatever has become of them; of these ids where
   * any are given. By id.
   */
  liveHolders(userIds?: readonly string[]): Promise<readonly LiveHolder[]>;
  /**
   * One job, one wish per user, in one transaction. Creates rows for users not seen yet, makes all of them due, `paceMs` apart in the
   * order given and the first at once, or when they are due anyway if that is sooner, and asks whoever works on one of them to look
   * again, so that a hint lost after the commit loses nothing.
   */
  recordRekeyJob(job: {
    requestedBy: string;
    reason: RevocationReason;
    invalidityDate?: Date;
    /** Disable the pairs that are replaced. Default false. */
    disableKeypairs?: boolean;
    /** Default 0. */
    paceMs?: number;
    users: readonly { readonly userId: string; readonly primaryEmail: string }[];
  }): Promise<{ readonly jobId: string; readonly wishes: readonly WishRecord[] }>;
  /**
   * Users named since an instant (inclusive), each counted once, by jobs that take something: re-keys because of a compromise or that
   * disable key pairs, moves of keys that disable the old pairs.
   */
  usersTakenFromByJobs(since: Date): Promise<number>;
  /** `detail` is for the job: what came of it, where that is not a new key. */
  fulfilWish(lease: Lease, wishId: string, detail?: string): Promise<void>;
  failWish(lease: Lease, wishId: string, detail: string): Promise<void>;
  readJob(jobId: string): Promise<JobProgress | undefined>;

  // --- issuers ------------------------------------------------------------------------------------------------
  recordIssuer(issuer: IssuerRecord): Promise<void>;
  activeIssuer(): Promise<IssuerRecord | undefined>;
  /** The active one, with what tells whether it may issue now. */
  issuerToUse(): Promise<IssuerToUse | undefined>;
  readIssuer(issuerId: string): Promise<IssuerRecord | undefined>;
  issuers(): Promise<readonly IssuerRecord[]>;

  // --- watch channels -----------------------------------------------------------------------------------------
  recordChannel(channel: {
    channelId: string;
    /** Empty until Google has answered, and where it has refused: there is no such channel then. */
    resourceId: string;
    tokenSha256Hex: string;
    event: string;
    expiresAt: Date;
  }): Promise<void>;
  readChannel(channelId: string): Promise<
    | {
        readonly tokenSha256Hex: string;
        readonly resourceId: string;
        readonly expiresAt: Date;
        /** Since when it is not ours to listen to any more. */
        readonly retiredAt?: Date;
      }
    | undefined
  >;
  /** Those that are not retired, the first to end first. */
  channels(): Promise<
    readonly {
      readonly channelId: string;
      readonly resourceId: string;
      readonly event: string;
      readonly expiresAt: Date;
    }[]
  >;
  /** No longer ours to listen to; the row is kept for a week, so that notifications through it are known. */
  retireChannel(channelId: string): Promise<void>;
  /**
   * A notification came through one of ours that is over. `resourceId` is what the notification named, for a channel whose
   * opening was never answered.
   */
  recordStrayNotification(channelId: string, resourceId: string): Promise<void>;
  /** Channels that are over and were heard of since: Google is to be asked to stop them. */
  strayChannels(): Promise<readonly { readonly channelId: string; readonly resourceId: string }[]>;
  /** It was stopped: nothing more is expected of it. */
  recordChannelStopped(channelId: string): Promise<void>;

  // --- audit -------------------------------------------------------------------------------------------------
  audit(entry: AuditEntry): Promise<void>;
  /** For exports and the status of an admin: every user row, ordered by id. */
  users(filter?: { afterUserId?: string; limit?: number }): Promise<readonly UserLedger[]>;
  close(): Promise<void>;
}
