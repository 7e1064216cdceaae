/**
 * Reads a page of living users from the bytes that Google sent. A sweep reads a million users and needs an object for hardly
 * any of them, and building those objects is most of what `JSON.parse` does; so here the bytes become the six words a user that
 * are compared (`shared/domain/listed-users.ts`), and nothing else.
 *
 * This is not a second JSON parser. It knows the one form in which nearly every user comes: the fields we ask for, in any
 * order and without white space, strings without escapes, addresses that need no folding, at most one alias. A user of any
 * other form is cut out and read by `JSON.parse` and `toDirectoryUser`, as is a page that is not made of such users. It
 * never accepts what these would refuse, and answers what they would answer (test/adapters/directory/page-reader.test.ts).
 */
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import { digestNext, digestOn, NO_DIGEST } from '../../domain/address-digest.ts';
import {
  ALIASES_MARK,
  ARCHIVED_MARK,
  DIGEST,
  LISTED_WORDS,
  ListedUsers,
  MARKS,
  PATH,
  SUSPENDED_MARK,
  writeUser,
} from '../../domain/listed-users.ts';
import { GOOGLES_DIGITS, MAX_ID_BYTES, packGooglesId, packId } from '../../domain/packed-id.ts';
import type { UsersPage } from '../../ports/directory.ts';
import { OrgUnitPaths } from './org-unit-paths.ts';
import {
  areAlike,
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  endOfPath,
  endOfTruth,
  fieldAt,
  HAS_ALIASES,
  HAS_ARCHIVED,
  HAS_EMAIL,
  HAS_ID,
  HAS_MAILBOX,
  HAS_NO_ALIASES,
  HAS_PATH,
  HAS_SUSPENDED,
  isDigit,
  NEEDED,
  OPEN_BRACE,
  OPEN_BRACKET,
  objectEnd,
  pastBlank,
  QUOTE,
  SPACE,
  TRUE,
} from './page-bytes.ts';
import { incomplete, isOurCode, isOurLastCode, toDirectoryUser, toUsersPage } from './wire.ts';

/** So many zero bytes behind a page are more than any load reaches beyond it. */
const PADDING = 64;
const MAX_USERS = 1_000;

export class PageReader {
  readonly #paths = new OrgUnitPaths();
  #bytes: Uint8Array = new Uint8Array();
  #view: DataView = new DataView(new ArrayBuffer(0));
  #length = 0;
  /** Where the reading is. */
  #at = 0;
  readonly #words = new Int32Array(MAX_USERS * LISTED_WORDS);
  readonly #starts = new Int32Array(MAX_USERS + 1);
  #users = 0;

  /** Throws `directory-unavailable` for what is no whole page, as `toUsersPage` does. */
  read(page: Uint8Array): UsersPage {
    const quick = this.#quickly(page);
    if (quick === undefined) return toUsersPage(parsed(page));
    if (quick.nextPageToken !== undefined && quick.users.length === 0)
      throw incomplete('a page of users that is not the last one holds no users');
    return quick;
  }

  /**
   * Where it lies: copying all pages costs as much as a tenth of reading them. A byte behind the end reads as zero, at which every loop
   * below ends; a load of four that reaches beyond it throws, which a whole page does not come to (behind the last value are brackets), and
   * then the page is copied to where there is room behind it.
   */
  #quickly(page: Uint8Array): UsersPage | undefined {
    try {
      this.#take(page, page.length);
      return this.#page(page);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    const padded = new Uint8Array(page.length + PADDING);
    padded.set(page);
    this.#take(padded, page.length);
    return this.#page(page);
  }

