import type { DirectoryPresence, DirectoryUser } from '../domain/directory-user.ts';
import type { ListedUsers } from '../domain/listed-users.ts';
import type { OrgUnit } from '../domain/place.ts';

export interface WatchChannel {
  readonly channelId: string;
  readonly resourceId: string;
  readonly expiresAt: Date;
}

export interface DirectoryGroup {
  /** Stable through every change of address. */
  readonly groupId: string;
  /** Lower case. */
  readonly address: string;
}

/** One page of a list of users, at most 500 of them. Without `nextPageToken` it is the last one. */
export interface Page<Users> {
  readonly users: Users;
  readonly nextPageToken?: string;
}

export type UsersPage = Page<ListedUsers>;

export interface DeletedUser {
  readonly userId: string;
  readonly primaryEmail: string;
}

export interface MembersPage {
  readonly userIds: readonly string[];
  readonly holdsEverybody: boolean;
  /** Absent on the last page. */
  readonly nextPageToken?: string;
}

/**
 * The Workspace directory, read-only. Throws `directory-unavailable` (retryable), `directory-refused` (permanent).
 * https://developers.google.com/workspace/admin/directory/reference/rest/v1/users
 */
export interface Directory {
  /** Looks an id up among the living, then in the list of users deleted in the last 20 days. */
  presence(userId: string): Promise<DirectoryPresence>;
  /**
   * The immutable id that now answers to an address (primary or alias), or of the user deleted under that address;
   * undefined when nobody has it.
   */
  resolve(address: string): Promise<string | undefined>;
  /** Every user in the subtree of an org unit (`/` for everybody), page by page. */
  usersUnder(orgUnitPath: string): AsyncIterable<DirectoryUser>;
  /** The whole tree of org units, the root included; it is whole or an error. Up to a minute old unless `fresh`. */
  orgUnits(options?: { readonly fresh?: boolean }): Promise<readonly OrgUnit[]>;
  /** By id or address; undefined when there is none. */
  group(key: string): Promise<DirectoryGroup | undefined>;
  /** Every group of the tenant, page by page. */
  groups(): AsyncIterable<DirectoryGroup>;
  /** Whether a living user is in a group, directly or through other groups. */
  isMember(groupId: string, userId: string): Promise<boolean | 'no-such-group'>;
  /**
   * Ids of the users in a group, those of the groups in it included, each once, page by page; people of other companies
   * may be among them. Throws `directory-refused` for a group that is gone.
   */
  groupMembers(groupId: string): AsyncIterable<string>;
  /**
   * One page of the members of a group as above, though each may come more than once. `holdsEverybody`: all users of the tenant are in it too. Throws
   * `page-token-expired` (retryable) where the list must be read from its beginning, and `directory-refused` for a group that is gone.
   */
  membersPage(request: { readonly groupId: string; readonly pageToken?: string }): Promise<MembersPage>;
  /**
   * One page of the users in the subtree of an org unit (`/` for everybody), without their names. Throws
   * `page-token-expired` (retryable): the list must be read from its beginning; `not-found` (permanent): there is no such
   * org unit; `directory-unavailable`: among others for a page that is no whole page.
   */
  livingPage(request: { readonly orgUnitPath: string; readonly pageToken?: string }): Promise<UsersPage>;
  /** The same with their names, for those who need each user in full. Throws likewise. */
  fullPage(request: {
    readonly orgUnitPath: string;
    readonly pageToken?: string;
  }): Promise<Page<readonly DirectoryUser[]>>;
  /** One page of the users deleted in the last 20 days. Throws `page-token-expired` as above. */
  deletedPage(request: { readonly pageToken?: string }): Promise<Page<readonly DeletedUser[]>>;
  watch(request: {
    channelId: string;
    token: string;
    address: string;
    event?: string;
    ttlSeconds?: number;
  }): Promise<WatchChannel>;
  stopChannel(channel: { channelId: string; resourceId: string }): Promise<void>;
}
