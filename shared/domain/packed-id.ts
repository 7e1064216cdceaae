/**
 * A directory id in three words, so that a million of them are compared without a string each. Google's are decimal
 * numbers of twenty-one digits. Up to so many are kept exactly, four bits a digit: the last eight in the first word, the
 * eight before in the second, the first five in the lower twenty bits of the third, whose upper twelve bits are zero. Of two
 * digits the first is in the higher half of a byte, and of bytes the first is the lowest. Any other id, one with a zero in
 * front included, becomes a hash of eighty bits with a mark that no digit gives; it can be found again and not be
 * written out. `shared/adapters/directory/page-scan.wat` packs Google's ids likewise.
 */
export const ID_WORDS = 3;
const GOOGLES_DIGITS = 21;
/** Longer ids are known by so many bytes. */
const MAX_ID_BYTES = 255;
/** Of the third word. */
export const ID_BITS = 0xfffff;

/** Where the first of twenty-one digits would be; fifteen is none. */
const MARK = 0xf;
const ZERO = 0x30;

/** Packs `length` bytes of UTF-8 from `start` on, at most `MAX_ID_BYTES`, into `words` from `at` on. */
export function packId(view: DataView, start: number, length: number, words: Int32Array, at: number): void {
  if (length === GOOGLES_DIGITS && packGooglesId(view, start, words, at)) return;
  if (areKept(view, start, length)) packDigits(view, start, length, words, at);
  else hash(view, start, length, words, at);
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(MAX_ID_BYTES);
const scratchView = new DataView(scratch.buffer);

export function packIdText(userId: string, words: Int32Array, at: number): void {
  packId(scratchView, 0, encoder.encodeInto(userId, scratch).written, words, at);
}

/** One after the other. */
export function packedIds(userIds: readonly string[]): Int32Array {
  const words = new Int32Array(userIds.length * ID_WORDS);
  for (const [position, userId] of userIds.entries()) packIdText(userId, words, position * ID_WORDS);
  return words;
}

/** The id in decimal digits; undefined for one that was hashed. The upper bits of the third word may be anything. */
export function unpackedId(words: Int32Array, at: number): string | undefined {
  if (isHashed(words, at)) return undefined;
  const high = words[at + 2] ?? 0;
  const text = `${high & 15}${twoDigits(high >>> 4)}${twoDigits(high >>> 12)}${eightDigits(words[at + 1] ?? 0)}${eightDigits(words[at] ?? 0)}`;
  return text.startsWith('0') ? text.replace(/^0+/, '') : text;
}

export const isHashed = (words: Int32Array, at: number): boolean => ((words[at + 2] ?? 0) & MARK) === MARK;

/** Packed ids as they are written down, little-endian; the bytes are the words' own. */
export const packedBytes = (words: Int32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

/** The other way. Copied, because what a database answers need not begin where a word may. */
export const packedWords = (bytes: Uint8Array): Int32Array => new Int32Array(Uint8Array.from(bytes).buffer);

const twoDigits = (byte: number): string => `${(byte >>> 4) & 15}${byte & 15}`;
const eightDigits = (word: number): string =>
  `${twoDigits(word)}${twoDigits(word >>> 8)}${twoDigits(word >>> 16)}${twoDigits(word >>> 24)}`;

/**
 * For ids of `GOOGLES_DIGITS`: a digit, and five words of four characters. False for what are no digits; then what was
 * written means nothing.
 */
function packGooglesId(view: DataView, start: number, words: Int32Array, at: number): boolean {
  const first = view.getUint8(start) - ZERO;
  const a = view.getInt32(start + 1, true);
  const b = view.getInt32(start + 5, true);
  const c = view.getInt32(start + 9, true);
  const d = view.getInt32(start + 13, true);
  const e = view.getInt32(start + 17, true);
  words[at] = fourDigits(d) | (fourDigits(e) << 16);
  words[at + 1] = fourDigits(b) | (fourDigits(c) << 16);
  words[at + 2] = first | (fourDigits(a) << 4);
  return (
    first >= 1 &&
    first <= 9 &&
    (notDigits(a) | notDigits(b) | notDigits(c) | notDigits(d) | notDigits(e)) === 0
  );
}

/** The same from eleven bytes of two digits each, the first of which is a zero. */
export function packHalfBytes(view: DataView, start: number, words: Int32Array, at: number): void {
  words[at] = view.getInt32(start + 7, true);
  words[at + 1] = view.getInt32(start + 3, true);
  words[at + 2] = view.getUint8(start) | (view.getUint16(start + 1, true) << 4);
}

/** Zero when all four bytes are digits: 0x30 to 0x39, which adding six leaves below 0x40. */
const notDigits = (four: number): number =>
  ((four & 0xf0f0f0f0) ^ 0x30303030) | (((four + 0x06060606) & 0xf0f0f0f0) ^ 0x30303030);

const fourDigits = (four: number): number => {
  const digits = four & 0x0f0f0f0f;
  const pairs = ((digits << 4) | (digits >>> 8)) & 0x00ff00ff;
  return (pairs | (pairs >>> 8)) & 0xffff;
};

/** Digits, not too many, and a first one that is not lost when zeros are put in front. */
function areKept(view: DataView, start: number, length: number): boolean {
  if (length < 1 || length > GOOGLES_DIGITS || view.getUint8(start) === ZERO) return false;
  for (let at = start; at < start + length; at += 1) {
    const digit = view.getUint8(at) - ZERO;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}

const padded = new Uint8Array(GOOGLES_DIGITS);
const paddedView = new DataView(padded.buffer);

function packDigits(view: DataView, start: number, length: number, words: Int32Array, at: number): void {
  padded.fill(ZERO);
  for (let index = 1; index <= length; index += 1)
    padded[GOOGLES_DIGITS - index] = view.getUint8(start + length - index);
  packGooglesId(paddedView, 0, words, at);
}

/** Three lanes that differ in their multiplier, so that ids alike in one differ in the others. */
function hash(view: DataView, start: number, length: number, words: Int32Array, at: number): void {
  let one = length;
  let two = ~length;
  let three = length ^ 0x5bd1e995;
  for (let index = start; index < start + length; index += 1) {
    const byte = view.getUint8(index);
    one = Math.imul(one ^ byte, 0x01000193);
    two = Math.imul(two ^ byte, 0x9e3779b1);
    three = Math.imul(three ^ byte, 0x85ebca6b);
    two ^= two >>> 15;
    three ^= three >>> 13;
  }
  words[at] = one;
  words[at + 1] = two;
  words[at + 2] = (three & ID_BITS) | MARK;
}
