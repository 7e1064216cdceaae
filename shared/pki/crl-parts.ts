/**
 * Reading a CRL that comes in parts, as it comes from the ledger or over the network, without ever having the whole of it:
 * its entries are handed on in runs of whole ones, and what stands around them is read at the end as strictly as
 * `crl-reader.ts` reads a whole CRL. How the parts are cut makes no difference.
 */
import { type CrlHeader, readCrlHeader } from './crl-reader.ts';
import { derLength, sequence } from './der.ts';
import { DerError } from './der-reader.ts';

export type Parts = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A signed CRL from its to-be-signed parts and what follows them. */
export async function* signedParts(tbsParts: Parts, endDer: Uint8Array): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const part of tbsParts) {
    if (isFirst) {
      const tbs = headerAt(part, 0, part.length);
      if (tbs === undefined) throw new DerError('the CRL is cut short', 0);
      yield Buffer.concat([Uint8Array.of(0x30), derLength(tbs.end + endDer.length)]);
    }
    isFirst = false;
    yield part;
  }
  yield endDer;
}

/** The same parts, each shown to `see` first. */
export async function* passing(parts: Parts, see: (part: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    see(part);
    yield part;
  }
}

/** Reads to the end, for what is around the entries. Throws `DerError`. */
export async function readThrough(parts: Parts, reader: CrlPartsReader): Promise<ReadInParts> {
  for await (const part of parts) reader.take(part);
  return reader.end();
}

/** All parts in one, for a CRL that is short, or has to be in memory. */
export async function whole(parts: Parts): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return new Uint8Array(Buffer.concat(all));
}

/** What stands before the entries is an issuer's name and little else, and so are an entry and what stands behind them. */
const LONGEST_PIECE = 1 << 16;

interface Layout {
  /** Offsets from the beginning: the TBSCertList and what is inside it. `list` is missing where nothing is revoked. */
  readonly end: number;
  readonly isSigned: boolean;
  readonly tbsAt: number;
  readonly tbsContentAt: number;
  readonly tbsEnd: number;
  readonly beforeEnd: number;
  readonly list: { readonly contentAt: number; readonly end: number } | undefined;
}

export interface ReadInParts {
  /** `revokedCertificates` is missing and `tbsDer` is without it. */
  readonly header: CrlHeader;
  readonly hasList: boolean;
  /** Of the whole CRL. */
  readonly byteLength: number;
}

/** Feed it with `take`, part by part, then `end`. Both throw `DerError` for what is no CRL. */
export class CrlPartsReader {
  readonly #onTbs: (bytes: Uint8Array) => void;
  /** Bytes that were taken and not handed on: before the list, an entry that is cut in two, or after the list. */
  #kept: Uint8Array = new Uint8Array();
  /** Offset of `#kept` from the beginning. */
  #at = 0;
  #layout: Layout | undefined;
  #before: Uint8Array = new Uint8Array();

  /** `onTbs` is given the to-be-signed bytes in order, for a digest over them. */
  constructor(onTbs: (bytes: Uint8Array) => void = () => undefined) {
    this.#onTbs = onTbs;
  }

