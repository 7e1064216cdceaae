/**
 * What the ledger remembers about one user. Instants are `Date`; serials are lower-case hex of the DER INTEGER
 * content (36 digits for ours); digests are lower-case hex; DER is `Uint8Array`.
 *
 * A *user key* is one RSA key pair of a user; its private half exists only wrapped. A *leaf* is one certificate over
 * one user key. A *keypair* is Gmail's record for one leaf. Nothing here is ever rewritten into something else: a
 * leaf gains a revocation, a retirement, a keypair, and keeps all of them.
 */
import type { ImportedCertificate } from './imported-certificate.ts';
import type { RevocationReason } from './revocation-reason.ts';

/** `proven`: the key service opened its own blob and used the key. `unproven`: nobody has seen it open yet. */
export type WrapProof = 'proven' | 'unproven';

/**
 * What a key is for. Gmail takes one key for both, or a signing and an encryption key side by side; the encryption key
 * may be escrowed, a signing key never.
 */
export type KeyPurpose = 'dual-use' | 'signing' | 'encryption';

interface UserKeyFacts {
  readonly keyId: string;
  readonly userId: string;
  readonly purpose: KeyPurpose;
  readonly spkiSha256Hex: string;
  readonly spkiDer: Uint8Array;
  readonly modulusBits: number;
  readonly createdAt: Date;
  /** The re-key wish this key answers, if any. */
  readonly wishId?: string;
}

/** A key whose private half exists only as its key service can open it. */
export interface WrappedKeyRecord extends UserKeyFacts {
  /** Base address of the key service that holds it; becomes `kaclsUri`. */
  readonly keyServiceUrl: string;
  /** Opaque base64 from the key service; becomes `kaclsData`. Never logged. */
  readonly wrappedKey: string;
  readonly proof: WrapProof;
  readonly card?: undefined;
}

/** A key on the user's smart card: nobody wraps it, so there is nothing that could open or fail to. */
export interface CardKeyRecord extends UserKeyFacts {
  /** What Gmail is told of it; becomes the description of `hardwareKeyMetadata`. */
  readonly card: { readonly description: string };
  readonly proof: 'not-applicable';
  readonly keyServiceUrl?: undefined;
  readonly wrappedKey?: undefined;
}

/** A key that Gmail uses. */
export type UserKeyRecord = WrappedKeyRecord | CardKeyRecord;
export type NewUserKey = Omit<WrappedKeyRecord, 'createdAt'> | Omit<CardKeyRecord, 'createdAt'>;

/** A key that lives in a mail client of its own: we know its public half and nothing else. */
export interface DeviceKeyRecord {
  readonly keyId: string;
  readonly userId: string;
  /** What the admin calls the device. */
  readonly device: string;
  readonly spkiSha256Hex: string;
  readonly spkiDer: Uint8Array;
  readonly requestedBy: string;
  readonly createdAt: Date;
  /** Taken back by an admin: it gets no leaf, and one it has is retired. */
  readonly withdrawnAt?: Date;
}

/**
 * Who holds the private key. `key-service`: it is wrapped, or on a smart card, for Gmail. `device`: it is in another mail client; its leaf is
 * never uploaded, never the one a Gmail identity uses, never renewed or re-keyed by us, and revoked when its user departs.
 */
export type KeyHolder = 'key-service' | 'device';

/** `intended`: serial and to-be-signed bytes are committed. `signed`: the certificate is committed too. */
export type LeafState = 'intended' | 'signed';

export interface Revocation {
  readonly reason: RevocationReason;
  readonly revokedAt: Date;
  readonly invalidityDate?: Date;
}

/** A revocation that has been decided and waits for its time (overlap after a re-key). */
export interface Retirement {
  readonly reason: RevocationReason;
  readonly dueAt: Date;
}

export interface LeafRecord {
  readonly serialHex: string;
  readonly issuerId: string;
  readonly userId: string;
  readonly holder: KeyHolder;
  /** Of a `UserKeyRecord`, or for a device of a `DeviceKeyRecord`. */
  readonly keyId: string;
  /** That of its key. */
  readonly purpose: KeyPurpose;
  readonly state: LeafState;
  /** Addresses in the subjectAltName, primary first, lower case. */
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly leafDer?: Uint8Array;
  readonly intendedAt: Date;
  readonly revocation?: Revocation;
  readonly retirement?: Retirement;
}

/** `intended`: Gmail is about to be asked, or its answer was lost. `created`: Gmail told us its id. */
export type KeypairState = 'intended' | 'created';

export interface KeypairRecord {
  /** Of the leaf, or the import id of an imported certificate (`isImportId`); so wherever a pair is named by its serial. */
  readonly serialHex: string;
  readonly userId: string;
  readonly state: KeypairState;
  /** Gmail's id, present once `created`. */
  readonly keypairId?: string;
  /** Present while it is disabled because we disabled it. One disabled by hand has none. */
  readonly disabled?: { readonly at: Date; readonly because: DisableCause };
}

/**
 * What an admin asked to be done to one key pair and what the loop has still to do. `obliterate` appears here only once
 * a second admin has confirmed it.
 */
export interface KeypairRequest {
  readonly requestId: string;
  readonly kind: 'disable' | 'obliterate';
  /** Of the leaf whose pair it is. */
  readonly serialHex: string;
  readonly keypairId: string;
  readonly requestedBy: string;
  /** `obliterate`: the second admin. */
  readonly confirmedBy?: string;
  /** `disable`: why. `obliterate`: the admin's statement that no legal hold exists. */
  readonly reason: string;
}

