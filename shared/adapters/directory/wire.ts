/** What the Directory API sends, read into our words. Nothing here invents a value that Google left out. */
import { domainToASCII } from 'node:url';
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { DirectoryPresence, DirectoryUser, ListedUser } from '../../domain/directory-user.ts';
import { listUsers } from '../../domain/listed-users.ts';
import { retryable, type SealwrightError } from '../../errors.ts';
import type { DeletedUser, MembersPage, Page, UsersPage } from '../../ports/directory.ts';

/** Fields of a living user; nothing else is asked for, so that nothing else can leak. */
export const USER_FIELDS =
  'id,primaryEmail,aliases,orgUnitPath,suspended,archived,isMailboxSetup,isAdmin,name(givenName,familyName)';
export const USER_PAGE_FIELDS = `nextPageToken,users(${USER_FIELDS})`;
/** What the sweep compares and no more: names would make its pages a third longer, and whether there is a mailbox a seventh. */
export const SWEEP_PAGE_FIELDS =
  'nextPageToken,users(id,primaryEmail,aliases,orgUnitPath,suspended,archived)';
export const DELETED_PAGE_FIELDS = 'nextPageToken,users(id,primaryEmail,deletionTime)';

/** A user of whom `USER_FIELDS` were asked for. Throws as `toListedUser`. */
export function toDirectoryUser(user: admin_directory_v1.Schema$User): DirectoryUser {
  const { givenName, familyName } = user.name ?? {};
  return {
    ...toListedUser(user),
    mailboxReady: user.isMailboxSetup === true,
    ...(user.isAdmin === true ? { superAdmin: true as const } : {}),
    ...(givenName ? { givenName } : {}),
    ...(familyName ? { familyName } : {}),
  };
}

/**
 * What a page of the sweep tells of a user. Throws `directory-unavailable` when id, address or org unit is missing: half an
 * answer must not look like somebody who is nowhere.
 *
 * `nonEditableAliases` are left out on purpose. They are addresses Google adds by itself, in domain aliases and in
 * its own `test-google-a.com`; a certificate may only name what the customer's admins gave the user and a validated
 * domain stands behind.
 */
export function toListedUser(user: admin_directory_v1.Schema$User): ListedUser {
  const { id, orgUnitPath } = user;
  const primaryEmail = user.primaryEmail ? ourAddress(user.primaryEmail) : undefined;
  if (!id || !primaryEmail || !orgUnitPath) {
    throw incomplete(
      `it described the user "${id ?? primaryEmail ?? '?'}" without id, primaryEmail or orgUnitPath`,
    );
  }
  return {
    userId: id,
    primaryEmail,
    aliases: aliasesOf(user.aliases, primaryEmail),
    orgUnitPath,
    suspended: user.suspended === true,
    archived: user.archived === true,
  };
}

const NO_ALIASES: readonly string[] = [];

function aliasesOf(aliases: readonly string[] | null | undefined, primaryEmail: string): readonly string[] {
  if (!aliases || aliases.length === 0) return NO_ALIASES;
  return [...new Set(aliases.map(ourAddress))].filter((alias) => alias !== primaryEmail);
}

/** A page of living users as the API answers a sweep. Throws `directory-unavailable` for what is no whole page. */
export function toUsersPage(page: admin_directory_v1.Schema$Users): UsersPage {
  const { users, nextPageToken } = wholePage(page);
  return {
    users: listUsers(users.map(toListedUser)),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
  };
}

/** A page of living users in full. Throws likewise. */
export function toFullPage(page: admin_directory_v1.Schema$Users): Page<readonly DirectoryUser[]> {
  const { users, nextPageToken } = wholePage(page);
  return { users: users.map(toDirectoryUser), ...(nextPageToken === undefined ? {} : { nextPageToken }) };
}

/** The same for deleted users, of whom the list tells less. */
export function toDeletedPage(page: admin_directory_v1.Schema$Users): Page<readonly DeletedUser[]> {
  const { users, nextPageToken } = wholePage(page);
  return {
    users: users.map(({ id, primaryEmail }) => {
      if (!id) throw incomplete('it listed a deleted user without an id');
      return { userId: id, primaryEmail: ourAddress(primaryEmail ?? '') };
    }),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
  };
}

