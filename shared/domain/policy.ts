/**
 * A validated policy; `shared/config/policy.ts` parses it from YAML. Durations are milliseconds, addresses lower case.
 *
 * Vocabulary. A *scope* is the one org unit or the one group that a rule covers. A *pin* is the directory's own id of a
 * unit or group that the file names by path or address; pins are made when a policy is activated and outlive renames. A
 * policy without pins is a draft: it is judged by path and covers nobody by group.
 */

import type { SubjectTemplate } from './subject-template.ts';

/** An org unit: an absolute path such as `/Staff/Legal`, compared without regard to case, segment by segment. */
export interface UnitReference {
  readonly path: string;
  /** The pin, with Google's `id:` in front. */
  readonly orgUnitId?: string;
}

export interface GroupReference {
  readonly address: string;
  /** The pin. */
  readonly groupId?: string;
}

/** A unit and everything below it, or the members of a group, those of the groups in it included. */
export type RuleScope =
  | (UnitReference & { readonly kind: 'org-unit' })
  | (GroupReference & { readonly kind: 'group' });

/** Some people, named by where they are or who they are. */
export interface Selection {
  /** Each with everything below it. */
  readonly orgUnits: readonly UnitReference[];
  readonly groups: readonly GroupReference[];
  /** Addresses (primary or alias) or directory ids. */
  readonly users: readonly string[];
}

/** What happens in Gmail to somebody who departs; what happens to the certificate is fixed by `docs/lifecycle.md`. */
export interface DepartureTerms {
  readonly identity: 'delete' | 'keep';
  /** `disable`: old mail is no longer readable in Gmail until somebody enables the pair again. */
  readonly keypair: 'keep' | 'disable';
}

export interface GracePeriods {
  /** From leaving scope to revocation. */
  readonly leaveMs: number;
  /** From suspension to revocation. */
  readonly suspendMs: number;
  /** From archiving to revocation. */
  readonly archiveMs: number;
  /** From deletion to revocation. */
  readonly deleteMs: number;
  /** From re-key or rename to revocation of the replaced leaf; undefined: never, it runs out by itself. */
  readonly supersededMs: number | undefined;
  /** From deletion until the wrapped keys are due for erasure, which two admins still have to ask for; undefined: they are kept. */
  readonly wrappedKeysMs: number | undefined;
}

/** What holds for those who depart under a rule, and for those whose rule is not known any more. */
export interface DepartureRules {
  readonly grace: GracePeriods;
  readonly onLeave: DepartureTerms;
  readonly onSuspend: DepartureTerms;
  readonly onArchive: DepartureTerms;
}

export interface PolicyRule extends DepartureRules {
  /** The ledger remembers it: somebody who leaves the rule's scope departs by this rule's terms. */
  readonly name: string;
  readonly scope: RuleScope;
  /** Not covered by this rule, although in its scope; a less near rule may still cover them. */
  readonly exclude: Selection;
  /** `split`: one key signs, another encrypts, each with its own certificate and Gmail key pair. */
  readonly profile: 'dual-use' | 'split';
  readonly modulusBits: 2048 | 3072 | 4096;
  readonly validityDays: number;
  /** What certificates say of the person, checked; absent: the address alone. */
  readonly subject?: SubjectTemplate;
  /** How long before notAfter a leaf is renewed at the latest. */
  readonly renewBeforeMs: number;
  /** Renewals begin up to this much earlier, drawn per leaf, so that those who joined together do not renew together. */
  readonly renewSpreadMs: number;
  /** Whether a renewal makes a new key or certifies the old one again. A re-key always makes a new one. */
  readonly renewKey: 'new' | 'same';
  /**
   * Where keys come from: made here and wrapped at once (default), supplied by an admin, wrapped already, or made on the
   * user's smart card, which they never leave.
   */
  readonly keySource?: 'made' | 'supplied' | 'smart-card';
  /** Base address of the key service that wraps this rule's keys; absent exactly where they are on smart cards. */
  readonly keyServiceUrl?: string;
  /** Whether aliases are named in certificates, and whether a change of them issues one at once. */
  readonly aliases: 'no' | 'next' | 'at-once';
  /** Plans are made and recorded; nothing is done. */
  readonly observeOnly: boolean;
}

/** Accounts whose departures wait for a human, whatever the guard's limits say. */
export interface ProtectedAccounts extends Selection {
  readonly superAdmins: boolean;
}

export interface Policy {
  /** In the order of the file. */
  readonly rules: readonly PolicyRule[];
  /** For users that no rule covers any more and whose last rule is gone from the file. */
  readonly defaults: DepartureRules;
  readonly protected: ProtectedAccounts;
  readonly guard: {
    readonly minimumPerHour: number;
    readonly shareOfCovered: number;
    readonly maximumPerHour: number;
  };
}
