/**
 * The rows of a ledger in memory. Records are replaced and never changed in place, so that whoever read one keeps what
 * they read. Each function of this folder does one noun's part, as the files of `shared/adapters/ledger` do in SQL.
 */
import { StatementRefused } from '../../../../shared/adapters/ledger/database.ts';
import type { HeldDeparture, HeldSet } from '../../../../shared/domain/held.ts';
import type { Cause } from '../../../../shared/domain/hint.ts';
import type {
  Absence,
  IssuerRecord,
  KeypairRecord,
  NoticeRecord,
  Retirement,
  Revocation,
  UserKeyRecord,
  UserRecord,
  WishRecord,
} from '../../../../shared/domain/records.ts';
import type { Clock } from '../../../../shared/ports/clock.ts';
import type { BlockedKey } from '../../../../shared/ports/ledger/blocked-keys.ts';
import type { IssuerRequest } from '../../../../shared/ports/ledger/issuer-life.ts';
import type { PassedOver } from '../../../../shared/ports/ledger/passed-over.ts';
import type { StoredPolicyActivation } from '../../../../shared/ports/ledger/policy-activations.ts';
import type { PolicyFollowing } from '../../../../shared/ports/ledger/policy-following.ts';
import type { PutOffHint } from '../../../../shared/ports/ledger/put-off-hints.ts';
import type { WaveHint } from '../../../../shared/ports/ledger/rollouts.ts';
import type { SweepRecord } from '../../../../shared/ports/ledger/sweeps.ts';
import type { AuditEntry, CrlRecord, Ledger, StoredLeafIntent } from '../../../../shared/ports/ledger.ts';
import type { StateCell } from '../state.ts';

export interface LeaseRow {
  readonly holder?: string | undefined;
  readonly fence: bigint;
  readonly expiresMs: number;
  readonly lookAgain: boolean;
  readonly asked?: Cause | undefined;
  readonly answers?: readonly Cause[];
}

export interface UserRow extends Omit<UserRecord, 'departure'> {
  readonly sightedAt?: Date;
  readonly addressDigest?: number;
  readonly ruleDigest?: string;
  readonly deletedAt?: Date;
  readonly isArchived?: boolean;
}

export type LeafRow = Omit<StoredLeafIntent, 'tbsDer' | 'spkiDer' | 'revocation' | 'keyBlockedAt'> & {
  readonly tbsDer: Uint8Array;
  readonly intendedAt: Date;
};

/** Without `tbsDer` once it was pruned. */
export interface CrlRow extends CrlRecord {
  readonly tbsDer?: Uint8Array;
  readonly endDer?: Uint8Array;
  readonly publishedAt?: Date;
  /** Everybody whom it is the first to list is in `listed`. */
  readonly isFinished?: true;
}

export interface WishRow extends WishRecord {
  readonly primaryEmail: string;
  readonly state: 'open' | 'fulfilled' | 'failed';
  readonly detail?: string;
}

export interface QueuedHint extends WaveHint {
  readonly rolloutId: bigint;
  readonly waitingSince: Date;
  readonly hintedAt?: Date;
}

