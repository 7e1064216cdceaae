/**
 * The living users of one page of a list, in six words each: what a sweep compares of them, without an object or a string
 * for anybody. Words 0 to 2 are the id (`packed-id.ts`), then `DIGEST`, `PATH`, `MARKS`.
 */
import { addressDigest } from './address-digest.ts';
import type { ListedUser } from './directory-user.ts';
import { isHashed, packIdText, unpackedId } from './packed-id.ts';

export const LISTED_WORDS = 6;
/** `addressDigest` of the user's addresses. */
export const DIGEST = 3;
/** Number of the org unit's path among `paths`. */
export const PATH = 4;
export const MARKS = 5;

export const SUSPENDED_MARK = 1;
export const ARCHIVED_MARK = 2;
/** There is an alias, and with the other mark there are more. */
export const ALIAS_MARK = 4;
export const MORE_ALIASES_MARK = 8;

/**
 * `DIGEST` is of all addresses together and says nothing of any one of them. Of whoever has one alias the upper bits of `MARKS` do: bits 18 to
 * 31 are the highest of the alias's own digest, and bits 4 to 17 those of the primary address's.
 */
export const ADDRESS_BITS = 14;
export const bitsOfDigest = (digest: number): number => digest >>> 18;
export const bitsOfAddress = (address: string): number => bitsOfDigest(addressDigest(address, []));
export const bitsOfAlias = (marks: number): number => marks >>> 18;
export const bitsOfPrimary = (marks: number): number => (marks >>> 4) & 0x3fff;

export class ListedUsers {
  readonly length: number;
  readonly words: Int32Array;
  /** By number. Pages of one directory may share them; then numbers are only ever added. */
  readonly paths: readonly string[];
  readonly #read: (position: number) => ListedUser;

  /** `read` answers the user at a position, with all that the page tells. */
  constructor(words: Int32Array, paths: readonly string[], read: (position: number) => ListedUser) {
    this.length = words.length / LISTED_WORDS;
    this.words = words;
    this.paths = paths;
    this.#read = read;
  }

  userAt(position: number): ListedUser {
    return this.#read(position);
  }

  userIdAt(position: number): string {
    const at = position * LISTED_WORDS;
    return (isHashed(this.words, at) ? undefined : unpackedId(this.words, at)) ?? this.#read(position).userId;
  }

  slice(start: number, end: number): ListedUsers {
    return new ListedUsers(
      this.words.slice(start * LISTED_WORDS, end * LISTED_WORDS),
      this.paths,
      (position) => this.#read(start + position),
    );
  }
}

/** The same users in that form. */
export function listUsers(users: readonly ListedUser[]): ListedUsers {
  const words = new Int32Array(users.length * LISTED_WORDS);
  const paths: string[] = [];
  const numbers = new Map<string, number>();
  for (const [position, user] of users.entries()) {
    let path = numbers.get(user.orgUnitPath);
    if (path === undefined) {
      path = paths.push(user.orgUnitPath) - 1;
      numbers.set(user.orgUnitPath, path);
    }
    writeUser(words, position * LISTED_WORDS, user, path);
  }
  return new ListedUsers(words, paths, (position) => {
    const user = users[position];
    if (user === undefined) throw new Error(`bug: nobody is listed at ${position}`);
    return user;
  });
}

export function writeUser(words: Int32Array, at: number, user: ListedUser, path: number): void {
  packIdText(user.userId, words, at);
  words[at + DIGEST] = addressDigest(user.primaryEmail, user.aliases);
  words[at + PATH] = path;
  words[at + MARKS] =
    (user.suspended ? SUSPENDED_MARK : 0) | (user.archived ? ARCHIVED_MARK : 0) | aliasMarks(user);
}

function aliasMarks({ primaryEmail, aliases }: ListedUser): number {
  const [alias] = aliases;
  if (alias === undefined) return 0;
  if (aliases.length > 1) return ALIAS_MARK | MORE_ALIASES_MARK;
  return ALIAS_MARK | (bitsOfAddress(primaryEmail) << 4) | (bitsOfAddress(alias) << 18);
}
