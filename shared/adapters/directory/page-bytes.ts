/** The characters and keys of which pages of users are made, found in their bytes. */

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const SPACE = 0x20;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const LETTER_E = 0x65;

/** Four characters as they are loaded. */
const four = (text: string): number => Buffer.from(text).readInt32LE(0);
const ID = four('"id"');
const PRIM = four('"pri');
const MARY = four('mary');
const EMAI = four('Emai');
const AIL = four('ail"');
const ALIA = four('"ali');
const ASES = four('ases');
const ORG = four('"org');
const UNIT = four('Unit');
const PATH_ = four('Path');
const SUSP = four('"sus');
const PEND = four('pend');
const DED = four('ded"');
const ARCH = four('"arc');
const HIVE = four('hive');
const VED = four('ved"');
const IS_M = four('"isM');
const AILB = four('ailb');
const OXSE = four('oxSe');
const TUP = four('tup"');
export const TRUE = four('true');
export const FALS = four('fals');

/** Fields that were read, a bit each. */
export const HAS_ID = 1;
export const HAS_EMAIL = 2;
export const HAS_PATH = 4;
const HAS_ALIASES = 8;
export const HAS_SUSPENDED = 16;
export const HAS_ARCHIVED = 32;
const HAS_MAILBOX = 64;
export const NEEDED = HAS_ID | HAS_EMAIL | HAS_PATH;

export function pastBlank(bytes: Uint8Array, start: number): number {
  let at = start;
  let code = bytes[at] ?? 0;
  while (code === SPACE || code === 0x0a || code === 0x0d || code === 0x09) {
    at += 1;
    code = bytes[at] ?? 0;
  }
  return at;
}

/** The field whose key, quotes included, is at this place; 0 for any other. */
export function fieldAt(view: DataView, at: number): number {
  switch (view.getInt32(at, true)) {
    case ID:
      return HAS_ID;
    case PRIM:
      return view.getInt32(at + 4, true) === MARY &&
        view.getInt32(at + 8, true) === EMAI &&
        view.getInt32(at + 10, true) === AIL
        ? HAS_EMAIL
        : 0;
    case ORG:
      return view.getInt32(at + 4, true) === UNIT &&
        view.getInt32(at + 8, true) === PATH_ &&
        view.getUint8(at + 12) === QUOTE
        ? HAS_PATH
        : 0;
    case SUSP:
      return view.getInt32(at + 4, true) === PEND && view.getInt32(at + 7, true) === DED ? HAS_SUSPENDED : 0;
    case ARCH:
      return view.getInt32(at + 4, true) === HIVE && view.getInt32(at + 6, true) === VED ? HAS_ARCHIVED : 0;
    case IS_M:
      return view.getInt32(at + 4, true) === AILB &&
        view.getInt32(at + 8, true) === OXSE &&
        view.getInt32(at + 12, true) === TUP
        ? HAS_MAILBOX
        : 0;
    case ALIA:
      return view.getInt32(at + 4, true) === ASES && view.getUint8(at + 8) === QUOTE ? HAS_ALIASES : 0;
    default:
      return 0;
  }
}

const KEY_LENGTHS = new Uint8Array(HAS_MAILBOX + 1);
KEY_LENGTHS[HAS_ID] = '"id"'.length;
KEY_LENGTHS[HAS_EMAIL] = '"primaryEmail"'.length;
KEY_LENGTHS[HAS_PATH] = '"orgUnitPath"'.length;
KEY_LENGTHS[HAS_ALIASES] = '"aliases"'.length;
KEY_LENGTHS[HAS_SUSPENDED] = '"suspended"'.length;
KEY_LENGTHS[HAS_ARCHIVED] = '"archived"'.length;
KEY_LENGTHS[HAS_MAILBOX] = '"isMailboxSetup"'.length;

export const keyLength = (field: number): number => KEY_LENGTHS[field] ?? 0;

export function areAlike(
  bytes: Uint8Array,
  start: number,
  end: number,
  other: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - other) return false;
  for (let at = start; at < end; at += 1) if (bytes[at] !== bytes[other + at - start]) return false;
  return true;
}

export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** Where the object that begins at `start` ends, by its braces; -1 where it does not. Brackets are left to `JSON.parse`. */
export function objectEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== OPEN_BRACE) return -1;
  let depth = 0;
  let isText = false;
  for (let at = start; at < bytes.length; at += 1) {
    const code = bytes[at];
    if (code === 0) return -1;
    if (isText) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) isText = false;
    } else if (code === QUOTE) isText = true;
    else if (code === OPEN_BRACE) depth += 1;
    else if (code === CLOSE_BRACE) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}
