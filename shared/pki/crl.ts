/**
 * Building complete version 2 CRLs (RFC 5280 §5), up to the bytes that will be signed. No issuingDistributionPoint:
 * NSS and dirmngr refuse it as an unknown critical extension. Time and memory grow with the number of entries and no
 * faster.
 */
import { REVOCATION_REASONS, type RevocationReason } from '../domain/revocation-reason.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithm.ts';
import { issuerKeyIdentifier, readIssuer } from './certificate.ts';
import { crlSchedule } from './crl-schedule.ts';
import {
  bitString,
  contextConstructed,
  enumerated,
  generalizedTime,
  integer,
  sequence,
  time,
  tlv,
} from './der.ts';
import { DerBuffer } from './der-buffer.ts';
import { assertLintClean } from './finding.ts';
import { lintCrl } from './lint-crl.ts';
import { CRL_OIDS, EXTENSION_OIDS } from './oids.ts';
import { encodeAuthorityKeyIdentifier, encodeExtension } from './tbs.ts';
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

export interface CrlRequest {
  readonly issuerCertificateDer: Uint8Array;
  /** 0 or more, greater than that of any CRL of this issuer before. */
  readonly crlNumber: bigint;
  /** Becomes thisUpdate, rounded down to a second. */
  readonly now: Date;
  /** Ascending by serial, no serial twice; read once, so it may be a stream from the ledger. */
  readonly entries: Iterable<CrlEntry>;
  /** How the issuer will sign. Default sha256WithRSA. */
  readonly signatureAlgorithm?: SignatureAlgorithm;
}

/** A CRL waiting for its signature; what an intent records. */
export interface UnsignedCrl {
  /** DER of TBSCertList. */
  readonly tbsDer: Uint8Array;
  readonly crlNumber: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly entryCount: number;
}

/**
 * Builds and lints. nextUpdate is seven days later for an issuing CA, 183 for a root. Throws `lint-failed`,
 * `issuer-not-ready` (permanent); a plain `RangeError` for entries out of order or a serial that is not one.
 */
export function buildCrl(request: CrlRequest): UnsignedCrl {
  const issuer = readIssuer(request.issuerCertificateDer);
  const thisUpdate = new Date(wholeSecond(request.now.getTime()));
  const nextUpdate = new Date(thisUpdate.getTime() + crlSchedule(issuer.certificate).validForMs);
  const { list, count } = encodeEntries(request.entries);
  const tbsDer = sequence(
    integer(1),
    SIGNATURE_ALGORITHMS[request.signatureAlgorithm ?? 'sha256WithRSA'].der,
    issuer.certificate.subjectDer,
    time(thisUpdate),
    time(nextUpdate),
    // RFC 5280 §5.1.2.6: where nothing is revoked the list must be absent, not empty.
    ...(count === 0 ? [] : [tlv(0x30, list)]),
    contextConstructed(
      0,
      sequence(
        encodeExtension(
          EXTENSION_OIDS.authorityKeyIdentifier,
          false,
          encodeAuthorityKeyIdentifier(issuerKeyIdentifier(issuer)),
        ),
        encodeExtension(CRL_OIDS.cRLNumber, false, integer(request.crlNumber)),
      ),
    ),
  );
  assertLintClean(
    lintCrl(tbsDer, { issuerCertificateDer: request.issuerCertificateDer, signingTime: request.now }),
    `CRL ${request.crlNumber}`,
  );
  return { tbsDer, crlNumber: request.crlNumber, thisUpdate, nextUpdate, entryCount: count };
}

/** CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue }, DER. */
export const assembleCrl = (
  tbsDer: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array => sequence(tbsDer, SIGNATURE_ALGORITHMS[algorithm].der, bitString(signature));

function encodeEntries(entries: Iterable<CrlEntry>): { readonly list: Uint8Array; readonly count: number } {
  const buffer = new DerBuffer();
  let count = 0;
  let previous = '';
  for (const { serialHex, revokedAt, reason, invalidityDate } of entries) {
    assertSerial(serialHex);
    if (!comesAfter(serialHex, previous)) {
      throw new RangeError(
        `CRL entries must ascend by serial without repetition; ${serialHex} follows ${previous}.`,
      );
    }
    const revocationDate = time(new Date(wholeSecond(revokedAt.getTime())));
    const extensions = entryExtensions(reason, invalidityDate);
    const serialLength = serialHex.length / 2;
    buffer.appendHeader(0x30, 2 + serialLength + revocationDate.length + extensions.length);
    buffer.appendHeader(0x02, serialLength);
    buffer.appendHex(serialHex);
    buffer.append(revocationDate);
    buffer.append(extensions);
    previous = serialHex;
    count += 1;
  }
  return { list: buffer.bytes, count };
}

/** crlEntryExtensions of an entry with this reason and no invalidity date; there are only five of them. */
const REASON_ONLY = new Map(
  (Object.keys(REVOCATION_REASONS) as readonly RevocationReason[]).map((reason) => [
    reason,
    sequence(encodeReason(reason)),
  ]),
);

function entryExtensions(reason: RevocationReason, invalidityDate: Date | undefined): Uint8Array {
  const reasonOnly = REASON_ONLY.get(reason);
  if (reasonOnly === undefined)
    throw new RangeError(`"${String(reason)}" is not a reason a CRL of ours gives.`);
  if (invalidityDate === undefined) return reasonOnly;
  const since = generalizedTime(new Date(wholeSecond(invalidityDate.getTime())));
  return sequence(encodeReason(reason), encodeExtension(CRL_OIDS.invalidityDate, false, since));
}

function encodeReason(reason: RevocationReason): Uint8Array {
  return encodeExtension(CRL_OIDS.reasonCode, false, enumerated(REVOCATION_REASONS[reason]));
}

/** Content octets of a positive INTEGER in shortest form, at most 20 (RFC 5280 §4.1.2.2). */
function assertSerial(serialHex: string): void {
  const wellFormed = /^(?:[0-7][0-9a-f])(?:[0-9a-f]{2}){0,19}$/.test(serialHex);
  const padded = serialHex.startsWith('00') && !/^00[89a-f]/.test(serialHex);
  if (!wellFormed || padded) throw new RangeError(`"${serialHex}" is not a serial in lower-case hex.`);
}

/** Numeric order of positive serials in shortest form. */
const comesAfter = (serialHex: string, previous: string): boolean => {
  const one = withoutPadding(serialHex);
  const other = withoutPadding(previous);
  return one.length === other.length ? one > other : one.length > other.length;
};

const withoutPadding = (serialHex: string) => (serialHex.startsWith('00') ? serialHex.slice(2) : serialHex);