  /** The run of whole entries that this part completes; empty where it completes none. A view of the part where it can be. */
  take(part: Uint8Array): Uint8Array {
    if (this.#layout !== undefined) this.#digest(part, this.#at + this.#kept.length);
    this.#kept = this.#kept.length === 0 ? part : Buffer.concat([this.#kept, part]);
    if (this.#layout === undefined && !this.#findLayout(false)) return new Uint8Array();
    return this.#takeEntries();
  }

  end(): ReadInParts {
    if (this.#layout === undefined) this.#findLayout(true);
    const layout = this.#layout;
    if (layout === undefined) throw new DerError('the CRL is cut short', this.#at);
    const run = this.#takeEntries();
    if (run.length > 0) throw new Error('bug: entries were left over at the end of a CRL');
    if (this.#at < (layout.list?.end ?? layout.beforeEnd))
      throw new DerError('the CRL is cut short', this.#at);
    if (this.#at + this.#kept.length !== layout.end)
      throw new DerError('the CRL does not end where its length says', layout.end);
    // The strict reader takes whole buffers; it is given everything but the entries.
    const tbsRest = this.#kept.subarray(0, layout.tbsEnd - this.#at);
    const tbs = sequence(this.#before, tbsRest);
    const header = readCrlHeader(layout.isSigned ? sequence(tbs, this.#kept.subarray(tbsRest.length)) : tbs);
    if (header.revokedCertificates !== undefined)
      throw new DerError('the CRL has two lists of entries', layout.beforeEnd);
    return { header, hasList: layout.list !== undefined, byteLength: layout.end };
  }

  #findLayout(isEnd: boolean): boolean {
    const layout = layoutOf(this.#kept, isEnd);
    if (layout === undefined) {
      if (isEnd || this.#kept.length > LONGEST_PIECE)
        throw new DerError('this is the beginning of no CRL', 0);
      return false;
    }
    this.#layout = layout;
    this.#digest(this.#kept, 0);
    this.#before = Uint8Array.from(this.#kept.subarray(layout.tbsContentAt, layout.beforeEnd));
    const from = layout.list?.contentAt ?? layout.beforeEnd;
    this.#kept = this.#kept.subarray(from);
    this.#at = from;
    return true;
  }

  #digest(bytes: Uint8Array, at: number): void {
    const { tbsAt = 0, tbsEnd = 0 } = this.#layout ?? {};
    const part = bytes.subarray(Math.max(0, tbsAt - at), Math.max(0, tbsEnd - at));
    if (part.length > 0) this.#onTbs(part);
  }

  #takeEntries(): Uint8Array {
    const listEnd = this.#layout?.list?.end ?? 0;
    const available = Math.max(0, Math.min(this.#kept.length, listEnd - this.#at));
    const length = wholeEntries(this.#kept, available);
    const run = this.#kept.subarray(0, length);
    this.#at += length;
    this.#kept = this.#kept.subarray(length);
    if (this.#at < listEnd && this.#at + this.#kept.length >= listEnd)
      throw new DerError('an entry does not end where the list ends', this.#at);
    if (this.#kept.length > LONGEST_PIECE)
      throw new DerError('a piece of the CRL is absurdly long', this.#at);
    return run;
  }
}

/** How many of the first `available` bytes are whole entries. */
function wholeEntries(bytes: Uint8Array, available: number): number {
  let at = 0;
  while (at + 2 <= available) {
    const first = bytes[at + 1] ?? 0;
    // An entry of ours has one octet of length; whatever has more is measured by the book.
    const end = first < 0x80 ? at + 2 + first : (headerAt(bytes, at, available)?.end ?? available + 1);
    if (end > available) break;
    at = end;
  }
  return at;
}

/** Undefined where more bytes are needed to say. Throws `DerError`. */
function layoutOf(bytes: Uint8Array, isEnd: boolean): Layout | undefined {
  const outer = headerAt(bytes, 0, bytes.length);
  if (outer === undefined) return undefined;
  const first = headerAt(bytes, outer.contentAt, bytes.length);
  if (first === undefined || first.contentAt >= bytes.length) return undefined;
  // A CertificateList begins with a SEQUENCE that does not begin with an OBJECT IDENTIFIER, as an AlgorithmIdentifier does.
  const isSigned = first.tag === 0x30 && bytes[first.contentAt] !== 0x06;
  const tbs = isSigned ? first : outer;
  let at = tbs.contentAt;
  for (const tags of BEFORE_ENTRIES) {
    const next = headerAt(bytes, at, bytes.length);
    if (next === undefined) {
      if (isEnd && at === bytes.length) break;
      return undefined;
    }
    if (!tags.includes(next.tag)) continue;
    if (next.end > bytes.length) return undefined;
    at = next.end;
  }
  if (outer.tag !== 0x30 || tbs.end > outer.end || at > tbs.end)
    throw new DerError('the CRL does not end where its length says', 0);
  const layout = {
    end: outer.end,
    isSigned,
    tbsAt: isSigned ? outer.contentAt : 0,
    tbsContentAt: tbs.contentAt,
    tbsEnd: tbs.end,
    beforeEnd: at,
    list: undefined,
  };
  const next = at < tbs.end ? headerAt(bytes, at, bytes.length) : NOTHING;
  if (next === undefined) return isEnd && at === bytes.length ? layout : undefined;
  if (next.tag !== 0x30) return layout;
  if (next.end > tbs.end) throw new DerError('the list of entries does not end where its length says', at);
  return { ...layout, list: { contentAt: next.contentAt, end: next.end } };
}

const NOTHING = { tag: 0, contentAt: 0, end: 0 };

/** version, signature, issuer, thisUpdate, nextUpdate: the first and the last are optional, the strict reader sees to the rest. */
const BEFORE_ENTRIES: readonly (readonly number[])[] = [[0x02], [0x30], [0x30], [0x17, 0x18], [0x17, 0x18]];

/** Tag and length of the element at `at`; undefined where they are not all there. Throws `DerError`. */
function headerAt(bytes: Uint8Array, at: number, available: number) {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined || at + 2 > available) return undefined;
  if (first < 0x80) return { tag, contentAt: at + 2, end: at + 2 + first };
  const octets = first & 0x7f;
  if (octets === 0 || octets > 4) throw new DerError('the length is absurd', at);
  if (at + 2 + octets > available) return undefined;
  let length = 0;
  for (let index = 0; index < octets; index += 1) length = length * 0x100 + (bytes[at + 2 + index] ?? 0);
  if (length < 0x80 || length < 0x100 ** (octets - 1))
    throw new DerError('the length is not in its shortest form', at);
  return { tag, contentAt: at + 2 + octets, end: at + 2 + octets + length };
}
