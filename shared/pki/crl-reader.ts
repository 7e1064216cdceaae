/**
 * Reading CRLs, strictly and in one pass (object-building parsers need gigabytes for a hundred thousand entries).
 * Anybody's CRL can be read, so that a published one can be compared with what should be there.
 */
import { verify } from 'node:crypto';
import { REVOCATION_REASONS, type RevocationReason } from '../domain/revocation-reason.ts';
import { permanent } from '../errors.ts';
import { SIGNATURE_ALGORITHMS, signatureAlgorithmOf } from './algorithm.ts';
import {
  type RawExtension,
  readExtensionList,
  readExtensionSequence,
  readIssuer,
  type TimeField,
} from './certificate.ts';
import {
  DerCursor,
  DerError,
  type Element,
  inside,
  integerHex,
  readBitString,
  readEnumerated,
  readInteger,
  readTime,
  readWhole,
  sameBytes,
} from './der-reader.ts';
import { CRL_OIDS, EXTENSION_OIDS } from './oids.ts';
import { publicKeyOf } from './public-key.ts';

/** TBSCertList without its entries (RFC 5280 §5.1). */
export interface CrlHeader {
  readonly tbsDer: Uint8Array;
  /** 1 or 2. */
  readonly version: number;
  readonly signatureAlgorithmDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly thisUpdate: TimeField;
  readonly nextUpdate: TimeField | undefined;
  /** The whole list, or undefined where the field is absent. */
  readonly revokedCertificates: Element | undefined;
  readonly extensions: readonly RawExtension[];
  /** Present when a whole CRL was read. */
  readonly signed: { readonly algorithmDer: Uint8Array; readonly signature: Uint8Array } | undefined;
}

/** Reads a CRL or a TBSCertList, DER; entries are not looked at. Throws `DerError`. */
export function readCrlHeader(der: Uint8Array): CrlHeader {
  const outer = inside(readWhole(der, 'SEQUENCE', 'the CRL'));
  // A CertificateList begins with a SEQUENCE, a TBSCertList with its version or, in version 1, an AlgorithmIdentifier
  // (a SEQUENCE that begins with an OBJECT IDENTIFIER).
  if (outer.peek() !== 0x30 || beginsWithOid(der)) return readTbs(der, undefined);
  const tbs = outer.take('SEQUENCE').der;
  const algorithmDer = outer.take('SEQUENCE').der;
  const signature = readBitString(outer.take('BIT STRING'));
  outer.end('the CRL');
  return readTbs(tbs, { algorithmDer, signature });
}

const beginsWithOid = (der: Uint8Array) =>
  inside(inside(readWhole(der, 'SEQUENCE', 'the CRL')).take('SEQUENCE')).peek() === 0x06;

function readTbs(tbsDer: Uint8Array, signed: CrlHeader['signed']): CrlHeader {
  const body = inside(readWhole(tbsDer, 'SEQUENCE', 'the to-be-signed CRL'));
  const version = body.takeIf(0x02);
  const signatureAlgorithmDer = body.take('SEQUENCE').der;
  const issuerDer = body.take('SEQUENCE').der;
  const thisUpdate = readTime(body.next());
  const next = body.takeIf(0x17) ?? body.takeIf(0x18);
  const revokedCertificates = body.takeIf(0x30);
  const extensions = body.takeIf(0xa0);
  body.end('the to-be-signed CRL');
  return {
    tbsDer,
    version: version === undefined ? 1 : Number(readInteger(version)) + 1,
    signatureAlgorithmDer,
    issuerDer,
    thisUpdate,
    nextUpdate: next === undefined ? undefined : readTime(next),
    revokedCertificates,
    extensions: extensions === undefined ? [] : readExtensionList(extensions),
    signed,
  };
}

export interface RawCrlEntry {
  readonly serialHex: string;
  readonly revocationDate: TimeField;
  /** Empty where the field is absent; a present but empty list is a `DerError`. */
  readonly extensions: readonly RawExtension[];
}

/** The entries of a CRL, one by one. Throws `DerError` when it comes to one that is not well formed. */
export function* crlEntries(header: CrlHeader): Generator<RawCrlEntry> {
  if (header.revokedCertificates === undefined) return;
  const list = inside(header.revokedCertificates);
  while (!list.atEnd) yield readEntry(list).entry;
}

