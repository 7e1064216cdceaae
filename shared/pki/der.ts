/**
 * A writer of DER (ITU-T X.690 §8 and §10): just the types that certificates, CRLs and certs-only PKCS#7 need. It is
 * deliberately apart from `der-reader.ts`: the two share no code, so a mistake in one is seen by the other.
 *
 * Each function answers one complete tag-length-value. Contents are concatenated, never re-encoded, so bytes copied
 * from another structure (an issuer's name, a public key) come out exactly as they went in.
 */

/** Identifier octets: universal class unless said otherwise. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  bmpString: 0x1e,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Length octets in the shortest form, as DER demands (X.690 §10.1). */
export function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 0x100)) octets.unshift(rest % 0x100);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

/** One tag-length-value around contents that are already encoded. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  return Buffer.concat([Uint8Array.of(tag), derLength(length), ...contents]);
}

export const sequence = (...contents: readonly Uint8Array[]) => tlv(TAG.sequence, ...contents);

/** SET OF with one member, as names have it. */
export const setOfOne = (member: Uint8Array) => tlv(TAG.set, member);

/** `[number]`, constructed: an EXPLICIT tag around contents, or an IMPLICIT one over a constructed type. */
export const contextConstructed = (number: number, ...contents: readonly Uint8Array[]) =>
  tlv(0xa0 | number, ...contents);

/** `[number] IMPLICIT` over a primitive type. */
export const contextPrimitive = (number: number, content: Uint8Array) => tlv(0x80 | number, content);

/** DER writes TRUE as FF; FALSE is always a DEFAULT in our structures and therefore never written. */
export const booleanTrue = () => tlv(TAG.boolean, Uint8Array.of(0xff));

export const nullValue = () => tlv(TAG.null);

/** A non-negative INTEGER in the fewest octets, with a leading zero where the top bit would read as a sign. */
export function integer(value: bigint | number): Uint8Array {
  const number = BigInt(value);
  if (number < 0n) throw new RangeError('Only non-negative INTEGERs are written here.');
  const hex = number.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const octets = Buffer.from(even, 'hex');
  const first = octets[0] ?? 0;
  return first >= 0x80 ? tlv(TAG.integer, Uint8Array.of(0), octets) : tlv(TAG.integer, octets);
}

/** An INTEGER whose content octets are given as hex, such as a serial as the ledger stores it. */
export const integerFromHex = (contentHex: string) => tlv(TAG.integer, Buffer.from(contentHex, 'hex'));

export const enumerated = (value: number) => tlv(TAG.enumerated, Uint8Array.of(value));

export const octetString = (content: Uint8Array) => tlv(TAG.octetString, content);

/** A BIT STRING of whole octets: signatures and public keys. */
export const bitString = (content: Uint8Array) => tlv(TAG.bitString, Uint8Array.of(0), content);

/**
 * A BIT STRING with named bits, such as KeyUsage: bit 0 is the most significant bit of the first octet, and trailing
 * zero bits are cut off (X.690 §11.2.2).
 */
export function namedBits(bits: readonly number[]): Uint8Array {
  if (bits.length === 0) return tlv(TAG.bitString, Uint8Array.of(0));
  const highest = Math.max(...bits);
  const octets = new Uint8Array(Math.floor(highest / 8) + 1);
  for (const bit of bits) {
    const index = Math.floor(bit / 8);
    octets[index] = (octets[index] ?? 0) | (0x80 >> (bit % 8));
  }
  return tlv(TAG.bitString, Uint8Array.of(7 - (highest % 8)), octets);
}

/** An OBJECT IDENTIFIER from its dotted form; throws `RangeError` for anything that is not one. */
export function oid(dotted: string): Uint8Array {
  if (!isDottedOid(dotted)) throw new RangeError(`"${dotted}" is not an object identifier.`);
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    octets.push(...groups);
  }
  return tlv(TAG.oid, Uint8Array.from(octets));
}

/** Whether a text is the dotted form of an object identifier (X.660: first arc 0–2, second below 40 under 0 and 1). */
export function isDottedOid(text: string): boolean {
  if (!/^[012](\.(0|[1-9]\d*))+$/.test(text)) return false;
  const [first, second] = text.split('.');
  return first === '2' || Number(second) < 40;
}

/** SET OF, its members in the order of their encodings, as DER wants them (X.690 §11.6). */
export const setOf = (members: readonly Uint8Array[]) => tlv(TAG.set, ...members.toSorted(Buffer.compare));

/** BMPString: UTF-16, high octet first. */
export const bmpString = (text: string) => tlv(TAG.bmpString, Buffer.from(text, 'utf16le').swap16());

export const utf8String = (text: string) => tlv(TAG.utf8String, Buffer.from(text, 'utf8'));

export function printableString(text: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) {
    throw new RangeError('The text has characters that a PrintableString cannot hold.');
  }
  return tlv(TAG.printableString, Buffer.from(text, 'latin1'));
}

/** Bytes of an IA5String, for use under an IMPLICIT tag. Throws `RangeError` for anything beyond ASCII. */
export function ia5Bytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.some((byte) => byte > 0x7f)) throw new RangeError('An IA5String holds ASCII only.');
  return bytes;
}

export const ia5String = (text: string) => tlv(TAG.ia5String, ia5Bytes(text));

/**
 * Time as RFC 5280 §4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050, Zulu, whole seconds. Throws
 * `RangeError` for an instant with milliseconds (round first: rounding here would hide a mistake) or before 1950.
 */
export function time(instant: Date): Uint8Array {
  const year = instant.getUTCFullYear();
  if (year < 1950) throw new RangeError('A certificate cannot name a year before 1950.');
  return year < 2050
    ? tlv(TAG.utcTime, Buffer.from(zulu(instant).slice(2), 'latin1'))
    : generalizedTime(instant);
}

/** GeneralizedTime whatever the year, as the invalidityDate of a CRL entry wants it (RFC 5280 §5.3.2). */
export const generalizedTime = (instant: Date) =>
  tlv(TAG.generalizedTime, Buffer.from(zulu(instant), 'latin1'));

function zulu(instant: Date): string {
  if (instant.getUTCMilliseconds() !== 0) {
    throw new RangeError('Times in certificates and CRLs have whole seconds; round the instant down first.');
  }
  if (instant.getUTCFullYear() > 9999) throw new RangeError('A certificate cannot name a year after 9999.');
  return `${instant.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}
