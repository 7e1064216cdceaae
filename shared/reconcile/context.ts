/**
 * Vocabulary of the loop. *Observe* gathers facts, *plan* and *guard* judge them (`shared/plan`, pure), *apply*
 * performs the steps one at a time under the user's lease. A plan is never stored: after any interruption the next
 * delivery observes and plans again. What this room will not do: decide anything by itself.
 */
import type { Cause } from '../domain/hint.ts';
import type { Policy } from '../domain/policy.ts';
import type { KeyPurpose } from '../domain/records.ts';
import type { GenerateKey } from '../pki/key.ts';
import type { RandomBytes } from '../pki/serial.ts';
import type { Facts } from '../plan/facts.ts';
import type { Bus } from '../ports/bus.ts';
import type { CardKeys } from '../ports/card-keys.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { Gmail } from '../ports/gmail.ts';
import type { KeyRewrapping } from '../ports/key-rewrapping.ts';
import type { KeyService } from '../ports/key-service.ts';
import type { Lease, Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import type { Signing } from '../ports/signing.ts';
import type { SuppliedKeys } from '../ports/supplied-keys.ts';

export interface ReconcileDeps {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly directory: Directory;
  readonly gmail: Gmail;
  readonly keyService: KeyService;
  /** Moves old key pairs to another key service of ours. */
  readonly keyRewrapping: KeyRewrapping;
  /** Absent where no folder of wrapped keys is configured. */
  readonly suppliedKeys?: SuppliedKeys;
  /** Absent where no folder is configured. */
  readonly cardKeys?: CardKeys;
  readonly signing: Signing;
  readonly bus: Bus;
  readonly log: Log;
  readonly policy: Policy;
  readonly generateKey: GenerateKey;
  /** A CSPRNG; draws serials. */
  readonly random: RandomBytes;
  /** How long a lease lasts without a heartbeat, milliseconds. Default 60,000. */
  readonly leaseMs: number;
}

/** What one plan's steps share while it is applied. */
export interface StepContext {
  readonly deps: ReconcileDeps;
  readonly lease: Lease;
  readonly cause: Cause;
  readonly facts: Facts;
  /** The user's primary address: the mailbox whose settings are changed, and the subject of the delegated token. */
  readonly mailbox: string;
  readonly made: Made;
  /** A sentence for each step that is done, or may be, and has no line; the trail is owed them. */
  readonly untold: string[];
  /** The guard has let through what the plan takes away. False where it could not be asked; nothing departs then. */
  readonly isJudged: boolean;
  /** The held set under which an admin approved this user's departure; every line of the audit trail says so. */
  readonly approval?: { readonly setId: bigint; readonly by: string };
}

/** What earlier steps of this plan made; `made` references resolve here. */
export interface Made {
  readonly keyIds: Map<KeyPurpose, string>;
  /** SubjectPublicKeyInfo of those keys, DER, by key id. */
  readonly spkiDers: Map<string, Uint8Array>;
  /** The private halves of keys made here, as Gmail is given them, by key id. */
  readonly privateKeys: Map<string, UploadedKey>;
  readonly serials: Map<KeyPurpose, string>;
  /** Leaves issued here over such keys, by serial: nobody can have uploaded one before, and nothing of it needs to be read again. */
  readonly uploads: Map<string, Upload>;
  /** Serials signed by this plan, whatever for. */
  readonly signed: Set<string>;
  /** Gmail's ids of the pairs created, by serial. */
  readonly keypairIds: Map<string, string>;
}

export type UploadedKey = Parameters<Gmail['createKeypair']>[1]['privateKey'];

/** What of a leaf goes up to Gmail. */
export interface Upload {
  readonly leafDer: Uint8Array;
  /** The certificates above it, its issuer's first. */
  readonly chainDer: readonly Uint8Array[];
  readonly privateKey: UploadedKey;
}

export const nothingMade = (): Made => ({
  keyIds: new Map(),
  spkiDers: new Map(),
  privateKeys: new Map(),
  serials: new Map(),
  uploads: new Map(),
  signed: new Set(),
  keypairIds: new Map(),
});

/** How a step ended well. `adopted`: found done by somebody else or by an attempt whose answer was lost. */
export interface StepOutcome {
  readonly outcome: 'done' | 'adopted' | 'already';
  /** The step wrote its line of the audit trail itself, together with its effect. */
  readonly audited?: true;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}
