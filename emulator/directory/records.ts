/**
 * Vocabulary of the Directory room, as it is kept in the state: a *user* holds one immutable id, one primary address
 * and any number of aliases; an *org unit* knows its parent by id, and a user knows its unit by id, so that renaming
 * or moving a unit changes everybody's path without touching anybody; a *channel* is one `users.watch` subscription.
 * A *group* holds members by their ids: users, other groups, people of other companies, or everybody.
 * The room does not do aliases of groups by hand, group settings, custom schemas, photos, guests or sign-out.
 */

/** One account. Addresses are lower case; instants are RFC 3339 text or milliseconds since 1970. */
export interface UserRecord {
  /** 21 decimal digits, never used twice. */
  readonly id: string;
  primaryEmail: string;
  aliases: string[];
  name: { givenName: string; familyName: string; displayName?: string };
  orgUnitId: string;
  suspended: boolean;
  /** `ADMIN` when an admin did it; kept only while suspended. */
  suspensionReason?: string;
  archived: boolean;
  isAdmin: boolean;
  changePasswordAtNextLogin: boolean;
  includeInGlobalAddressList: boolean;
  ipWhitelisted: boolean;
  creationTime: string;
  mailboxReadyAtMs: number;
  /** Fields the room only keeps and gives back (`phones`, `organizations`, `recoveryEmail`, …). */
  profile: Record<string, unknown>;
}

/** A user deleted less than 20 days ago. */
export interface DeletedRecord {
  readonly user: UserRecord;
  readonly deletedAtMs: number;
}

export interface OrgUnitRecord {
  /** `id:` and an opaque rest. */
  readonly id: string;
  /** Empty for the root only. */
  name: string;
  description: string;
  /** Undefined for the root only. */
  parentId?: string;
}

export interface MemberRecord {
  /** Of the user or group; the customer's for everybody; made up for somebody of another company. */
  readonly id: string;
  readonly type: 'USER' | 'GROUP' | 'EXTERNAL' | 'CUSTOMER';
  /** Of somebody of another company only. */
  readonly email?: string;
  role: string;
  deliverySettings: string;
}

export interface GroupRecord {
  /** Opaque, never used twice. */
  readonly id: string;
  email: string;
  /** Former addresses. */
  aliases: string[];
  name: string;
  description: string;
  readonly adminCreated: boolean;
  /** By the member's id. */
  readonly members: Record<string, MemberRecord>;
}

export interface ChannelRecord {
  readonly id: string;
  readonly address: string;
  readonly token?: string;
  readonly resourceId: string;
  readonly resourceUri: string;
  readonly expirationMs: number;
  /** Only users of this domain; undefined for the whole customer. */
  readonly domain?: string;
  /** Only this event; undefined for all of them. */
  readonly event?: string;
  /** Who opened it, and so who may stop it. */
  readonly owner: string;
  lastMessageNumber: number;
}

export interface DirectoryState {
  readonly users: Record<string, UserRecord>;
  readonly deleted: Record<string, DeletedRecord>;
  readonly orgUnits: Record<string, OrgUnitRecord>;
  readonly groups: Record<string, GroupRecord>;
  readonly channels: Record<string, ChannelRecord>;
  /** Base64 key that page tokens are signed with, so that nobody can make one up. */
  readonly pageTokenKey: string;
}
