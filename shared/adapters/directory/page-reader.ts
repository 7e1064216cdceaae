/**
 * Reads a page of living users from the bytes that Google sent. A sweep reads a million users and needs an object for hardly
 * any of them, and building those objects is most of what `JSON.parse` does; so here the bytes become the six words a user that
 * are compared (`shared/domain/listed-users.ts`), and nothing else.
 *
 * This is not a second JSON parser. `PageScan` knows the one form in which nearly every user comes. A user of any
 * other form is cut out and read by `JSON.parse` and `toListedUser`, as is a page that is not made of such users. It
 * never accepts what these would refuse, and answers what they would answer (test/adapters/directory/page-reader.test.ts).
 */
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { ListedUser } from '../../domain/directory-user.ts';
import { ListedUsers, writeUser } from '../../domain/listed-users.ts';
import type { UsersPage } from '../../ports/directory.ts';
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  objectEnd,
  pastBlank,
  QUOTE,
  SPACE,
} from './page-bytes.ts';
import { PageScan } from './page-scan.ts';
import { incomplete, toListedUser, toUsersPage } from './wire.ts';

export class PageReader {
  /** Made for the first page: most adapters never read one. */
  #scan: PageScan | undefined;
  /** Paths of org units by number, and numbers by path; only ever grow. */
  readonly #paths: string[] = [];
  readonly #numbers = new Map<string, number>();
  #page: Uint8Array = new Uint8Array();
  /** By position, of this page: those who were read in full. */
  #odd = new Map<number, ListedUser>();
  /** Where the reading is. */
  #at = 0;

  /** Throws `directory-unavailable` for what is no whole page, as `toUsersPage` does. */
  read(page: Uint8Array): UsersPage {
    const quick = this.#quickly(page);
    if (quick === undefined) return toUsersPage(parsed(page));
    if (quick.nextPageToken !== undefined && quick.users.length === 0)
      throw incomplete('a page of users that is not the last one holds no users');
    return quick;
  }

  /** Undefined for a page that is not of the form known here. */
  #quickly(page: Uint8Array): UsersPage | undefined {
    this.#scan ??= new PageScan();
    const scan = this.#scan;
    scan.take(page);
    this.#page = page;
    if (this.#odd.size > 0) this.#odd = new Map();
    this.#at = 0;
    let hasUsers = false;
    let nextPageToken: string | undefined;
    if (!this.#goesOnWith(OPEN_BRACE)) return undefined;
    do {
      const key = this.#plainText();
      if (key === undefined || !this.#goesOnWith(COLON)) return undefined;
      if (key === 'users' && !hasUsers) {
        if (!this.#list(scan)) return undefined;
        hasUsers = true;
      } else if (key === 'nextPageToken' && nextPageToken === undefined) {
        nextPageToken = this.#plainText();
        if (nextPageToken === undefined) return undefined;
      } else return undefined;
    } while (this.#goesOnWith(COMMA));
    if (!this.#goesOnWith(CLOSE_BRACE)) return undefined;
    this.#skipBlank();
    if (this.#at !== page.length) return undefined;
    const { words, starts } = scan.result();
    const odd = this.#odd;
    const users = new ListedUsers(
      words,
      this.#paths,
      (position) => odd.get(position) ?? userIn(page, starts[position] ?? 0),
    );
    return { users, ...(nextPageToken ? { nextPageToken } : {}) };
  }

  #list(scan: PageScan): boolean {
    if (!this.#goesOnWith(OPEN_BRACKET)) return false;
    if (this.#goesOnWith(CLOSE_BRACKET)) return true;
    do {
      this.#skipBlank();
      if (!this.#some(scan)) return false;
    } while (this.#goesOnWith(COMMA));
    return this.#goesOnWith(CLOSE_BRACKET);
  }

  /** The next user, and those who follow without white space. */
  #some(scan: PageScan): boolean {
    for (;;) {
      const { at, why } = scan.read(this.#at);
      this.#at = at;
      switch (why) {
        case 'behind-a-user':
          return true;
        case 'odd-user':
          return this.#oddUser(scan);
        case 'no-room':
          return false;
        case 'unknown-path':
          scan.learnPath(this.#numberOf(pathDecoder.decode(scan.unknownPath())));
          break;
        default:
          return why satisfies never;
      }
    }
  }

  /** Any other object: cut out where its braces close, and read in full. */
  #oddUser(scan: PageScan): boolean {
    const start = this.#at;
    const end = objectEnd(this.#page, start);
    if (end < 0) return false;
    const user = toListedUser(parsed(this.#page.subarray(start, end)) as admin_directory_v1.Schema$User);
    this.#odd.set(scan.users, user);
    scan.add(start, (words, at) => writeUser(words, at, user, this.#numberOf(user.orgUnitPath)));
    this.#at = end;
    return true;
  }

  /** Two spellings in bytes may be one text, where the bytes are no UTF-8. */
  #numberOf(path: string): number {
    const known = this.#numbers.get(path);
    if (known !== undefined) return known;
    const number = this.#paths.push(path) - 1;
    this.#numbers.set(path, number);
    return number;
  }

  /** A string without escapes, in ASCII. */
  #plainText(): string | undefined {
    this.#skipBlank();
    if (this.#page[this.#at] !== QUOTE) return undefined;
    const start = this.#at + 1;
    let end = start;
    let code = this.#page[end] ?? 0;
    for (; code !== QUOTE && code !== BACKSLASH && code >= SPACE && code < 0x7f; code = this.#page[end] ?? 0)
      end += 1;
    if (code !== QUOTE) return undefined;
    this.#at = end + 1;
    return String.fromCharCode(...this.#page.subarray(start, end));
  }

  #goesOnWith(code: number): boolean {
    if (this.#page[this.#at] !== code) {
      this.#skipBlank();
      if (this.#page[this.#at] !== code) return false;
    }
    this.#at += 1;
    return true;
  }

  #skipBlank(): void {
    this.#at = pastBlank(this.#page, this.#at);
  }
}

function userIn(page: Uint8Array, start: number) {
  return toListedUser(parsed(page.subarray(start, objectEnd(page, start))) as admin_directory_v1.Schema$User);
}

const decoder = new TextDecoder();
/** A path may begin with what would be taken for the mark of an encoding. */
const pathDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** As a client that reads JSON would hand it over. What is no JSON is no page. */
function parsed(bytes: Uint8Array): object {
  try {
    return JSON.parse(decoder.decode(bytes)) as object;
  } catch {
    throw incomplete('a page of users is no JSON object');
  }
}
