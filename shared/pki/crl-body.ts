/**
 * The entries of a CRL, encoded (RFC 5280 §5.1: revokedCertificates without its own header). A million of them cost their
 * bytes (51 each) and nothing besides; whoever takes finished blocks away as they come holds one block and no more.
 *
 * Where a block ends is said by the serials in it and not by how many came before: lists that differ in one entry have all
 * blocks but one in common, and the ledger keeps those once.
 */
import {
  AFTER_SERIAL,
  type CrlEntry,
  INVALIDITY_DATE,
  LONGEST_PACKED_ENTRY,
  packEntry,
  REASON,
  REVOKED_AT,
} from '../domain/packed-entries.ts';
import { IS_REASON_CODE } from '../domain/revocation-reason.ts';
import { compareSerials } from './crl-reader.ts';
import { enumerated, generalizedTime, sequence, time } from './der.ts';
import { CRL_OIDS } from './oids.ts';
import { encodeExtension } from './tbs.ts';
import { wholeSecond } from './validity.ts';

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
  /** Where the last entry begins. */
  #previousView = this.#view;
  #previousAt = 0;
  readonly #one = new Uint8Array(LONGEST_PACKED_ENTRY);
  readonly #oneView = new DataView(this.#one.buffer);

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

  /** One more. Throws as `appendPacked`. */
  append(entry: CrlEntry): void {
    packEntry(this.#oneView, 0, entry);
    this.#append(this.#one, this.#oneView, 0);
  }

  /**
   * More of them, in the form of `packed-entries.ts`. Throws `RangeError` for a serial that is not one, or that does not come after the
   * one before, and for a time or a reason that no CRL of ours gives.
   */
  appendPacked(entries: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (let at = 0; at < entries.length; ) at = this.#append(entries, view, at);
  }

  /** The entry at `from`; answers the offset after it. */
  #append(entries: Uint8Array, entriesView: DataView, from: number): number {
    if (this.#position + LONGEST_ENTRY > this.#buffer.length) this.#nextBuffer();
    const view = this.#view;
    const start = this.#position;
    const length = entries[from] ?? 0;
    const serialEnd = from + 1 + length;
    if (!isSerial(entries, from) || serialEnd + AFTER_SERIAL > entries.length)
      throw new RangeError(`"${hexAt(entries, from)}" is not a serial.`);
    // Four octets at a time; what is too much is written over by what follows, there and here.
    for (let octet = 0; octet < length; octet += 4)
      view.setInt32(start + 4 + octet, entriesView.getInt32(from + 1 + octet));
    view.setUint8(start + 3, length);
    if (this.#count > 0 && compareSerials(this.#previousView, this.#previousAt, view, start) >= 0) {
      const previous = new Uint8Array(this.#previousView.buffer);
      throw new RangeError(
        `CRL entries must ascend by serial without repetition; ${hexAt(entries, from)} follows ${hexAt(previous, this.#previousAt + 3)}.`,
      );
    }
    let at = start + 4 + length;
    const lastBits = view.getUint16(at - 2) & ENDS_BLOCK;
    at = writeTime(view, at, entriesView.getFloat64(serialEnd + REVOKED_AT));
    const invalidity = entriesView.getFloat64(serialEnd + INVALIDITY_DATE);
    at = writeExtensions(view, at, entries[serialEnd + REASON] ?? 0, invalidity);
    view.setUint8(start, 0x30);
    view.setUint8(start + 1, at - start - 2);
    view.setUint8(start + 2, 0x02);
    // Said again for each entry it would cost the collector's bookkeeping each time.
    if (this.#previousView !== view) this.#previousView = view;
    this.#previousAt = start;
    this.#position = at;
    this.#count += 1;
    if (lastBits === 0 || at - this.#start + LONGEST_ENTRY > LONGEST_BLOCK) this.#finish();
    return serialEnd + AFTER_SERIAL;
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

/** A time in milliseconds, rounded down to a second; answers the offset after it. Throws `RangeError` as `time`. */
function writeTime(view: DataView, at: number, instant: number): number {
  const second = Math.floor(instant / 1000);
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

/** crlEntryExtensions with this reason alone, as the DER writer gives them: four writes where that is a copy of fourteen octets. */
function writeReason(view: DataView, at: number, code: number): number {
  view.setUint32(at, 0x300c_300a);
  view.setUint32(at + 4, 0x0603_551d);
  view.setUint32(at + 8, 0x1504_030a);
  view.setUint16(at + 12, 0x0100 | code);
  return at + 14;
}

/** `invalidity` in milliseconds, NaN where there is none. */
function writeExtensions(view: DataView, at: number, code: number, invalidity: number): number {
  if (IS_REASON_CODE[code] !== 1) throw new RangeError(`${code} is not a reason a CRL of ours gives.`);
  if (Number.isNaN(invalidity)) return writeReason(view, at, code);
  const reason = encodeExtension(CRL_OIDS.reasonCode, false, enumerated(code));
  const since = generalizedTime(new Date(wholeSecond(invalidity)));
  return put(view, at, sequence(reason, encodeExtension(CRL_OIDS.invalidityDate, false, since)));
}

/** Copies byte by byte: for a dozen bytes that is quicker than `set`. Answers the offset after them. */
function put(view: DataView, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) view.setUint8(at + index, bytes[index] ?? 0);
  return at + bytes.length;
}

/** Whether an INTEGER of 1 to 20 octets follows its length at `at`, positive and in shortest form (RFC 5280 §4.1.2.2). */
function isSerial(entries: Uint8Array, at: number): boolean {
  const length = entries[at] ?? 0;
  const first = entries[at + 1] ?? 0xff;
  if (length < 1 || length > 20 || first > 0x7f) return false;
  return first !== 0 || (length > 1 && (entries[at + 2] ?? 0) > 0x7f);
}

/** Of a serial with its length before it. */
const hexAt = (bytes: Uint8Array, at: number): string =>
  Buffer.from(bytes.subarray(at + 1, at + 1 + (bytes[at] ?? 0))).toString('hex');
