/**
 * The closed set of things Sealwright can do for a user. A plan is an ordered list of them; each says why.
 *
 * `made` stands for something an earlier step of the same plan makes: serials, key ids and Gmail ids are born when a
 * plan is applied, so that two plans over the same facts compare equal.
 */

import type { NextAction } from './next-action.ts';
import type { DisableCause, KeyPurpose, Notice, NoticeKind, UserState } from './records.ts';
import type { RevocationReason } from './revocation-reason.ts';
import type { LeafSubject } from './subject-template.ts';

export type KeyReference = { readonly keyId: string } | { readonly made: KeyPurpose };
export type LeafReference = { readonly serialHex: string } | { readonly made: KeyPurpose };

/** Which chain a step belongs to. Each chain stops at its own first failure; neither delays the other. */
export type StepChain = 'certificate' | 'gmail';

interface StepBase {
  readonly chain: StepChain;
  /** Why, in a sentence an admin reads. */
  readonly reason: string;
}

/** Makes an RSA key, has it wrapped and proven by the key service, drops the plain key. */
export interface MakeKeyStep extends StepBase {
  readonly kind: 'make-key';
  readonly purpose: KeyPurpose;
  readonly modulusBits: 2048 | 3072 | 4096;
  readonly keyServiceUrl: string;
  /** The key is not made here: an admin has supplied it, wrapped already. */
  readonly supplied?: true;
  readonly wishId?: string;
}

/** Takes the public key of the user's smart card from where an admin put it. */
export interface TakeCardKeyStep extends StepBase {
  readonly kind: 'take-card-key';
  readonly purpose: KeyPurpose;
  readonly wishId?: string;
}

/** Reserves a serial, records the exact bytes, has them signed, records the certificate. */
export interface IssueLeafStep extends StepBase {
  readonly kind: 'issue-leaf';
  readonly purpose: KeyPurpose;
  readonly key: KeyReference;
  readonly addresses: readonly string[];
  readonly validityDays: number;
  /** Absent: the primary address alone. */
  readonly subject?: LeafSubject;
}

/** The same for a key in another mail client; also finishes such an issuance that stopped before its certificate. */
export interface IssueDeviceLeafStep extends StepBase {
  readonly kind: 'issue-device-leaf';
  readonly deviceKeyId: string;
  readonly addresses: readonly string[];
  readonly validityDays: number;
  /** Absent: the primary address alone. */
  readonly subject?: LeafSubject;
}

/** Finishes an issuance that stopped between intent and certificate. */
export interface SignLeafStep extends StepBase {
  readonly kind: 'sign-leaf';
  readonly serialHex: string;
}

/** Decides that a replaced leaf will be revoked, and when. */
export interface RetireLeafStep extends StepBase {
  readonly kind: 'retire-leaf';
  readonly serialHex: string;
  readonly revocationReason: RevocationReason;
  readonly dueAt: Date;
}

export interface RevokeLeafStep extends StepBase {
  readonly kind: 'revoke-leaf';
  readonly serialHex: string;
  readonly revocationReason: RevocationReason;
  readonly invalidityDate?: Date;
  /** Revoking a leaf that is already replaced is no departure and does not count for the guard. */
  readonly departure: boolean;
  /** Somebody who waits for this revocation, and is looked at once it stands. */
  readonly nextHolderId?: string;
}

/** Uploads chain and wrapped key or the card's description, or adopts the pair Gmail already has for this leaf. */
export interface CreateKeypairStep extends StepBase {
  readonly kind: 'create-keypair';
  readonly leaf: LeafReference;
}

/** Enables a pair of ours, whoever disabled it. */
export interface EnableKeypairStep extends StepBase {
  readonly kind: 'enable-keypair';
  readonly serialHex: string;
  readonly keypairId: string;
}

/**
 * Disables a pair of ours: mail that was encrypted to it cannot be read in Gmail while it is disabled, and its 30 days
 * towards obliteration begin.
 */
export interface DisableKeypairStep extends StepBase {
  readonly kind: 'disable-keypair';
  readonly serialHex: string;
  readonly keypairId: string;
  readonly because: DisableCause;
  /** Disabling a pair that is already replaced is no departure and does not count for the guard. */
  readonly departure: boolean;
  /** The admin's request about this one pair, if that is what it answers. */
  readonly requestId?: string;
  /** Why the request cannot be carried out any more; then it is closed and nothing is done. */
  readonly refuse?: string;
}

