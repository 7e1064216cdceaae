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
const LETTER_E = 0x65;

/** Two or four characters as they are loaded. */
const two = (text: string): number => Buffer.from(text).readUInt16LE(0);
const four = (text: string): number => Buffer.from(text).readInt32LE(0);
const ID = four('"id"');
const COLON_QUOTE = two(':"');
const PRIM = four('"pri');
const MARY = four('mary');
const EMAI = four('Emai');
const L_COLON = four('l":"');
const ORG = four('"org');
const UNIT = four('Unit');
const PATH_ = four('Path');
const H_COLON = four('h":"');
const ALIA = four('"ali');
const ASES = four('ases');
const ONE_ALIAS = four('":["');
const NO_ALIAS = four('":[]');
const SUSP = four('"sus');
const PEND = four('pend');
const ARCH = four('"arc');
const HIVE = four('hive');
const ED_COLON = four('ed":');
const IS_M = four('"isM');
const AILB = four('ailb');
const OXSE = four('oxSe');
const TUP = four('tup"');
export const TRUE = four('true');
const FALS = four('fals');

/** Fields that were read, a bit each. */
export const HAS_ID = 1;
export const HAS_EMAIL = 2;
export const HAS_PATH = 4;
export const HAS_ALIASES = 8;
export const HAS_SUSPENDED = 16;
export const HAS_ARCHIVED = 32;
export const HAS_MAILBOX = 64;
export const NEEDED = HAS_ID | HAS_EMAIL | HAS_PATH;
/** An empty list of aliases, with its brackets. */
export const HAS_NO_ALIASES = HAS_ALIASES | 128;

export function pastBlank(bytes: Uint8Array, start: number): number {
  let at = start;
  let code = bytes[at] ?? 0;
  while (code === SPACE || code === 0x0a || code === 0x0d || code === 0x09) {
    at += 1;
    code = bytes[at] ?? 0;
  }
  return at;
}

/**
 * The field whose key is at this place, together with its colon and the opening of such a value as it usually has (a quotation
 * mark, a bracket and one); 0 for anything else.
 */
export function fieldAt(view: DataView, at: number): number {
  switch (view.getInt32(at, true)) {
    case ID:
      return view.getUint16(at + 4, true) === COLON_QUOTE ? HAS_ID : 0;
    case PRIM:
      return view.getInt32(at + 4, true) === MARY &&
        view.getInt32(at + 8, true) === EMAI &&
        view.getInt32(at + 12, true) === L_COLON
        ? HAS_EMAIL
        : 0;
    case ORG:
      return view.getInt32(at + 4, true) === UNIT &&
        view.getInt32(at + 8, true) === PATH_ &&
        view.getInt32(at + 11, true) === H_COLON
        ? HAS_PATH
        : 0;
    case SUSP:
      return view.getInt32(at + 4, true) === PEND && view.getInt32(at + 8, true) === ED_COLON
        ? HAS_SUSPENDED
        : 0;
    case ARCH:
      return view.getInt32(at + 4, true) === HIVE && view.getInt32(at + 7, true) === ED_COLON
        ? HAS_ARCHIVED
        : 0;
    case IS_M:
      return view.getInt32(at + 4, true) === AILB &&
        view.getInt32(at + 8, true) === OXSE &&
        view.getInt32(at + 12, true) === TUP &&
        view.getUint8(at + 16) === COLON
        ? HAS_MAILBOX
        : 0;
    case ALIA:
      if (view.getInt32(at + 4, true) !== ASES) return 0;
      switch (view.getInt32(at + 8, true)) {
        case ONE_ALIAS:
          return HAS_ALIASES;
        case NO_ALIAS:
          return HAS_NO_ALIASES;
        default:
          return 0;
      }
    default:
      return 0;
  }
}

/** What is behind `true` or `false`; -1 for anything else. */
export function endOfTruth(view: DataView, at: number): number {
  const value = view.getInt32(at, true);
  if (value === TRUE) return at + 4;
  return value === FALS && view.getUint8(at + 4) === LETTER_E ? at + 5 : -1;
}

const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;

/**
 * The first quotation mark, backslash or control character from `start` on, four at a time: subtracting one from a byte
 * borrows from its highest bit where the byte was zero, and of several bytes the lowest is told rightly.
 */
export function endOfPath(view: DataView, start: number): number {
  for (let at = start; ; at += 4) {
    const found = endsIn(view.getInt32(at, true));
    if (found !== 0) return at + ((31 - Math.clz32(found & -found)) >>> 3);
  }
}

function endsIn(word: number): number {
  const quotes = word ^ (QUOTE * ONES);
  const backslashes = word ^ (BACKSLASH * ONES);
  return (
    (((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes) | ((word - SPACE * ONES) & ~word)) &
    HIGH_BITS
  );
}

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