  #take(bytes: Uint8Array, length: number): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#length = length;
    this.#at = 0;
    this.#users = 0;
  }

  /** Undefined for a page that is not of the form known here. */
  #page(page: Uint8Array): UsersPage | undefined {
    let hasUsers = false;
    let nextPageToken: string | undefined;
    if (!this.#goesOnWith(OPEN_BRACE)) return undefined;
    do {
      const key = this.#plainText();
      if (key === undefined || !this.#goesOnWith(COLON)) return undefined;
      if (key === 'users' && !hasUsers) {
        if (!this.#list()) return undefined;
        hasUsers = true;
      } else if (key === 'nextPageToken' && nextPageToken === undefined) {
        nextPageToken = this.#plainText();
        if (nextPageToken === undefined) return undefined;
      } else return undefined;
    } while (this.#goesOnWith(COMMA));
    if (!this.#goesOnWith(CLOSE_BRACE)) return undefined;
    this.#skipBlank();
    if (this.#at !== this.#length) return undefined;
    const starts = this.#starts.slice(0, this.#users);
    const users = new ListedUsers(
      this.#words.slice(0, this.#users * LISTED_WORDS),
      this.#paths.all,
      (position) => userIn(page, starts[position] ?? 0),
    );
    return { users, ...(nextPageToken ? { nextPageToken } : {}) };
  }

  #list(): boolean {
    if (!this.#goesOnWith(OPEN_BRACKET)) return false;
    if (this.#goesOnWith(CLOSE_BRACKET)) return true;
    do {
      this.#skipBlank();
      if (this.#users === MAX_USERS) return false;
      const start = this.#at;
      this.#starts[this.#users] = start;
      if (!this.#user(start, this.#users * LISTED_WORDS) && !this.#oddUser(start)) return false;
      this.#users += 1;
    } while (this.#goesOnWith(COMMA));
    return this.#goesOnWith(CLOSE_BRACKET);
  }

  /**
   * Reads one user; false for one that is not of the usual form, of whom a key that comes twice is one. Long for the sake of
   * its local variables: this runs for every byte that the directory sends.
   */
  #user(start: number, to: number): boolean {
    const bytes = this.#bytes;
    const view = this.#view;
    let at = start;
    let fields = 0;
    let marks = 0;
    let digest = NO_DIGEST;
    let emailStart = 0;
    let emailEnd = 0;
    let aliasStart = 0;
    let aliasEnd = 0;
    if (bytes[at] !== OPEN_BRACE) return false;
    do {
      at += 1;
      const field = fieldAt(view, at);
      if ((fields & field) !== 0) return false;
      fields |= field;
      switch (field) {
        case HAS_ID: {
          at += '"id":"'.length;
          at = this.#id(at, to);
          if (at < 0) return false;
          break;
        }
        case HAS_EMAIL: {
          at += '"primaryEmail":"'.length;
          emailStart = at;
          for (let code = bytes[at] ?? 0; isOurCode(code); code = bytes[at] ?? 0) {
            digest = digestOn(digest, code);
            at += 1;
          }
          emailEnd = at;
          if (bytes[at] !== QUOTE || emailEnd === emailStart || !isOurLastCode(bytes[at - 1] ?? 0))
            return false;
          at += 1;
          break;
        }
        case HAS_PATH: {
          at += '"orgUnitPath":"'.length;
          const end = endOfPath(view, at);
          if (bytes[end] !== QUOTE || end === at) return false;
          this.#words[to + PATH] = this.#paths.numberOf(bytes, view, at, end);
          at = end + 1;
          break;
        }
        case HAS_ALIASES: {
          at += '"aliases":["'.length;
          aliasStart = at;
          while (isOurCode(bytes[at] ?? 0)) at += 1;
          aliasEnd = at;
          if (aliasEnd === aliasStart || !isOurLastCode(bytes[at - 1] ?? 0)) return false;
          if (bytes[at] !== QUOTE || bytes[at + 1] !== CLOSE_BRACKET) return false;
          at += 2;
          break;
        }
        case HAS_NO_ALIASES:
          at += '"aliases":[]'.length;
          break;
        case HAS_SUSPENDED:
          at += '"suspended":'.length;
          if (view.getInt32(at, true) === TRUE) marks |= SUSPENDED_MARK;
          at = endOfTruth(view, at);
          if (at < 0) return false;
          break;
        case HAS_ARCHIVED:
          at += '"archived":'.length;
          if (view.getInt32(at, true) === TRUE) marks |= ARCHIVED_MARK;
          at = endOfTruth(view, at);
          if (at < 0) return false;
          break;
        case HAS_MAILBOX:
          at = endOfTruth(view, at + '"isMailboxSetup":'.length);
          if (at < 0) return false;
          break;
        default:
          return false;
      }
    } while (bytes[at] === COMMA);
    if (bytes[at] !== CLOSE_BRACE || (fields & NEEDED) !== NEEDED) return false;
    if (aliasEnd > 0) {
      if (areAlike(bytes, emailStart, emailEnd, aliasStart, aliasEnd)) return false;
      digest = digestNext(digest);
      for (let each = aliasStart; each < aliasEnd; each += 1) digest = digestOn(digest, bytes[each] ?? 0);
      marks |= ALIASES_MARK;
    }
    this.#words[to + DIGEST] = digest;
    this.#words[to + MARKS] = marks;
    this.#at = at + 1;
    return true;
  }

  /** Answers what is behind the closing quotation mark, -1 for an id that is not usual. */
  #id(start: number, to: number): number {
    const bytes = this.#bytes;
    let end = start + GOOGLES_DIGITS;
    if (bytes[end] !== QUOTE || !packGooglesId(this.#view, start, this.#words, to)) {
      for (end = start; isDigit(bytes[end] ?? 0); ) end += 1;
      if (bytes[end] !== QUOTE || end === start || end - start > MAX_ID_BYTES) return -1;
      packId(this.#view, start, end - start, this.#words, to);
    }
    return end + 1;
  }

  /** Any other object: cut out where its braces close, and read in full. */
  #oddUser(start: number): boolean {
    const end = objectEnd(this.#bytes, start);
    if (end < 0) return false;
    const user = toDirectoryUser(parsed(this.#bytes.subarray(start, end)) as admin_directory_v1.Schema$User);
    writeUser(this.#words, this.#users * LISTED_WORDS, user, this.#paths.numberOfText(user.orgUnitPath));
    this.#at = end;
    return true;
  }

  /** A string without escapes, in ASCII. */
  #plainText(): string | undefined {
    this.#skipBlank();
    if (this.#bytes[this.#at] !== QUOTE) return undefined;
    const start = this.#at + 1;
    let end = start;
    let code = this.#bytes[end] ?? 0;
    for (; code !== QUOTE && code !== BACKSLASH && code >= SPACE && code < 0x7f; code = this.#bytes[end] ?? 0)
      end += 1;
    if (code !== QUOTE) return undefined;
    this.#at = end + 1;
    return String.fromCharCode(...this.#bytes.subarray(start, end));
  }

  #goesOnWith(code: number): boolean {
    if (this.#bytes[this.#at] !== code) {
      this.#skipBlank();
      if (this.#bytes[this.#at] !== code) return false;
    }
    this.#at += 1;
    return true;
  }

  #skipBlank(): void {
    this.#at = pastBlank(this.#bytes, this.#at);
  }
}

function userIn(page: Uint8Array, start: number) {
  return toDirectoryUser(
    parsed(page.subarray(start, objectEnd(page, start))) as admin_directory_v1.Schema$User,
  );
}

const decoder = new TextDecoder();

/** As a client that reads JSON would hand it over. What is no JSON is no page. */
function parsed(bytes: Uint8Array): object {
  try {
    return JSON.parse(decoder.decode(bytes)) as object;
  } catch {
    throw incomplete('a page of users is no JSON object');
  }
}