export interface Rows {
  readonly leases: Map<string, LeaseRow>;
  readonly users: Map<string, UserRow>;
  readonly dueHints: Map<string, { readonly occasion: Date | bigint; readonly hintedAt: Date }>;
  readonly absences: Map<string, Absence>;
  /** By address and user id, parted by a space. */
  readonly addresses: Map<string, { address: string; userId: string; lastSeen: Date; sighting: number }>;
  readonly keys: Map<string, UserKeyRecord>;
  readonly blocked: Map<string, BlockedKey>;
  readonly leaves: Map<string, LeafRow>;
  readonly leavesOf: Map<string, string[]>;
  readonly revocations: Map<string, Revocation>;
  readonly retirements: Map<string, readonly Retirement[]>;
  readonly keypairs: Map<string, KeypairRecord>;
  /** By user id and key, parted by a space. */
  readonly notices: Map<string, NoticeRecord & { readonly userId: string; readonly isOver: boolean }>;
  readonly jobs: Map<string, readonly string[]>;
  readonly wishes: Map<string, WishRow>;
  readonly issuers: Map<string, IssuerRecord>;
  readonly issuerRecordedAt: Map<string, Date>;
  readonly issuerAddresses: Map<string, Awaited<ReturnType<Ledger['issuerAddresses']>>>;
  readonly issuerRequests: Map<string, IssuerRequest>;
  readonly crls: Map<string, readonly CrlRow[]>;
  /** Revoked leaves that a CRL made after their end has listed. */
  readonly lastEntries: Set<string>;
  /** By serial, the published CRL that was the first seen to list it. */
  readonly listed: Map<string, bigint>;
  readonly channels: Map<
    string,
    Parameters<Ledger['recordChannel']>[0] & { readonly retiredAt?: Date; readonly isHeard?: boolean }
  >;
  readonly audit: (AuditEntry & { readonly id: bigint; readonly at: Date })[];
  readonly heldSets: Map<bigint, HeldSet>;
  readonly departures: (HeldDeparture & { readonly isStanding: boolean })[];
  readonly stops: {
    readonly by: string;
    readonly reason: string;
    readonly at: Date;
    readonly resumed: boolean;
  }[];
  readonly sweeps: Map<bigint, SweepRecord>;
  /** With everybody, packed, as they were at its moment. */
  keptTable?: {
    readonly head: string;
    readonly bytes: Uint8Array;
    readonly users: ReadonlyMap<string, string>;
  };
  readonly seen: Map<bigint, readonly Uint8Array[]>;
  readonly members: Map<bigint, readonly { readonly groupId: string; readonly packed: Uint8Array }[]>;
  readonly rollouts: { readonly rolloutId: bigint; readonly begunAt: Date; readonly isOver: boolean }[];
  readonly queue: Map<string, QueuedHint>;
  readonly activations: StoredPolicyActivation[];
  readonly passedOver: Map<string, PassedOver>;
  readonly putOff: Map<string, PutOffHint>;
  /** Where counters stand. */
  readonly last: { sighting: number; set: bigint; sweep: bigint; putOff: bigint };
  policyFollowing?: PolicyFollowing;
  rolloutSwitch?: { readonly paused: boolean; readonly by: string; readonly at: Date };
}

export const emptyRows = (): Rows => ({
  leases: new Map(),
  users: new Map(),
  dueHints: new Map(),
  absences: new Map(),
  addresses: new Map(),
  keys: new Map(),
  blocked: new Map(),
  leaves: new Map(),
  leavesOf: new Map(),
  revocations: new Map(),
  retirements: new Map(),
  keypairs: new Map(),
  notices: new Map(),
  jobs: new Map(),
  wishes: new Map(),
  issuers: new Map(),
  issuerRecordedAt: new Map(),
  issuerAddresses: new Map(),
  issuerRequests: new Map(),
  crls: new Map(),
  lastEntries: new Set(),
  listed: new Map(),
  channels: new Map(),
  audit: [],
  heldSets: new Map(),
  departures: [],
  stops: [],
  sweeps: new Map(),
  seen: new Map(),
  members: new Map(),
  rollouts: [],
  queue: new Map(),
  activations: [],
  passedOver: new Map(),
  putOff: new Map(),
  last: { sighting: 0, set: 0n, sweep: 0n, putOff: 0n },
});

/** What each part of the ledger works with. `nowMs` is the database's own clock, by which leases run out. */
export interface Memory {
  readonly rows: StateCell<Rows>;
  readonly clock: Clock;
  readonly nowMs: () => number;
  readonly randomId: () => string;
}

/** As a database refuses a statement. */
export function refuseUnless(condition: boolean, constraint: string): void {
  if (!condition)
    throw new StatementRefused(
      '23514',
      constraint,
      `The ledger in memory refuses it, constraint ${constraint}`,
    );
}

/** By code points, as the database orders ids. */
export const byText = (left: string, right: string): number =>
  left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right));

/** The record without fields that are undefined: absent fields are absent in what the ledger answers. */
export function present<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const fields: Partial<T> = {};
  for (const key in record) if (record[key] !== undefined) fields[key] = record[key];
  return fields as { [K in keyof T]: Exclude<T[K], undefined> };
}
