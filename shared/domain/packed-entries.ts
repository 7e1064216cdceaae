/**
 * Entries of a CRL in one buffer, as the ledger hands them out: a million objects, each with a string and a date or two, cost more than
 * encoding and signing them. An entry is
 *
 *     1 octet    how many octets its serial has
 *     1 to 20    the serial, an INTEGER's content octets
 *     8          when it was revoked: milliseconds since 1970 as a float64, big-endian
 *     8          the invalidity date in the same form, NaN where there is none
 *     1          CRLReason
 *
 * and the next one follows.
 */
import { REVOCATION_REASONS, type RevocationReason } from './revocation-reason.ts';

/** One revoked certificate. */
export interface CrlEntry {
  /** Lower-case hex of the serial's content octets. */
  readonly serialHex: string;
  /** Rounded down to a second where it is written into a CRL, as is the other date. */
  readonly revokedAt: Date;
  readonly reason: RevocationReason;
  /** When the key is known or believed to have gone bad, where an admin gave it. */
  readonly invalidityDate?: Date;
}

/** Offsets from the end of the serial. */
export const REVOKED_AT = 0;
export const INVALIDITY_DATE = 8;
export const REASON = 16;
/** What follows the serial. */
export const AFTER_SERIAL = 17;
const MOST_SERIAL_OCTETS = 20;
export const LONGEST_PACKED_ENTRY = 1 + MOST_SERIAL_OCTETS + AFTER_SERIAL;

/**
 * Writes an entry at `at`, where there is room for the longest; answers the offset after it. Throws `RangeError` for a serial that is
 * not one, for a reason that is none of ours and for a date that is none.
 */
export function packEntry(view: DataView, at: number, entry: CrlEntry): number {
  const after = packSerial(view, at, entry.serialHex);
  const code: number | undefined = REVOCATION_REASONS[entry.reason];
  if (code === undefined)
    throw new RangeError(`"${String(entry.reason)}" is not a reason a CRL of ours gives.`);
  view.setFloat64(after + REVOKED_AT, instantOf(entry.revokedAt));
  view.setFloat64(
    after + INVALIDITY_DATE,
    entry.invalidityDate === undefined ? Number.NaN : instantOf(entry.invalidityDate),
  );
  view.setUint8(after + REASON, code);
  return after + AFTER_SERIAL;
}

export function packEntries(entries: readonly CrlEntry[]): Uint8Array {
  const packed = new Uint8Array(entries.length * LONGEST_PACKED_ENTRY);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const entry of entries) at = packEntry(view, at, entry);
  return packed.subarray(0, at);
}

/** How many entries there are, and the last one's serial in lower-case hex. Throws as nothing: whoever reads them finds what is wrong. */
export function measured(packed: Uint8Array): { readonly count: number; readonly lastSerialHex: string } {
  let count = 0;
  let last = 0;
  for (let at = 0; at < packed.length; at += 1 + (packed[at] ?? 0) + AFTER_SERIAL) {
    last = at;
    count += 1;
  }
  const serial = packed.subarray(last + 1, last + 1 + (packed[last] ?? 0));
  return { count, lastSerialHex: Buffer.from(serial).toString('hex') };
}

function instantOf(date: Date): number {
  const instant = date.getTime();
  if (Number.isNaN(instant)) throw new RangeError('A date of a CRL entry is none.');
  return instant;
}

function packSerial(view: DataView, at: number, serialHex: string): number {
  const digits = serialHex.length;
  let after = at + 1;
  // All octets and all character codes together: one look at the end says whether each was a digit.
  let octets = 0;
  let codes = 0;
  const isPlausible = digits >= 2 && digits <= 2 * MOST_SERIAL_OCTETS && digits % 2 === 0;
  for (let index = 0; isPlausible && index < digits; index += 2) {
    const high = serialHex.charCodeAt(index);
    const low = serialHex.charCodeAt(index + 1);
    const octet = HEX_PAIRS[((high & 0x7f) << 7) | (low & 0x7f)] ?? NO_OCTET;
    codes |= high | low;
    octets |= octet;
    view.setUint8(after, octet);
    after += 1;
  }
  if (!isPlausible || octets >= NO_OCTET || codes > 0x7f)
    throw new RangeError(`"${serialHex}" is not a serial in lower-case hex.`);
  view.setUint8(at, digits / 2);
  return after;
}

const NO_OCTET = 0x100;
/**
 * The octet that two lower-case hex digits are, by seven bits of each character code. A pair at a time is half of the
 * look-ups.
 */
const HEX_PAIRS = new Uint16Array(1 << 14).fill(NO_OCTET);
for (let octet = 0; octet < 256; octet += 1) {
  const digits = octet.toString(16).padStart(2, '0');
  HEX_PAIRS[(digits.charCodeAt(0) << 7) | digits.charCodeAt(1)] = octet;
}
