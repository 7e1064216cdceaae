/**
 * Reading CRLs, strictly and in one pass (object-building parsers need gigabytes for a hundred thousand entries).
 * Anybody's CRL can be read, so that a published one can be compared with what should be there.
 */
import { createPublicKey, verify } from 'node:crypto';
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
  while (!list.atEnd) {
    const entry = inside(list.take('SEQUENCE'));
    const serialHex = integerHex(entry.next());
    const revocationDate = readTime(entry.next());
    const extensions = entry.takeIf(0x30);
    entry.end('a CRL entry');
    yield {
      serialHex,
      revocationDate,
      extensions: extensions === undefined ? [] : readExtensionSequence(extensions),
    };
  }
}

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
    const entries = new Map<string, RevokedCertificate>();
    for (const entry of crlEntries(header)) {
      if (entries.has(entry.serialHex)) throw new DerError(`serial ${entry.serialHex} is listed twice`, 0);
      entries.set(entry.serialHex, readRevocation(entry));
    }
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
    const key = createPublicKey({
      key: Buffer.from(issuer.certificate.spkiDer),
      format: 'der',
      type: 'spki',
    });
    return verify(SIGNATURE_ALGORITHMS[algorithm].hash, header.tbsDer, key, header.signed.signature);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
