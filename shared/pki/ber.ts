/**
 * From BER to DER, for files that other programs write: PKCS#12 and PKCS#7 are often streamed with indefinite lengths
 * and strings in pieces (NSS, older Windows and Java). After this the strict reader takes them. Bytes that are DER
 * already come out as they went in, so signatures inside stay good.
 */
import { derLength } from './der.ts';
import { DerError } from './der-reader.ts';

/** Deeper than any real file (a dozen), shallower than the stack. */
const DEEPEST = 64;

const STRINGS: ReadonlySet<number> = new Set([0x03, 0x04, 0x0c, 0x13, 0x16, 0x1e]);

interface Piece {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly end: number;
}

/**
 * One element with definite lengths in shortest form and strings in one piece. Throws `DerError` for bytes that are not
 * one BER element, nest deeper than 64, or go on after it. Time and memory grow with the bytes and no faster.
 */
export function derFromBer(bytes: Uint8Array): Uint8Array {
  const piece = convert(bytes, 0, bytes.length, 0);
  if (piece.end !== bytes.length) throw new DerError('there is something after the end', piece.end);
  return element(piece);
}

const element = ({ tag, content }: Piece): Uint8Array =>
  Buffer.concat([Uint8Array.of(tag), derLength(content.length), content]);

function convert(bytes: Uint8Array, at: number, limit: number, depth: number): Piece {
  if (depth > DEEPEST) throw new DerError('the structure is nested too deeply', at);
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined || at + 2 > limit)
    throw new DerError('an element is cut short', at);
  if ((tag & 0x1f) === 0x1f) throw new DerError('tags of several octets are not used here', at);
  const constructed = (tag & 0x20) !== 0;
  if (first === 0x80) {
    if (!constructed) throw new DerError('an indefinite length on something primitive', at);
    const { pieces, end } = children(bytes, at + 2, limit, depth, true);
    return assemble(tag, pieces, end, at);
  }
  const octets = first > 0x80 ? first & 0x7f : 0;
  if (octets > 6) throw new DerError('the length is absurd', at);
  let length = octets === 0 ? first : 0;
  for (let index = 0; index < octets; index += 1) length = length * 0x100 + (bytes[at + 2 + index] ?? 0);
  const contentAt = at + 2 + octets;
  const end = contentAt + length;
  if (end > limit) throw new DerError('the contents are cut short', at);
  if (!constructed) return { tag, content: bytes.subarray(contentAt, end), end };
  return assemble(tag, children(bytes, contentAt, end, depth, false).pieces, end, at);
}

function children(bytes: Uint8Array, from: number, limit: number, depth: number, indefinite: boolean) {
  const pieces: Piece[] = [];
  let at = from;
  while (at < limit) {
    if (indefinite && bytes[at] === 0 && bytes[at + 1] === 0) return { pieces, end: at + 2 };
    const piece = convert(bytes, at, limit, depth + 1);
    pieces.push(piece);
    at = piece.end;
  }
  if (indefinite) throw new DerError('an indefinite length has no end', from);
  return { pieces, end: at };
}

function assemble(tag: number, pieces: readonly Piece[], end: number, at: number): Piece {
  const primitive = tag & ~0x20;
  if (STRINGS.has(primitive) && (tag & 0xc0) === 0) {
    if (primitive === 0x03) throw new DerError('a BIT STRING in pieces is not used here', at);
    if (pieces.some((piece) => piece.tag !== primitive))
      throw new DerError('a string has a piece of another type', at);
    return { tag: primitive, content: Buffer.concat(pieces.map(({ content }) => content)), end };
  }
  // An IMPLICIT [0] OCTET STRING in pieces, as encryptedContent of EncryptedContentInfo is when streamed.
  return { tag, content: Buffer.concat(pieces.map(element)), end };
}
