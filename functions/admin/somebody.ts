import type { DirectoryPresence } from '../../shared/domain/directory-user.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { Directory } from '../../shared/ports/directory.ts';

/** Google's are of twenty-one digits. */
const USER_ID = /^\d{1,21}$/;
const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

const isName = (name: string): boolean => USER_ID.test(name) || ADDRESS.test(name);

/** What is added to a refusal where the name is nobody's because it can be nobody's. */
export const howToName = (name: string): string =>
  isName(name)
    ? ''
    : " A user is named by an address, or by the directory's id, which is up to twenty-one digits and nothing else.";

/**
 * Whom an admin means by an id or an address; undefined for who is nowhere. What can be neither the directory is not asked for, and
 * what Google takes for neither is nobody; nothing is concluded from that but the answer to the admin.
 */
export async function somebody(
  directory: Pick<Directory, 'presence' | 'resolve'>,
  name: string,
): Promise<Exclude<DirectoryPresence, { kind: 'absent' }> | undefined> {
  if (!isName(name)) return undefined;
  try {
    const userId = USER_ID.test(name) ? name : await directory.resolve(name.toLowerCase());
    const presence = userId === undefined ? undefined : await directory.presence(userId);
    return presence?.kind === 'absent' ? undefined : presence;
  } catch (error) {
    if (isNoKey(error)) return undefined;
    throw error;
  }
}

function isNoKey(error: unknown): boolean {
  if (!isSealwrightError(error) || error.code !== 'directory-refused') return false;
  const { method, httpStatus } = (error.details ?? {}) as { method?: unknown; httpStatus?: unknown };
  return method === 'directory.users.get' && httpStatus === 400;
}
