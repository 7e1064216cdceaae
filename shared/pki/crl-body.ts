/**
 * The entries of a CRL, encoded (RFC 5280 §5.1: revokedCertificates without its own header). A million of them cost their
 * bytes (51 each) and nothing besides; whoever takes finished blocks away as they come holds one block and no more.
 *
 * Where a block ends is said by the serials in it and not by how many came before: lists that differ in one entry have all
 * blocks but one in common, and the ledger keeps those once.
 */
import { REVOCATION_REASONS, type RevocationReason } from '../domain/revocation-reason.ts';
import { enumerated, generalizedTime, sequence, time } from './der.ts';
import { CRL_OIDS } from './oids.ts';
import { encodeExtension } from './tbs.ts';
import { wholeSecond } from './validity.ts';

/** One revoked certificate; a `RevokedLeaf` of the ledger fits. */
export interface CrlEntry {
  /** Lower-case hex of the serial's content octets. */
  readonly serialHex: string;
  /** Rounded down to a second. */
  readonly revokedAt: Date;
  readonly reason: RevocationReason;
  /** When the key is known or believed to have gone bad, where an admin gave it. Rounded down to a second. */
  readonly invalidityDate?: Date;
}

const BUFFER_BYTES = 1 << 20;
/** A block ends here at the latest. */
const LONGEST_BLOCK = 1 << 18;
/**
 * A block ends after a serial whose last 12 bits are zero: every 4,096 entries (200 kB) on average, as serials are random.
 * Serials that are not would make longer or shorter blocks and change nothing else.
 */
const ENDS_BLOCK = 0xfff;
/** 2 header, 22 serial, 17 time, 12 reason and 27 invalidity date with their header: under 128, so lengths are one octet. */
const LONGEST_ENTRY = 127;

export class CrlBody {
  #finished: Uint8Array[] = [];
  #buffer = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  /** Where the open block begins in the buffer, and where the next entry goes. */
  #start = 0;
  #position = 0;
  /** Bytes in finished blocks, taken or not. */
  #filled = 0;
  #count = 0;
  /** Where the last serial's length octet is. */
  #previousBuffer: Uint8Array = new Uint8Array();
  #previousAt = 0;

  /** Entries so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes so far, those of blocks that were taken included. */
  get byteLength(): number {
    return this.#filled + this.#position - this.#start;
  }