/** An old key pair that an admin's job moves to another key service and that was not moved yet. */
export interface KeyMove {
  readonly jobId: string;
  /** Of the leaf whose pair it is. */
  readonly serialHex: string;
  readonly fromUrl: string;
  readonly toUrl: string;
  /** Disable the pair under the old service once the new one is there. */
  readonly disableOld: boolean;
  readonly requestedBy: string;
  /** What the new service wrapped already. Never logged. */
  readonly wrappedKey?: string;
}

/** Why we disabled a pair: its user left, its key was reported compromised, an admin asked for it. */
export type DisableCause = 'left' | 'compromised' | 'admin';

/** An admin's wish that a user be re-keyed; stays open until a key made for it is the identity's. */
export interface WishRecord {
  readonly wishId: string;
  readonly userId: string;
  readonly jobId: string;
  readonly reason: RevocationReason;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly invalidityDate?: Date;
  /** The admin wants the pairs that are replaced disabled: what was encrypted to them becomes unreadable in Gmail. */
  readonly disableKeypairs?: boolean;
}

/** `ready | pending | blocked | leaving | out`, design section 5: whatever stops half-way says so here. */
export type UserState = 'ready' | 'pending' | 'blocked' | 'leaving' | 'out';

export interface UserRecord {
  readonly userId: string;
  readonly primaryEmail: string;
  readonly state: UserState;
  /** A sentence: why the user is in this state. */
  readonly reason: string;
  readonly since: Date;
  /** When the user was first seen out of scope, absent while in scope. */
  readonly leftScopeAt?: Date;
  readonly suspendedAt?: Date;
  /** The rule that covers the user, or covered them last: its grace periods apply when they leave. */
  readonly ruleName?: string;
  /** Org unit in which the user was last seen covered, lower case: the guard counts departures by it. */
  readonly unit?: string;
  /** What but a name protected the account at the last look that found it in the directory; absent where nothing did. */
  readonly protectedBy?: readonly string[];
  /** A departure of theirs that the guard holds, or that an admin approved or dismissed. */
  readonly departure?: 'held' | 'approved' | 'dismissed';
  /** Consecutive failures, for the back-off; reset by success or a new wish. */
  readonly failures: number;
  readonly nextAction?: string;
  readonly nextActionAt?: Date;
}

export interface IssuerRecord {
  readonly issuerId: string;
  readonly certificateDer: Uint8Array;
  /** Chain above the issuer, nearest first, root last. */
  readonly chainDer: readonly Uint8Array[];
  /** Full resource name of the pinned version: in Secret Manager, or in Cloud KMS (see `key-version.ts`). */
  readonly keyVersion: string;
  /** Address printed into leaves as CRL distribution point; plain http. */
  readonly crlUrl: string;
  /** Address printed into leaves as caIssuers; plain http. */
  readonly issuerUrl: string;
  /** Address printed into leaves as OCSP responder; plain http. Absent: its leaves name none. */
  readonly ocspUrl?: string;
  /**
   * `prepared`: signs its first CRL, issues nothing yet. `active`: issues. `retiring`: signs CRLs and OCSP answers until its
   * last leaf has ended. `retired`: signs nothing.
   */
  readonly state: 'prepared' | 'active' | 'retiring' | 'retired';
}

/** Everything the ledger knows about one user, as the planner sees it. */
export interface UserLedger {
  readonly user: UserRecord | undefined;
  readonly keys: readonly UserKeyRecord[];
  /** Keys of the user's other mail clients. */
  readonly deviceKeys: readonly DeviceKeyRecord[];
  readonly leaves: readonly LeafRecord[];
  readonly keypairs: readonly KeypairRecord[];
  readonly openWishes: readonly WishRecord[];
  /** Requests about single key pairs that wait to be carried out; absent where there are none. */
  readonly keypairRequests?: readonly KeypairRequest[];
  /** Moves of old pairs to another key service that wait for their turn; absent where there are none. */
  readonly keyMoves?: readonly KeyMove[];
  /** Certificates of old mail whose keys were imported, oldest import first; absent where there are none. */
  readonly imported?: readonly ImportedCertificate[];
  /** What an admin should know and what is not over yet, oldest first. */
  readonly notices: readonly NoticeRecord[];
  /** Whole sweeps that found the user in no list; absent once somebody has seen them again. */
  readonly absence?: Absence;
}

/** What the ledger says of somebody it does not know. */
export const UNKNOWN_USER: UserLedger = {
  user: undefined,
  keys: [],
  deviceKeys: [],
  leaves: [],
  keypairs: [],
  openWishes: [],
  notices: [],
};

/**
 * Something an admin should know about a user that changes nothing by itself: a certificate near its end that could
 * not be renewed or that nobody renews, a key pair that Sealwright did not make. `key` tells one from another and stays the same from look to
 * look; each is told once.
 */
export interface Notice {
  readonly key: string;
  readonly kind: NoticeKind;
  /** A sentence. */
  readonly message: string;
}

export type NoticeKind =
  | 'certificate-expiring'
  | 'device-certificate-expiring'
  | 'card-key-wanted'
  | 'foreign-keypair'
  | 'foreign-identity'
  | 'keypair-disabled';

export interface NoticeRecord extends Notice {
  readonly since: Date;
}

/** What whole sweeps of the directory say of a user who is in none of its lists. */
export interface Absence {
  /** End of the first whole sweep that missed the user. */
  readonly firstMissedAt: Date;
  /** When the last whole sweep that missed the user asked for its first page; before `firstMissedAt` after one sweep. */
  readonly lastMissedAt: Date;
}
