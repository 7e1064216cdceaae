/**
 * A strict reader of DER. It accepts only what DER allows, where most libraries accept BER: lengths in the shortest
 * form, no indefinite lengths, one-octet tags, nothing left over. It walks the bytes once and copies nothing, so a
 * CRL with a hundred thousand entries costs no more memory than its bytes (object-building parsers need gigabytes).
 *
 * It shares no code with `der.ts`. Everything it refuses is a `DerError` whose message says what and where.
 */

/** Bytes that are not the DER they should be. `offset` counts from the start of the buffer that was read. */
export class DerError extends Error {
  override readonly name = 'DerError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} (at byte ${offset})`);
    this.offset = offset;
  }
}

/** Names for the identifier octets we meet, for readable errors. */
export const TAGS = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  'BIT STRING': 0x03,
  'OCTET STRING': 0x04,
  NULL: 0x05,
  'OBJECT IDENTIFIER': 0x06,
  ENUMERATED: 0x0a,
  UTF8String: 0x0c,
  PrintableString: 0x13,
  IA5String: 0x16,
  UTCTime: 0x17,
  GeneralizedTime: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

export type TagName = keyof typeof TAGS;

/** One element: a view into the buffer it was read from. */
export interface Element {
  readonly tag: number;
  /** Tag, length and contents. */
  readonly der: Uint8Array;
  readonly content: Uint8Array;
  /** Offset of the tag in the outermost buffer, for errors. */
  readonly offset: number;
}

/** Reads elements one after the other. */
export class DerCursor {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  #position = 0;

  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  get atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  get offset(): number {
    return this.#base + this.#position;
  }

  /** The identifier octet of the next element, or undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#position];
  }

  next(): Element {
    const bytes = this.#bytes;
    const start = this.#position;
    const offset = this.#base + start;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined) throw new DerError('an element is missing', offset);
    if ((tag & 0x1f) === 0x1f) throw new DerError('tags of several octets are not used here', offset);
    if (first === undefined) throw new DerError('the length is missing', offset);
    let length = first;
    let contentStart = start + 2;
    if (first === 0x80) throw new DerError('an indefinite length is not DER', offset);
    if (first > 0x80) {
      const octets = first & 0x7f;
      if (octets > 4) throw new DerError('the length is absurd', offset);
      length = 0;
      for (let index = 0; index < octets; index += 1) {
        length = length * 0x100 + (bytes[contentStart + index] ?? 0);
      }
      if (length < 0x80 || length < 0x100 ** (octets - 1)) {
        throw new DerError('the length is not in its shortest form', offset);
      }
      contentStart += octets;
    }
    const end = contentStart + length;
    if (end > bytes.length) throw new DerError('the contents are cut short', offset);
    this.#position = end;
    return { tag, der: bytes.subarray(start, end), content: bytes.subarray(contentStart, end), offset };
  }

  /** The next element, which must be of this type. */
  take(name: TagName): Element {
    const element = this.next();
    return expectTag(element, name);
  }

  /** The next element if it has this identifier octet. */
  takeIf(tag: number): Element | undefined {
    return this.peek() === tag ? this.next() : undefined;
  }

  end(what: string): void {
    if (!this.atEnd) throw new DerError(`${what} has more elements than it may have`, this.offset);
  }
}

/** The single element that a buffer must consist of. */
export function readWhole(bytes: Uint8Array, name: TagName, what: string): Element {
  const cursor = new DerCursor(bytes);
  const element = cursor.take(name);
  cursor.end(what);
  return element;
}

/** A cursor over the contents of a constructed element. */
export const inside = (element: Element): DerCursor =>
  new DerCursor(element.content, element.offset + element.der.length - element.content.length);

export function expectTag(element: Element, name: TagName): Element {
  if (element.tag !== TAGS[name]) {
    throw new DerError(`expected ${name}, found tag ${element.tag.toString(16)}`, element.offset);
  }
  return element;
}

/** Lower-case hex of an INTEGER's content octets, which must be in their shortest form. */
export function integerHex(element: Element): string {
  const { content } = expectTag(element, 'INTEGER');
  const [first, second] = content;
  if (first === undefined) throw new DerError('an INTEGER has no contents', element.offset);
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError('an INTEGER is not in its shortest form', element.offset);
  }
  return toHex(content);
}

/** An INTEGER as a number of any size; two's complement. */
export function readInteger(element: Element): bigint {
  const hex = integerHex(element);
  const value = BigInt(`0x${hex}`);
  return (element.content[0] ?? 0) < 0x80 ? value : value - (1n << BigInt(element.content.length * 8));
}

export function readEnumerated(element: Element): number {
  const { content } = expectTag(element, 'ENUMERATED');
  const [value] = content;
  if (value === undefined || content.length !== 1) {
    throw new DerError('an ENUMERATED must have one octet here', element.offset);
  }
  return value;
}

/** DER knows 00 and FF only. */
export function readBoolean(element: Element): boolean {
  const { content } = expectTag(element, 'BOOLEAN');
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff)) {
    throw new DerError('a BOOLEAN must be 00 or FF', element.offset);
  }
  return content[0] === 0xff;
}