/** A page of a group's members as the API answers it. Throws `directory-unavailable` for what is no whole page. */
export function toMembersPage(
  groupId: string,
  { members, nextPageToken }: admin_directory_v1.Schema$Members,
): MembersPage {
  if (!Array.isArray(members) && nextPageToken)
    throw incomplete('a page of members that is not the last one holds no members');
  return { ...membersAmong(groupId, members ?? []), ...(nextPageToken ? { nextPageToken } : {}) };
}

/** Users, and whether everybody is meant; groups and whatever else is listed are left out. */
export function membersAmong(
  groupId: string,
  members: readonly admin_directory_v1.Schema$Member[],
): Pick<MembersPage, 'userIds' | 'holdsEverybody'> {
  const users = members.filter(({ type }) => type === 'USER');
  return {
    userIds: users.map(({ id }) => {
      if (!id) throw incomplete(`it described a member of the group ${groupId} without an id`);
      return id;
    }),
    holdsEverybody: members.some(({ type }) => type === 'CUSTOMER'),
  };
}

/** A page that says it has a successor holds users; anything else is an error and not the end of the list. */
function wholePage(page: admin_directory_v1.Schema$Users | null): {
  readonly users: readonly admin_directory_v1.Schema$User[];
  readonly nextPageToken: string | undefined;
} {
  if (page === null || typeof page !== 'object') throw incomplete('a page of users is no JSON object');
  const nextPageToken = page.nextPageToken || undefined;
  if (nextPageToken !== undefined && (!Array.isArray(page.users) || page.users.length === 0))
    throw incomplete('a page of users that is not the last one holds no users');
  return { users: page.users ?? [], nextPageToken };
}

/** A user as the deleted list has them; a date that cannot be read is left out. */
export function toDeleted(userId: string, user: admin_directory_v1.Schema$User): DirectoryPresence {
  const deletedAt = new Date(user.deletionTime ?? Number.NaN);
  return {
    kind: 'deleted',
    userId,
    primaryEmail: ourAddress(user.primaryEmail ?? ''),
    ...(Number.isNaN(deletedAt.getTime()) ? {} : { deletedAt }),
  };
}

/** The directory answered, but not with what it promises. */
export const incomplete = (what: string): SealwrightError =>
  retryable(
    'directory-unavailable',
    `The directory's answer cannot be used: ${what}. Nothing is concluded from it.`,
  );

/**
 * Lower case, an internationalised domain as A-labels: the one form in which addresses are compared and printed into
 * certificates, whichever of the two the directory answers with.
 */
export function ourAddress(text: string): string {
  if (isOurs(text)) return text;
  const at = text.lastIndexOf('@');
  const domain = domainToASCII(text.slice(at + 1));
  return `${text.slice(0, at)}@${domain === '' ? text.slice(at + 1) : domain}`.toLowerCase();
}

/**
 * True when `ourAddress` would answer the very text: lower-case ASCII without anything a URL parser would touch. The last
 * character must be a letter, because a domain that ends in a number is read as an IP address.
 */
function isOurs(text: string): boolean {
  if (!isOurLastCode(text.charCodeAt(text.length - 1))) return false;
  for (let index = 0; index < text.length - 1; index += 1)
    if (!isOurCode(text.charCodeAt(index))) return false;
  return true;
}

const isOurLastCode = (code: number): boolean => code >= LOWER_A && code <= LOWER_Z;

/**
 * Lower-case letters, digits, and - . @ _ , of which addresses of this company or that are made. Looked up and not compared,
 * because a processor cannot foresee what the next character of an address is.
 */
const isOurCode = (code: number): boolean => OUR_CODES[code] === 1;

const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
const OUR_CODES = new Uint8Array(256);
for (const character of 'abcdefghijklmnopqrstuvwxyz0123456789-.@_') OUR_CODES[character.charCodeAt(0)] = 1;