/** The next entry of a list. Throws `DerError`. */
export function readEntry(list: DerCursor): { readonly entry: RawCrlEntry; readonly length: number } {
  const element = list.take('SEQUENCE');
  const body = inside(element);
  const serialHex = integerHex(body.next());
  const revocationDate = readTime(body.next());
  const extensions = body.takeIf(0x30);
  body.end('a CRL entry');
  const entry = {
    serialHex,
    revocationDate,
    extensions: extensions === undefined ? [] : readExtensionSequence(extensions),
  };
  return { entry, length: element.der.length };
}

/**
 * If an entry of the common form begins at `at`, the offset after it, else -1 (and then `crlEntries` says what is there,
 * or what is wrong). The common form is a positive serial of at most 20 octets in shortest form, a UTCTime that exists,
 * and a reason code, not critical, alone. A million entries are looked at in a tenth of a second this way, which
 * building an object for each element cannot do.
 */
export function commonEntryEnd(view: DataView, at: number): number {
  if (at + SHORTEST_ENTRY > view.byteLength) return -1;
  const serialLength = view.getUint8(at + 3);
  const date = at + 4 + serialLength;
  const end = date + 15 + REASON_BYTES;
  if (
    end > view.byteLength ||
    view.getUint16(at) !== (0x3000 | (end - at - 2)) ||
    view.getUint8(at + 2) !== 0x02 ||
    !isShortPositive(view, at + 4, serialLength) ||
    !isUtcTime(view, date) ||
    !isReason(view, date + 15)
  ) {
    return -1;
  }
  return end;
}

/** The view that it takes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const REASON_BYTES = 14;
/** With a serial of one octet. */
const SHORTEST_ENTRY = 5 + 15 + REASON_BYTES;

/** SEQUENCE { SEQUENCE { id-ce-cRLReasons, OCTET STRING { ENUMERATED … up to its one content octet. */
const isReason = (view: DataView, at: number): boolean =>
  view.getInt32(at) === 0x300c_300a &&
  view.getInt32(at + 4) === 0x0603_551d &&
  view.getInt32(at + 8) === 0x1504_030a &&
  view.getUint8(at + 12) === 1;

function isShortPositive(view: DataView, at: number, length: number): boolean {
  const first = view.getUint8(at);
  if (length < 1 || length > 20 || first > 0x7f) return false;
  return first !== 0 || (length > 1 && view.getUint8(at + 1) > 0x7f);
}

/** Days of each month by its number. */
const MONTH_DAYS = Uint8Array.of(0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);

/** UTCTime of 13 octets, YYMMDDHHMMSSZ, naming a moment that exists. */
function isUtcTime(view: DataView, at: number): boolean {
  if (view.getUint16(at) !== 0x170d || view.getUint8(at + 14) !== 0x5a) return false;
  const year = twoDigits(view, at + 2);
  const month = twoDigits(view, at + 4);
  const day = twoDigits(view, at + 6);
  // Years 1950 to 2049 are leap years exactly when their last two digits divide by four.
  const days = month === 2 && year % 4 === 0 ? 29 : (MONTH_DAYS[month] ?? 0);
  return (
    year < 100 &&
    day >= 1 &&
    day <= days &&
    twoDigits(view, at + 8) < 24 &&
    twoDigits(view, at + 10) < 60 &&
    twoDigits(view, at + 12) < 60
  );
}

/** The number that two digits are, by their octets; 255 for what is not two digits. */
const NUMBERS = new Uint8Array(1 << 16).fill(255);
for (let value = 0; value < 100; value += 1) {
  const digits = String(value).padStart(2, '0');
  NUMBERS[(digits.charCodeAt(0) << 8) | digits.charCodeAt(1)] = value;
}

/** 0 to 99, or 255 for what is not two digits. */
const twoDigits = (view: DataView, at: number): number => NUMBERS[view.getUint16(at)] ?? 255;

export interface RevokedCertificate {
  readonly revokedAt: Date;
  /** CRLReason as the CRL has it; undefined where there is none. */
  readonly reasonCode: number | undefined;
  /** The reason's name where it is one of ours. */
  readonly reason: RevocationReason | undefined;
  readonly invalidityDate: Date | undefined;
}

export interface Crl {
  readonly issuerDer: Uint8Array;
  /** Undefined where the extension is missing. */
  readonly crlNumber: bigint | undefined;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  /** The issuer's key identifier, where there is one. */
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  /** By serial, lower-case hex of the content octets, in the CRL's order. */
  readonly entries: ReadonlyMap<string, RevokedCertificate>;
}

/**
 * Reads a whole CRL or a TBSCertList. Throws `publication-refused` (permanent) for bytes that are not one, or that
 * list a serial twice. It does not verify anything: see `verifyCrl`.
 */
