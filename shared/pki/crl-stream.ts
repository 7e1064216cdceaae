/**
 * A signed CRL in pieces, for lists that should be in memory once and no more: a million entries are 51 MB, which the
 * pieces share with the signer, the linter and whoever writes them away.
 */
import { SIGNATURE_ALGORITHMS } from './algorithm.ts';
import { readIssuer } from './certificate.ts';
import { type CrlRequest, crlFrame, encloseBody, header } from './crl.ts';
import { CrlBody, type CrlEntry } from './crl-body.ts';
import { bitString } from './der.ts';
import { assertLintClean } from './finding.ts';
import { assertIssuersKey } from './issuers-key.ts';
import { lintCrlParts } from './lint-crl.ts';
import type { Signer } from './signer.ts';

export interface CrlStreamRequest extends Omit<CrlRequest, 'entries' | 'signatureAlgorithm'> {
  /** Ascending by serial, no serial twice; read once. */
  readonly entries: Iterable<CrlEntry> | AsyncIterable<CrlEntry>;
  readonly signer: Signer;
}

export interface SignedCrl {
  readonly crlNumber: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly entryCount: number;
  readonly byteLength: number;
  /** The CRL's DER from beginning to end. */
  readonly parts: readonly Uint8Array[];
}

/**
 * Encodes, lints, signs and verifies, in this order; answers the CRL in pieces. For the root's own CRL, which no ledger
 * records, and for benchmarks; an issuing CA's CRL goes through an intent (`buildCrl`, then `issueCrl`).
 *
 * Throws `lint-failed`, `issuer-not-ready`, `ca-key-unusable` (permanent); `RangeError` for entries out of order.
 */
export async function streamCrl(request: CrlStreamRequest): Promise<SignedCrl> {
  const { signer, issuerCertificateDer, now } = request;
  const issuer = readIssuer(issuerCertificateDer);
  assertIssuersKey(issuer, signer);
  const frame = crlFrame(issuer, { ...request, signatureAlgorithm: signer.algorithm });
  const body = new CrlBody();
  if (Symbol.iterator in request.entries) for (const entry of request.entries) body.append(entry);
  else for await (const entry of request.entries) body.append(entry);
  const { head, listHeaderLength, tail } = encloseBody(frame, body);
  const blocks = body.blocks;
  assertLintClean(
    lintCrlParts({ head, listHeaderLength, blocks, tail }, { issuerCertificateDer, signingTime: now }),
    `CRL ${request.crlNumber}`,
  );
  const tbsParts = [head, ...blocks, tail];
  // A signer checks what it made; the linter has seen these very pieces.
  const signature =
    signer.signParts === undefined
      ? await signer.sign(Buffer.concat(tbsParts))
      : await signer.signParts(tbsParts);
  const end = Buffer.concat([SIGNATURE_ALGORITHMS[signer.algorithm].der, bitString(signature)]);
  const tbsLength = head.length + body.byteLength + tail.length;
  const start = header(0x30, tbsLength + end.length);
  return {
    crlNumber: request.crlNumber,
    thisUpdate: frame.thisUpdate,
    nextUpdate: frame.nextUpdate,
    entryCount: body.count,
    byteLength: start.length + tbsLength + end.length,
    parts: [start, ...tbsParts, end],
  };
}
