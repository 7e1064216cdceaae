/**
 * Writing OCSP answers (RFC 6960 §4.2) in the lightweight profile of RFC 9919: one answer about one certificate, the
 * responder named by its key, nextUpdate always, no extensions and so no nonce, since answers are signed before anybody asks.
 */
import { createHash } from 'node:crypto';
import type { CertIdHash } from '../domain/ocsp.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../domain/revocation-reason.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithm.ts';
import { readCertificate } from './certificate.ts';
import {
  bitString,
  contextConstructed,
  contextPrimitive,
  enumerated,
  generalizedTime,
  integerFromHex,
  nullValue,
  octetString,
  oid,
  sequence,
} from './der.ts';
import { inside, readBitString, readWhole } from './der-reader.ts';
import { OCSP_OIDS } from './oids.ts';
import { wholeSecond } from './validity.ts';

/** The digests a CertID may be made with here. SHA-1 names an issuer, it protects nothing: old clients know no other. */
export const CERT_ID_HASHES = ['sha1', 'sha256'] as const satisfies readonly CertIdHash[];

/** OCSPResponseStatus (RFC 6960 §4.2.1) other than successful. */
export const OCSP_ERRORS = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
} as const;

export type OcspError = keyof typeof OCSP_ERRORS;

export type OcspStatus =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly revokedAt: Date; readonly reason: RevocationReason };

/** How a CertID names an issuer. */
export interface IssuerHashes {
  readonly nameHash: Uint8Array;
  readonly keyHash: Uint8Array;
}

/** Digests of the issuer's subject and of its public key's bits. Throws `DerError` for bytes that are no certificate. */
export function issuerHashes(issuerCertificateDer: Uint8Array, hash: CertIdHash): IssuerHashes {
  const { subjectDer, spkiDer } = readCertificate(issuerCertificateDer);
  return { nameHash: digest(hash, subjectDer), keyHash: digest(hash, publicKeyBits(spkiDer)) };
}

/** ResponderID byKey: the SHA-1 of the signer's public key, whatever the CertID is made with (RFC 6960 §4.2.1). */
export const responderKeyHash = (spkiDer: Uint8Array): Uint8Array => digest('sha1', publicKeyBits(spkiDer));

const digest = (hash: CertIdHash, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(hash).update(bytes).digest());

function publicKeyBits(spkiDer: Uint8Array): Uint8Array {
  const spki = inside(readWhole(spkiDer, 'SEQUENCE', 'the public key'));
  spki.take('SEQUENCE');
  return readBitString(spki.take('BIT STRING'));
}

export interface OcspAnswerRequest {
  readonly issuer: IssuerHashes;
  readonly hash: CertIdHash;
  /** `responderKeyHash` of the signer's key. */
  readonly responderKeyHash: Uint8Array;
  readonly serialHex: string;
  readonly status: OcspStatus;
  /** Becomes producedAt and thisUpdate, rounded down to a second. */
  readonly now: Date;
  /** Whole seconds. */
  readonly nextUpdate: Date;
}

/** DER of ResponseData, the bytes a signature will cover. Linting is `lintOcspAnswer`'s. */
export function encodeOcspAnswer(request: OcspAnswerRequest): Uint8Array {
  const thisUpdate = generalizedTime(new Date(wholeSecond(request.now.getTime())));
  return sequence(
    contextConstructed(2, octetString(request.responderKeyHash)),
    thisUpdate,
    sequence(
      sequence(
        encodeCertId(request.hash, request.issuer, request.serialHex),
        encodeStatus(request.status),
        thisUpdate,
        contextConstructed(0, generalizedTime(request.nextUpdate)),
      ),
    ),
  );
}

/** CertID, with the NULL parameters that every client writes and reads. */
export const encodeCertId = (hash: CertIdHash, issuer: IssuerHashes, serialHex: string): Uint8Array =>
  sequence(
    sequence(oid(OCSP_OIDS[hash]), nullValue()),
    octetString(issuer.nameHash),
    octetString(issuer.keyHash),
    integerFromHex(serialHex),
  );

function encodeStatus(status: OcspStatus): Uint8Array {
  if (status.kind === 'good') return contextPrimitive(0, new Uint8Array());
  return contextConstructed(
    1,
    generalizedTime(new Date(wholeSecond(status.revokedAt.getTime()))),
    contextConstructed(0, enumerated(REVOCATION_REASONS[status.reason])),
  );
}

/** OCSPResponse, successful, with the signer's certificate inside, DER. */
export function assembleOcspAnswer(
  tbsDer: Uint8Array,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
  signerCertificateDer: Uint8Array,
): Uint8Array {
  const basic = sequence(
    tbsDer,
    SIGNATURE_ALGORITHMS[algorithm].der,
    bitString(signature),
    contextConstructed(0, sequence(signerCertificateDer)),
  );
  return sequence(
    enumerated(0),
    contextConstructed(0, sequence(oid(OCSP_OIDS.basicResponse), octetString(basic))),
  );
}

/** OCSPResponse that only says what went wrong; never signed (RFC 6960 §2.3). */
export const ocspError = (error: OcspError): Uint8Array => sequence(enumerated(OCSP_ERRORS[error]));

/** OCSPRequest for one certificate, without extensions, as RFC 9919 §3.1.1 has it, DER. */
export const encodeOcspRequest = (hash: CertIdHash, issuer: IssuerHashes, serialHex: string): Uint8Array =>
  sequence(sequence(sequence(sequence(encodeCertId(hash, issuer, serialHex)))));
