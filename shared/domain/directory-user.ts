/** What a sweep's page tells of a user. */
export interface ListedUser {
  /** Immutable directory id, decimal digits. The ledger keys on it. */
  readonly userId: string;
  /** Lower case. May change; the id does not. */
  readonly primaryEmail: string;
  /** Lower case, without the primary address, in the directory's order. */
  readonly aliases: readonly string[];
  /** Absolute path of the org unit, such as `/Staff/Legal`, as the directory spells it. */
  readonly orgUnitPath: string;
  readonly suspended: boolean;
  readonly archived: boolean;
}

/** Where a user stands in the Workspace directory, in our words. */
export interface DirectoryUser extends ListedUser {
  /** False for minutes after creation, until Gmail has made the mailbox. */
  readonly mailboxReady: boolean;
  /** Present for super admins. */
  readonly superAdmin?: true;
  readonly givenName?: string;
  readonly familyName?: string;
}

/**
 * What the directory says of one user id. `deleted` means found in the directory's own list of deleted users (20
 * days); `absent` means found nowhere, which by itself proves nothing and never deletes anybody.
 */
export type DirectoryPresence =
  | { readonly kind: 'present'; readonly user: DirectoryUser }
  | {
      readonly kind: 'deleted';
      readonly userId: string;
      readonly primaryEmail: string;
      /** Absent when the directory did not say. */
      readonly deletedAt?: Date;
    }
  | { readonly kind: 'absent'; readonly userId: string };