/** Contents of a BIT STRING that consists of whole octets. */
export function readBitString(element: Element): Uint8Array {
  const { content } = expectTag(element, 'BIT STRING');
  if (content[0] !== 0) throw new DerError('a BIT STRING must consist of whole octets here', element.offset);
  return content.subarray(1);
}

/** Numbers of the set bits; trailing zero bits are not DER for a named-bit list (X.690 §11.2.2). */
export function readNamedBits(element: Element): readonly number[] {
  const { content } = expectTag(element, 'BIT STRING');
  const unused = content[0];
  const octets = content.subarray(1);
  if (unused === undefined || unused > 7) {
    throw new DerError('a BIT STRING says nonsense about its unused bits', element.offset);
  }
  const last = octets.at(-1);
  if (last === undefined) {
    if (unused !== 0) throw new DerError('an empty BIT STRING has no unused bits', element.offset);
    return [];
  }
  if ((last & ((1 << (unused + 1)) - 1)) !== 1 << unused) {
    throw new DerError('a list of named bits ends in zero bits', element.offset);
  }
  const bits: number[] = [];
  octets.forEach((octet, index) => {
    for (let bit = 0; bit < 8; bit += 1) if (octet & (0x80 >> bit)) bits.push(index * 8 + bit);
  });
  return bits;
}

export function readOid(element: Element): string {
  const { content } = expectTag(element, 'OBJECT IDENTIFIER');
  let text = '';
  let arc = 0;
  let open = false;
  for (const octet of content) {
    if (!open && octet === 0x80) throw new DerError('an arc is not in its shortest form', element.offset);
    // UUIDs as arcs (under 2.25) do not fit a number; they are rare, and BigInt costs ten times as much.
    if (arc > LARGEST_BEFORE_SHIFT) return readLongOid(content, element.offset);
    arc = arc * 0x80 + (octet & 0x7f);
    open = octet >= 0x80;
    if (!open) {
      text += text === '' ? firstArcs(arc) : `.${arc}`;
      arc = 0;
    }
  }
  if (open || text === '') throw new DerError('an OBJECT IDENTIFIER is cut short', element.offset);
  return text;
}

const LARGEST_BEFORE_SHIFT = Math.floor(Number.MAX_SAFE_INTEGER / 0x80) - 1;

function readLongOid(content: Uint8Array, offset: number): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  let open = false;
  for (const octet of content) {
    if (!open && octet === 0x80) throw new DerError('an arc is not in its shortest form', offset);
    // Quadratic in the length of an arc, so an arc of a megabyte must not come this far.
    if (arc > 1n << 256n) throw new DerError('an arc is beyond all use', offset);
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    open = octet >= 0x80;
    if (!open) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const [head, ...rest] = arcs;
  if (open || head === undefined) throw new DerError('an OBJECT IDENTIFIER is cut short', offset);
  const first = head < 40n ? 0n : head < 80n ? 1n : 2n;
  return [first, head - first * 40n, ...rest].join('.');
}

/** The first two arcs share one number (X.690 §8.19.4). */
function firstArcs(number: number): string {
  const first = Math.min(2, Math.floor(number / 40));
  return `${first}.${number - first * 40}`;
}

/** A Time of RFC 5280: `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, nothing else (no fractions, no offsets). */
export function readTime(element: Element): { readonly at: Date; readonly form: 'utc' | 'generalized' } {
  const text = Buffer.from(element.content).toString('latin1');
  if (element.tag === TAGS.UTCTime && /^\d{12}Z$/.test(text)) {
    const century = Number(text.slice(0, 2)) >= 50 ? '19' : '20';
    return { at: instant(`${century}${text}`, element.offset), form: 'utc' };
  }
  if (element.tag === TAGS.GeneralizedTime && /^\d{14}Z$/.test(text)) {
    return { at: instant(text, element.offset), form: 'generalized' };
  }
  throw new DerError('a time must be UTCTime or GeneralizedTime with whole seconds and Z', element.offset);
}

/** `YYYYMMDDHHMMSS` and whatever follows. A batch of OCSP answers has thousands of times: no text is made on the way. */
function instant(digits: string, offset: number): Date {
  const two = (from: number) => (digits.charCodeAt(from) - ZERO) * 10 + digits.charCodeAt(from + 1) - ZERO;
  const [year, month, day] = [two(0) * 100 + two(2), two(4) - 1, two(6)];
  const [hour, minute, second] = [two(8), two(10), two(12)];
  const at = new Date(0);
  at.setUTCFullYear(year, month, day);
  at.setUTCHours(hour, minute, second);
  const exists =
    at.getUTCMonth() === month &&
    at.getUTCDate() === day &&
    at.getUTCHours() === hour &&
    at.getUTCMinutes() === minute &&
    at.getUTCSeconds() === second;
  if (!exists) throw new DerError('a time names a moment that does not exist', offset);
  return at;
}

const ZERO = '0'.charCodeAt(0);

export const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** Whether two byte strings are the same; for public data only, as it is not constant-time. */
export const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0;