export function readCrl(crlDer: Uint8Array): Crl {
  try {
    const header = readCrlHeader(crlDer);
    const entries = revokedCertificates(header);
    return {
      issuerDer: header.issuerDer,
      crlNumber: crlNumberOf(header),
      thisUpdate: header.thisUpdate.at,
      nextUpdate: header.nextUpdate?.at,
      authorityKeyIdentifier: crlKeyIdentifier(header),
      entries,
    };
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw permanent(
      'publication-refused',
      `The CRL cannot be read: ${error.message}. Publish a fresh one in its place.`,
      { cause: error },
    );
  }
}

/** The entries by serial; throws `DerError` when one is malformed or a serial is listed twice. */
function revokedCertificates(header: CrlHeader): ReadonlyMap<string, RevokedCertificate> {
  const sorted = SortedEntries.of(header);
  if (sorted !== undefined) return sorted;
  const entries = new Map<string, RevokedCertificate>();
  for (const entry of crlEntries(header)) {
    if (entries.has(entry.serialHex)) throw new DerError(`serial ${entry.serialHex} is listed twice`, 0);
    entries.set(entry.serialHex, readRevocation(entry));
  }
  return entries;
}

/**
 * The entries of a CRL as our own are: in the common form, or nearly, and ascending. It keeps the offset of each and
 * decodes what it is asked for, where a Map of a million objects would take a third of a gigabyte.
 */
class SortedEntries implements ReadonlyMap<string, RevokedCertificate> {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #offsets: Uint32Array;

  private constructor(bytes: Uint8Array, offsets: Uint32Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#offsets = offsets;
  }

  /** Undefined where serials do not ascend. Throws `DerError` for a malformed entry. */
  static of(header: CrlHeader): SortedEntries | undefined {
    const bytes = header.revokedCertificates?.content ?? new Uint8Array();
    const view = viewOf(bytes);
    // No entry is shorter than twenty octets: serial 3, time 15, header 2.
    let offsets = new Uint32Array(Math.min(1024, bytes.length));
    let count = 0;
    let previous = -1;
    for (let at = 0; at < bytes.length; ) {
      let end = commonEntryEnd(view, at);
      if (end < 0) {
        const entry = readEntry(new DerCursor(bytes.subarray(at), at));
        readRevocation(entry.entry);
        // compareSerials counts on headers of two octets and on positive serials.
        if (entry.length > 129 || /^[89a-f]/.test(entry.entry.serialHex)) return undefined;
        end = at + entry.length;
      }
      if (previous >= 0 && compareSerials(view, previous, view, at) >= 0) return undefined;
      if (count === offsets.length) {
        const grown = new Uint32Array(offsets.length * 2);
        grown.set(offsets);
        offsets = grown;
      }
      offsets[count] = at;
      count += 1;
      previous = at;
      at = end;
    }
    return new SortedEntries(bytes, offsets.subarray(0, count));
  }

  get size(): number {
    return this.#offsets.length;
  }

