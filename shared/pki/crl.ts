/**
 * Building complete version 2 CRLs (RFC 5280 §5). No issuingDistributionPoint: NSS and dirmngr refuse it as an unknown
 * critical extension. Time and memory grow with the number of entries and no faster.
 *
 * There are two ways to one: `buildCrl` gives the to-be-signed bytes in one buffer, for a short list; `CrlBuilder` (in
 * `crl-builder.ts`) gives them away as they come, for one that should not be in memory.
 */
import type { CrlEntry } from '../domain/packed-entries.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm, signatureAlgorithmFor } from './algorithm.ts';
import { type IssuerCertificate, issuerKeyIdentifier, readIssuer } from './certificate.ts';
import { CrlBody } from './crl-body.ts';
import { crlSchedule } from './crl-schedule.ts';
import { bitString, contextConstructed, derLength, integer, sequence, time } from './der.ts';
import { assertLintClean } from './finding.ts';
import { lintCrl } from './lint-crl.ts';
import { CRL_OIDS, EXTENSION_OIDS } from './oids.ts';
import { encodeAuthorityKeyIdentifier, encodeExtension } from './tbs.ts';
import { wholeSecond } from './validity.ts';

export type { CrlEntry } from '../domain/packed-entries.ts';

export interface CrlRequest {
  readonly issuerCertificateDer: Uint8Array;
  /** 0 or more, greater than that of any CRL of this issuer before. */
  readonly crlNumber: bigint;
  /** Becomes thisUpdate, rounded down to a second. */
  readonly now: Date;
  /** Ascending by serial, no serial twice; read once. Or encoded already, for entries that come a page at a time. */
  readonly entries: Iterable<CrlEntry> | CrlBody;
  /** How the issuer will sign. Default sha256WithRSA, or the ECDSA algorithm of the issuer's curve. */
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
  const frame = crlFrame(issuer, request);
  const body = request.entries instanceof CrlBody ? request.entries : encoded(request.entries);
  const { head, tail } = encloseBody(frame, body);
  const tbsDer = Buffer.concat([head, ...body.blocks, tail]);
  assertLintClean(
    lintCrl(tbsDer, { issuerCertificateDer: request.issuerCertificateDer, signingTime: request.now }),
    `CRL ${request.crlNumber}`,
  );
  const { thisUpdate, nextUpdate } = frame;
  return { tbsDer, crlNumber: request.crlNumber, thisUpdate, nextUpdate, entryCount: body.count };
}

function encoded(entries: Iterable<CrlEntry>): CrlBody {
  const body = new CrlBody();
  for (const entry of entries) body.append(entry);
  return body;
}

/** What stands around the entries of a TBSCertList. */
export interface CrlFrame {
  readonly algorithm: SignatureAlgorithm;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** version to nextUpdate. */
  readonly before: Uint8Array;
  /** crlExtensions. */
  readonly after: Uint8Array;
}

/** The frame of an issuer's next CRL. Throws `issuer-not-ready`, and `RangeError` for a negative number. */
export function crlFrame(issuer: IssuerCertificate, request: Omit<CrlRequest, 'entries'>): CrlFrame {
  const algorithm = request.signatureAlgorithm ?? signatureAlgorithmFor(issuer.certificate.spkiDer);
  const thisUpdate = new Date(wholeSecond(request.now.getTime()));
  const nextUpdate = new Date(thisUpdate.getTime() + crlSchedule(issuer.certificate).validForMs);
  const before = Buffer.concat([
    integer(1),
    SIGNATURE_ALGORITHMS[algorithm].der,
    issuer.certificate.subjectDer,
    time(thisUpdate),
    time(nextUpdate),
  ]);
  const after = contextConstructed(
    0,
    sequence(
      encodeExtension(
        EXTENSION_OIDS.authorityKeyIdentifier,
        false,
        encodeAuthorityKeyIdentifier(issuerKeyIdentifier(issuer)),
      ),
      encodeExtension(CRL_OIDS.cRLNumber, false, integer(request.crlNumber)),
    ),
  );
  return { algorithm, thisUpdate, nextUpdate, before, after };
}

/**
 * What comes before and after the entries in a TBSCertList, headers included. Where nothing is revoked the list is
 * absent, not empty (RFC 5280 §5.1.2.6).
 */
export function encloseBody(
  frame: CrlFrame,
  body: Pick<CrlBody, 'byteLength' | 'count'>,
): { readonly head: Uint8Array; readonly listHeaderLength: number; readonly tail: Uint8Array } {
  const listHeader = body.count === 0 ? new Uint8Array() : header(0x30, body.byteLength);
  const length = frame.before.length + listHeader.length + body.byteLength + frame.after.length;
  return {
    head: Buffer.concat([header(0x30, length), frame.before, listHeader]),
    listHeaderLength: listHeader.length,
    tail: frame.after,
  };
}

/** Tag and length of an element whose contents follow. */
export const header = (tag: number, contentLength: number): Uint8Array =>
  Buffer.concat([Uint8Array.of(tag), derLength(contentLength)]);

/** CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue }, DER. */
export const assembleCrl = (
  tbsDer: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array => sequence(tbsDer, SIGNATURE_ALGORITHMS[algorithm].der, bitString(signature));