/**
 * Destroys a pair of ours in Gmail, for ever: nobody can read mail encrypted to it again. Only ever carries out a request
 * that two admins made and that is checked once more at its turn; no rule decides it.
 */
export interface ObliterateKeypairStep extends StepBase {
  readonly kind: 'obliterate-keypair';
  readonly keypairId: string;
  readonly requestId: string;
  /** Why it cannot be carried out any more; then the request is closed and nothing is done. */
  readonly refuse?: string;
}

/**
 * Has the key of an old pair wrapped again by another key service and uploads the same certificate with it, so that mail of
 * its time opens without the old service.
 */
export interface MoveKeypairStep extends StepBase {
  readonly kind: 'move-keypair';
  readonly jobId: string;
  readonly serialHex: string;
  /** Of the pair under the old service. */
  readonly keypairId: string;
  readonly toUrl: string;
  readonly disableOld: boolean;
  /** Why it cannot be moved any more; then the move is closed and nothing is done. */
  readonly refuse?: string;
}

/** Uploads a certificate of old mail with its imported key, or adopts the pair Gmail already has for it. */
export interface ImportKeypairStep extends StepBase {
  readonly kind: 'import-keypair';
  readonly importId: string;
  /** Why it cannot be uploaded any more; then the import is closed and nothing is done. */
  readonly refuse?: string;
}

/** The leaves whose pairs an identity uses. */
export type IdentityLeaves =
  | { readonly kind: 'dual'; readonly leaf: LeafReference }
  | { readonly kind: 'split'; readonly signing: LeafReference; readonly encryption: LeafReference };

/** Creates the identity, or patches it when `replace` says one exists. */
export interface SetIdentityStep extends StepBase {
  readonly kind: 'set-identity';
  readonly address: string;
  readonly leaves: IdentityLeaves;
  readonly replace: boolean;
}

export interface DeleteIdentityStep extends StepBase {
  readonly kind: 'delete-identity';
  readonly address: string;
  /** Deleting the identity of a former address is no departure and does not count for the guard. */
  readonly departure: boolean;
}

/** Closes a re-key wish whose key is in use, or that asked for a revocation that is done where no key is to be made. */
export interface FulfilWishStep extends StepBase {
  readonly kind: 'fulfil-wish';
  readonly wishId: string;
  /** For the job: what came of it, where that is not a new key. */
  readonly detail?: string;
}

/** Closes a re-key wish that can never come true, because the user left. */
export interface FailWishStep extends StepBase {
  readonly kind: 'fail-wish';
  readonly wishId: string;
}

export type Step =
  | MakeKeyStep
  | TakeCardKeyStep
  | IssueLeafStep
  | SignLeafStep
  | IssueDeviceLeafStep
  | RetireLeafStep
  | RevokeLeafStep
  | CreateKeypairStep
  | EnableKeypairStep
  | DisableKeypairStep
  | ObliterateKeypairStep
  | MoveKeypairStep
  | ImportKeypairStep
  | SetIdentityStep
  | DeleteIdentityStep
  | FulfilWishStep
  | FailWishStep;

export type StepKind = Step['kind'];

/** Next action of those whose rule names a unit or group that the directory has no more: activating a policy wakes them. */
export const LOOK_AT_POLICY = 'look-at-policy';

/** What a plan concludes about the user once its steps are done. */
export interface Verdict {
  readonly state: UserState;
  readonly reason: string;
  readonly nextAction?: NextAction;
  readonly nextActionAt?: Date;
  /** Nothing is left to do but to ask Gmail again: counts as a failure for the back-off. */
  readonly waits?: true;
  /** Other users who must be looked at before this one can go on. */
  readonly lookAt?: readonly string[];
}

export interface Plan {
  readonly userId: string;
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
  /** The account is protected, and as what (`a super admin`): its departures wait for a human whatever the limits say. */
  readonly protectedAs?: string;
  /** The rule in force only observes: the plan is recorded and nothing of it is done. */
  readonly observeOnly?: true;
  /** What an admin should know and what the steps do not change; absent where nobody could look. */
  readonly notices?: PlanNotices;
}

/** All notices of these kinds that hold now; kinds that are not named could not be judged. */
export interface PlanNotices {
  readonly kinds: readonly NoticeKind[];
  readonly notices: readonly Notice[];
}