  get(serialHex: string): RevokedCertificate | undefined {
    const index = this.#find(serialHex);
    return index < 0 ? undefined : readRevocation(this.#at(index));
  }

  has(serialHex: string): boolean {
    return this.#find(serialHex) >= 0;
  }

  forEach(
    visit: (value: RevokedCertificate, key: string, map: ReadonlyMap<string, RevokedCertificate>) => void,
  ): void {
    for (const [serialHex, revoked] of this) visit(revoked, serialHex, this);
  }

  *entries(): MapIterator<[string, RevokedCertificate]> {
    for (let index = 0; index < this.size; index += 1) {
      const entry = this.#at(index);
      yield [entry.serialHex, readRevocation(entry)];
    }
  }

  *keys(): MapIterator<string> {
    for (let index = 0; index < this.size; index += 1) yield this.#at(index).serialHex;
  }

  *values(): MapIterator<RevokedCertificate> {
    for (let index = 0; index < this.size; index += 1) yield readRevocation(this.#at(index));
  }

  [Symbol.iterator](): MapIterator<[string, RevokedCertificate]> {
    return this.entries();
  }

  #at(index: number): RawCrlEntry {
    const at = this.#offsets[index] ?? 0;
    return readEntry(new DerCursor(this.#bytes.subarray(at), at)).entry;
  }

  /** Binary search; -1 where it is not listed. */
  #find(serialHex: string): number {
    if (!/^(?:[0-9a-f]{2})+$/.test(serialHex)) return -1;
    const wanted = serialAsEntry(serialHex);
    let low = 0;
    let high = this.size - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = compareSerials(this.#view, this.#offsets[middle] ?? 0, wanted, 0);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

/** Order of the serials of two entries, both positive and in shortest form: the longer is the greater. */
export function compareSerials(left: DataView, leftAt: number, right: DataView, rightAt: number): number {
  const length = left.getUint8(leftAt + 3);
  const difference = length - right.getUint8(rightAt + 3);
  if (difference !== 0) return difference;
  // Nearly always the first four octets tell two serials apart.
  if (length >= 4) {
    const order = left.getUint32(leftAt + 4) - right.getUint32(rightAt + 4);
    if (order !== 0) return order;
  }
  for (let octet = length >= 4 ? 8 : 4; octet < 4 + length; octet += 1) {
    const order = left.getUint8(leftAt + octet) - right.getUint8(rightAt + octet);
    if (order !== 0) return order;
  }
  return 0;
}

/** A serial in the form of an entry's beginning, for `compareSerials`. */
export function serialAsEntry(serialHex: string): DataView {
  const bytes = Buffer.alloc(4 + serialHex.length / 2);
  bytes[2] = 0x02;
  bytes[3] = serialHex.length / 2;
  bytes.write(serialHex, 4, 'hex');
  return viewOf(bytes);
}

/** The cRLNumber extension; throws `DerError` when it is not an INTEGER. */
export function crlNumberOf(header: Pick<CrlHeader, 'extensions'>): bigint | undefined {
  const extension = header.extensions.find(({ oid }) => oid === CRL_OIDS.cRLNumber);
  return extension === undefined
    ? undefined
    : readInteger(readWhole(extension.value, 'INTEGER', 'the CRL number'));
}

/** keyIdentifier of the authorityKeyIdentifier extension; throws `DerError` when it is malformed. */
export function crlKeyIdentifier(header: Pick<CrlHeader, 'extensions'>): Uint8Array | undefined {
  const extension = header.extensions.find(({ oid }) => oid === EXTENSION_OIDS.authorityKeyIdentifier);
  if (extension === undefined) return undefined;
  return inside(readWhole(extension.value, 'SEQUENCE', 'the key identifier')).takeIf(0x80)?.content;
}

const REASON_BY_CODE = new Map<number, RevocationReason>(
  (Object.keys(REVOCATION_REASONS) as readonly RevocationReason[]).map((reason) => [
    REVOCATION_REASONS[reason],
    reason,
  ]),
);

/** Reason and invalidity date of an entry; throws `DerError` when either is malformed. */
export function readRevocation(entry: RawCrlEntry): RevokedCertificate {
  let reasonCode: number | undefined;
  let invalidityDate: Date | undefined;
  for (const { oid, value } of entry.extensions) {
    if (oid === CRL_OIDS.reasonCode) {
      reasonCode = readEnumerated(readWhole(value, 'ENUMERATED', 'the reason'));
    } else if (oid === CRL_OIDS.invalidityDate) {
      const cursor = new DerCursor(value);
      invalidityDate = readTime(cursor.take('GeneralizedTime')).at;
      cursor.end('the invalidity date');
    }
  }
  return {
    revokedAt: entry.revocationDate.at,
    reasonCode,
    reason: reasonCode === undefined ? undefined : REASON_BY_CODE.get(reasonCode),
    invalidityDate,
  };
}

/**
 * Whether a CRL is this issuer's: its name, its key identifier, and a signature that verifies. False too for bytes
 * that are no CRL. Throws `issuer-not-ready` for an issuer's certificate that cannot be read.
 */
export function verifyCrl(crlDer: Uint8Array, issuerCertificateDer: Uint8Array): boolean {
  const issuer = readIssuer(issuerCertificateDer);
  try {
    const header = readCrlHeader(crlDer);
    const algorithm = signatureAlgorithmOf(header.signatureAlgorithmDer);
    const identifier = crlKeyIdentifier(header);
    const wanted = issuer.extensions.subjectKeyIdentifier;
    if (header.signed === undefined || algorithm === undefined) return false;
    if (identifier === undefined || wanted === undefined || !sameBytes(identifier, wanted)) return false;
    if (!sameBytes(header.signed.algorithmDer, header.signatureAlgorithmDer)) return false;
    if (!sameBytes(header.issuerDer, issuer.certificate.subjectDer)) return false;
    const key = publicKeyOf(issuer.certificate.spkiDer);
    return verify(SIGNATURE_ALGORITHMS[algorithm].hash, header.tbsDer, key, header.signed.signature);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