  /** The bytes so far that nobody took, in order; each block holds whole entries. Views, valid until the next `append`. */
  get blocks(): readonly Uint8Array[] {
    return this.#position === this.#start
      ? this.#finished
      : [...this.#finished, this.#buffer.subarray(this.#start, this.#position)];
  }

  /** Blocks that are finished and were not taken yet. They are the caller's from now on. */
  takeFinished(): readonly Uint8Array[] {
    if (this.#finished.length === 0) return [];
    const taken = this.#finished;
    this.#finished = [];
    return taken;
  }

  /** The same when no entry will follow: the open block is finished first. */
  takeRest(): readonly Uint8Array[] {
    this.#finish();
    return this.takeFinished();
  }

  /** A page of them, as `append`: a loop over very many is worth its own compilation. */
  appendAll(entries: readonly CrlEntry[]): void {
    for (const entry of entries) this.append(entry);
  }

  /** Throws `RangeError` for a serial that is not one, or that does not come after the one before. */
  append(entry: CrlEntry): void {
    if (this.#position + LONGEST_ENTRY > this.#buffer.length) this.#nextBuffer();
    const buffer = this.#buffer;
    const start = this.#position;
    const { serialHex } = entry;
    let at = writeSerial(buffer, start + 2, serialHex);
    if (at < 0) throw new RangeError(`"${serialHex}" is not a serial in lower-case hex.`);
    if (this.#count > 0 && !comesAfter(buffer, start + 3, this.#previousBuffer, this.#previousAt)) {
      throw new RangeError(
        `CRL entries must ascend by serial without repetition; ${serialHex} follows ${this.#previousHex()}.`,
      );
    }
    const lastBits = (((buffer[at - 2] ?? 0) << 8) | (buffer[at - 1] ?? 0)) & ENDS_BLOCK;
    at = writeTime(this.#view, at, entry.revokedAt);
    at = writeExtensions(this.#view, at, entry);
    buffer[start] = 0x30;
    buffer[start + 1] = at - start - 2;
    // Said again for each entry it would cost the collector's bookkeeping each time.
    if (this.#previousBuffer !== buffer) this.#previousBuffer = buffer;
    this.#previousAt = start + 3;
    this.#position = at;
    this.#count += 1;
    if (lastBits === 0 || at - this.#start + LONGEST_ENTRY > LONGEST_BLOCK) this.#finish();
  }

  #previousHex(): string {
    const from = this.#previousAt + 1;
    return Buffer.from(this.#previousBuffer).toString(
      'hex',
      from,
      from + (this.#previousBuffer[from - 1] ?? 0),
    );
  }

  #finish(): void {
    if (this.#position === this.#start) return;
    this.#finished.push(this.#buffer.subarray(this.#start, this.#position));
    this.#filled += this.#position - this.#start;
    this.#start = this.#position;
  }

  /** The open block moves along: where it ends must not depend on where a buffer does. */
  #nextBuffer(): void {
    const open = this.#buffer.subarray(this.#start, this.#position);
    this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, BUFFER_BYTES);
    this.#buffer.set(open);
    this.#start = 0;
    this.#position = open.length;
  }
}

const DAY_SECONDS = 86_400;
/** 1950 to 2049, in seconds: RFC 5280 wants UTCTime for these. */
const UTC_TIME_FROM = Date.UTC(1950, 0) / 1000;
const UTC_TIME_UNTIL = Date.UTC(2050, 0) / 1000;

/** A time, rounded down to a second; answers the offset after it. Throws `RangeError` as `time`. */
function writeTime(view: DataView, at: number, instant: Date): number {
  const second = Math.floor(instant.getTime() / 1000);
  if (!(second >= UTC_TIME_FROM && second < UTC_TIME_UNTIL))
    return put(view, at, time(new Date(second * 1000)));
  const sinceFirst = second - UTC_TIME_FROM;
  const day = (sinceFirst / DAY_SECONDS) | 0;
  const rest = (sinceFirst - day * DAY_SECONDS) | 0;
  const minutes = (rest / 60) | 0;
  const hour = (minutes / 60) | 0;
  view.setUint16(at, 0x170d);
  view.setUint32(at + 2, YEARS_AND_MONTHS[day] || writtenDay(day));
  view.setUint16(at + 6, DAYS_OF_MONTH[day] ?? 0);
  view.setUint16(at + 8, TWO_DIGITS[hour] ?? 0);
  view.setUint16(at + 10, TWO_DIGITS[minutes - hour * 60] ?? 0);
  view.setUint16(at + 12, TWO_DIGITS[rest - minutes * 60] ?? 0);
  view.setUint8(at + 14, 0x5a);
  return at + 15;
}

/**
 * The digits YYMM and DD of each day since 1950 that was asked for. In order of serial each entry has another day than the one
 * before, but there are few hundred of them while certificates live.
 */
const YEARS_AND_MONTHS = new Uint32Array((UTC_TIME_UNTIL - UTC_TIME_FROM) / DAY_SECONDS);
const DAYS_OF_MONTH = new Uint16Array(YEARS_AND_MONTHS.length);

function writtenDay(day: number): number {
  const at = new Date((UTC_TIME_FROM + day * DAY_SECONDS) * 1000);
  const year = TWO_DIGITS[at.getUTCFullYear() % 100] ?? 0;
  const month = TWO_DIGITS[at.getUTCMonth() + 1] ?? 0;
  DAYS_OF_MONTH[day] = TWO_DIGITS[at.getUTCDate()] ?? 0;
  const written = year * 0x1_0000 + month;
  YEARS_AND_MONTHS[day] = written;
  return written;
}

/** Two octets that are the digits of 0 to 99. */
const TWO_DIGITS = Uint16Array.from(
  { length: 100 },
  (_, value) => 0x3030 + Math.floor(value / 10) * 0x100 + (value % 10),
);

/** crlEntryExtensions with this reason alone, as `sequence(encodeReason(reason))`: four writes where that is a copy of fourteen octets. */
function writeReason(view: DataView, at: number, code: number): number {
  view.setUint32(at, 0x300c_300a);
  view.setUint32(at + 4, 0x0603_551d);
  view.setUint32(at + 8, 0x1504_030a);
  view.setUint16(at + 12, 0x0100 | code);
  return at + 14;
}

function writeExtensions(view: DataView, at: number, { reason, invalidityDate }: CrlEntry): number {
  const code: number | undefined = REVOCATION_REASONS[reason];
  if (code === undefined) throw new RangeError(`"${String(reason)}" is not a reason a CRL of ours gives.`);
  if (invalidityDate === undefined) return writeReason(view, at, code);
  const since = generalizedTime(new Date(wholeSecond(invalidityDate.getTime())));
  const both = sequence(encodeReason(reason), encodeExtension(CRL_OIDS.invalidityDate, false, since));
  return put(view, at, both);
}

function encodeReason(reason: RevocationReason): Uint8Array {
  return encodeExtension(CRL_OIDS.reasonCode, false, enumerated(REVOCATION_REASONS[reason]));
}

/** Copies byte by byte: for a dozen bytes that is quicker than `set`. Answers the offset after them. */
function put(view: DataView, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) view.setUint8(at + index, bytes[index] ?? 0);
  return at + bytes.length;
}

/**
 * The octet that two lower-case hex digits are, by seven bits of each character code; over 255 for anything else. A pair at a time
 * is half of the look-ups.
 */
const HEX_PAIRS = new Uint16Array(1 << 14).fill(0x100);
for (let octet = 0; octet < 256; octet += 1) {
  const digits = octet.toString(16).padStart(2, '0');
  HEX_PAIRS[(digits.charCodeAt(0) << 7) | digits.charCodeAt(1)] = octet;
}

/**
 * Writes an INTEGER of 1 to 20 octets, positive and in shortest form (RFC 5280 §4.1.2.2). Answers the offset after it,
 * or -1 where the text is no such serial.
 */
function writeSerial(block: Uint8Array, at: number, serialHex: string): number {
  const digits = serialHex.length;
  if (digits < 2 || digits > 40 || digits % 2 !== 0) return -1;
  block[at] = 0x02;
  block[at + 1] = digits / 2;
  const content = at + 2;
  let after = content;
  // All octets and all character codes together: one look at the end says whether each was a digit.
  let octets = 0;
  let codes = 0;
  for (let index = 0; index < digits; index += 2) {
    const high = serialHex.charCodeAt(index);
    const low = serialHex.charCodeAt(index + 1);
    const octet = HEX_PAIRS[((high & 0x7f) << 7) | (low & 0x7f)] ?? 0x100;
    codes |= high | low;
    octets |= octet;
    block[after] = octet;
    after += 1;
  }
  if (octets > 0xff || codes > 0x7f) return -1;
  const first = block[content] ?? 0xff;
  const isPositive = first < 0x80 && (first > 0 || (digits > 2 && (block[content + 1] ?? 0) > 0x7f));
  return isPositive ? after : -1;
}

/** Numeric order of two serials, each with its length before it: of two in shortest form the longer is the greater. */
function comesAfter(block: Uint8Array, at: number, previous: Uint8Array, previousAt: number): boolean {
  const length = block[at] ?? 0;
  const previousLength = previous[previousAt] ?? 0;
  if (length !== previousLength) return length > previousLength;
  for (let index = 1; index <= length; index += 1) {
    const difference = (block[at + index] ?? 0) - (previous[previousAt + index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
