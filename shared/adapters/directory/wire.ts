/** What the Directory API sends, read into our words. Nothing here invents a value that Google left out. */
import { domainToASCII } from 'node:url';
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { DirectoryPresence, DirectoryUser } from '../../domain/directory-user.ts';
import { retryable, type SealwrightError } from '../../errors.ts';

/** Fields of a living user; nothing else is asked for, so that nothing else can leak. */
export const USER_FIELDS =
  'id,primaryEmail,aliases,orgUnitPath,suspended,archived,isMailboxSetup,isAdmin,name(givenName,familyName)';
export const USER_PAGE_FIELDS = `nextPageToken,users(${USER_FIELDS})`;
export const DELETED_PAGE_FIELDS = 'nextPageToken,users(id,primaryEmail,deletionTime)';

/**
 * Throws `directory-unavailable` when id, address or org unit is missing: half an answer must not look like somebody
 * who is nowhere.
 *
 * `nonEditableAliases` are left out on purpose. They are addresses Google adds by itself, in domain aliases and in
 * its own `test-google-a.com`; a certificate may only name what the customer's admins gave the user and a validated
 * domain stands behind.
 */
export function toDirectoryUser(user: admin_directory_v1.Schema$User): DirectoryUser {
  const { id, orgUnitPath } = user;
  const primaryEmail = user.primaryEmail ? ourAddress(user.primaryEmail) : undefined;
  if (!id || !primaryEmail || !orgUnitPath) {
    throw incomplete(
      `it described the user "${id ?? primaryEmail ?? '?'}" without id, primaryEmail or orgUnitPath`,
    );
  }
  const aliases = (user.aliases ?? []).map(ourAddress);
  const { givenName, familyName } = user.name ?? {};
  return {
    userId: id,
    primaryEmail,
    aliases: [...new Set(aliases)].filter((alias) => alias !== primaryEmail),
    orgUnitPath,
    suspended: user.suspended === true,
    archived: user.archived === true,
    mailboxReady: user.isMailboxSetup === true,
    ...(user.isAdmin === true ? { superAdmin: true as const } : {}),
    ...(givenName ? { givenName } : {}),
    ...(familyName ? { familyName } : {}),
  };
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
  const at = text.lastIndexOf('@');
  const domain = domainToASCII(text.slice(at + 1));
  return `${text.slice(0, at)}@${domain === '' ? text.slice(at + 1) : domain}`.toLowerCase();
}
