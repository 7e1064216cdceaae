/** What the Directory API sends, read into our words. Nothing here invents a value that Google left out. */
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { DirectoryUser } from '../../domain/directory-user.ts';
import { retryable, type SealwrightError } from '../../errors.ts';

/** Fields of a living user; nothing else is asked for, so that nothing else can leak. */
export const USER_FIELDS =
  'id,primaryEmail,aliases,orgUnitPath,suspended,archived,isMailboxSetup,name(givenName,familyName)';
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
  const primaryEmail = user.primaryEmail?.toLowerCase();
  if (!id || !primaryEmail || !orgUnitPath) {
    throw incomplete(
      `it described the user "${id ?? primaryEmail ?? '?'}" without id, primaryEmail or orgUnitPath`,
    );
  }
  const aliases = (user.aliases ?? []).map((alias) => alias.toLowerCase());
  const { givenName, familyName } = user.name ?? {};
  return {
    userId: id,
    primaryEmail,
    aliases: [...new Set(aliases)].filter((alias) => alias !== primaryEmail),
    orgUnitPath,
    suspended: user.suspended === true,
    archived: user.archived === true,
    mailboxReady: user.isMailboxSetup === true,
    ...(givenName ? { givenName } : {}),
    ...(familyName ? { familyName } : {}),
  };
}

/** The directory answered, but not with what it promises. */
export const incomplete = (what: string): SealwrightError =>
  retryable(
    'directory-unavailable',
    `The directory's answer cannot be used: ${what}. Nothing is concluded from it.`,
  );
