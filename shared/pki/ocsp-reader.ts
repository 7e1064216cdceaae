/**
 * Reading OCSP requests, which come from anybody, and OCSP answers, strictly. Shares no code with `ocsp.ts`. Everything it
 * refuses is a `DerError`; it copies nothing and its work grows with the bytes it is given and no faster.
 */
import { createPublicKey, verify } from 'node:crypto';
import { SIGNATURE_ALGORITHMS, signatureAlgorithmOf } from './algorithm.ts';
import { type Certificate, readCertificate, readExtensionList } from './certificate.ts';
import {
  type DerCursor,
  DerError,
  type Element,
  expectTag,
  inside,
  integerHex,
  readBitString,
  readEnumerated,
  readInteger,
  readOid,
  readTime,
  readWhole,
  sameBytes,
} from './der-reader.ts';
import { OCSP_OIDS } from './oids.ts';

/** CertID of RFC 6960 §4.1.1. */
export interface CertId {
  /** OID of the digest. */
  readonly hashOid: string;
  readonly nameHash: Uint8Array;
  readonly keyHash: Uint8Array;
  /** Lower-case hex of the INTEGER's content octets. */
  readonly serialHex: string;
}

export interface OcspRequest {
  /** One or more. */
  readonly certIds: readonly CertId[];
  /** Octets of the nonce, where there is one. */
  readonly nonce?: Uint8Array;
}

/** RFC 9654 §2.1: a nonce has 1 to 128 octets, and a request with any other is malformed. */
const NONCE_OCTETS = { minimum: 1, maximum: 128 } as const;

/**
 * Reads an OCSPRequest, DER. A signature on it is taken note of by nobody (RFC 9919 §3.1.1). Throws `DerError` for anything
 * that is not one, for a nonce of a forbidden length, and for a critical extension that we do not know.
 */
export function readOcspRequest(requestDer: Uint8Array): OcspRequest {
  const request = inside(readWhole(requestDer, 'SEQUENCE', 'the request'));
  const tbs = inside(request.take('SEQUENCE'));
  const signature = request.takeIf(0xa0);
  if (signature !== undefined) inside(signature).take('SEQUENCE');
  request.end('the request');
  const version = tbs.takeIf(0xa0);
  if (version !== undefined && readInteger(inside(version).take('INTEGER')) !== 0n) {
    throw new DerError('the version is not 1', version.offset);
  }
  const requestor = tbs.takeIf(0xa1);
  if (requestor !== undefined) inside(requestor).next();
  const list = tbs.take('SEQUENCE');
  const extensions = tbs.takeIf(0xa2);
  tbs.end('the to-be-signed request');
  const certIds = readRequestList(list);
  const nonce = extensions === undefined ? undefined : readRequestExtensions(extensions);
  return { certIds, ...(nonce === undefined ? {} : { nonce }) };
}

function readRequestList(list: Element): readonly CertId[] {
  const entries = inside(list);
  const certIds: CertId[] = [];
  while (!entries.atEnd) {
    const entry = inside(entries.take('SEQUENCE'));
    certIds.push(readCertId(entry.take('SEQUENCE')));
    const extensions = entry.takeIf(0xa0);
    if (extensions !== undefined) refuseCritical(extensions);
    entry.end('a request');
  }
  if (certIds.length === 0) throw new DerError('nothing is asked', list.offset);
  return certIds;
}

function readRequestExtensions(wrapper: Element): Uint8Array | undefined {
  const extensions = readExtensionList(wrapper);
  refuseCritical(wrapper, [OCSP_OIDS.nonce]);
  const nonces = extensions.filter(({ oid }) => oid === OCSP_OIDS.nonce);
  if (nonces.length > 1) throw new DerError('there are two nonces', wrapper.offset);
  const [extension] = nonces;
  if (extension === undefined) return undefined;
  const nonce = readWhole(extension.value, 'OCTET STRING', 'the nonce').content;
  if (nonce.length < NONCE_OCTETS.minimum || nonce.length > NONCE_OCTETS.maximum) {
    throw new DerError(`a nonce of ${nonce.length} octets is not allowed`, wrapper.offset);
  }
  return nonce;
}

function refuseCritical(wrapper: Element, known: readonly string[] = []): void {
  const unknown = readExtensionList(wrapper).find(({ oid, critical }) => critical && !known.includes(oid));
  if (unknown !== undefined) {
    throw new DerError(`the critical extension ${unknown.oid} is not known here`, wrapper.offset);
  }
}

function readCertId(element: Element): CertId {
  const body = inside(element);
  const algorithm = inside(body.take('SEQUENCE'));
  const hashOid = readOid(algorithm.next());
  if (!algorithm.atEnd) algorithm.take('NULL');
  algorithm.end('the digest of a CertID');
  const nameHash = body.take('OCTET STRING').content;
  const keyHash = body.take('OCTET STRING').content;
  const serialHex = integerHex(body.take('INTEGER'));
  body.end('a CertID');
  return { hashOid, nameHash, keyHash, serialHex };
}

/** One SingleResponse of RFC 6960 §4.2.1. */
export interface SingleAnswer {
  readonly certId: CertId;
  readonly status: 'good' | 'revoked' | 'unknown';
  readonly revokedAt?: Date;
  readonly reasonCode?: number;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  readonly hasExtensions: boolean;
}

/** ResponseData of RFC 6960 §4.2.1. */
export interface OcspData {
  readonly tbsDer: Uint8Array;
  /** Undefined where the responder is named by its name. */
  readonly responderKeyHash?: Uint8Array;
  readonly producedAt: Date;
  readonly answers: readonly SingleAnswer[];
  readonly hasExtensions: boolean;
}

/** An OCSPResponse: what went wrong, or a signed answer. */
export type OcspResponse =
  | { readonly responseStatus: number; readonly basic?: never }
  | {
      readonly responseStatus: 0;
      readonly basic: {
        readonly data: OcspData;
        readonly algorithmDer: Uint8Array;
        readonly signature: Uint8Array;
        readonly certificatesDer: readonly Uint8Array[];
      };
    };

/** Reads an OCSPResponse, DER. Throws `DerError` for anything that is not one. */
export function readOcspResponse(responseDer: Uint8Array): OcspResponse {
  const response = inside(readWhole(responseDer, 'SEQUENCE', 'the OCSP response'));
  const responseStatus = readEnumerated(response.next());
  const bytes = response.takeIf(0xa0);
  response.end('the OCSP response');
  if (bytes === undefined) {
    if (responseStatus === 0) throw new DerError('the response is successful and says nothing', 0);
    return { responseStatus };
  }
  if (responseStatus !== 0) throw new DerError('the response failed and says something', bytes.offset);
  const wrapper = inside(bytes);
  const pair = inside(wrapper.take('SEQUENCE'));
  wrapper.end('the response bytes');
  const type = readOid(pair.next());
  if (type !== OCSP_OIDS.basicResponse)
    throw new DerError(`${type} is no response type of ours`, bytes.offset);
  const basicDer = pair.take('OCTET STRING').content;
  pair.end('the response bytes');
  return { responseStatus: 0, basic: readBasic(basicDer) };
}

function readBasic(basicDer: Uint8Array) {
  const basic = inside(readWhole(basicDer, 'SEQUENCE', 'the basic response'));
  const data = readOcspData(basic.take('SEQUENCE').der);
  const algorithmDer = basic.take('SEQUENCE').der;
  const signature = readBitString(basic.take('BIT STRING'));
  const wrapper = basic.takeIf(0xa0);
  basic.end('the basic response');
  const certificatesDer: Uint8Array[] = [];
  if (wrapper !== undefined) {
    const outer = inside(wrapper);
    const list = inside(outer.take('SEQUENCE'));
    outer.end('the certificates');
    while (!list.atEnd) certificatesDer.push(list.take('SEQUENCE').der);
  }
  return { data, algorithmDer, signature, certificatesDer };
}

/** Reads a ResponseData, DER. Throws `DerError` for anything that is not one. */
export function readOcspData(tbsDer: Uint8Array): OcspData {
  const body = inside(readWhole(tbsDer, 'SEQUENCE', 'the response data'));
  const version = body.takeIf(0xa0);
  if (version !== undefined) throw new DerError('the version is not 1, or spelled out', version.offset);
  const responder = body.next();
  if (responder.tag !== 0xa1 && responder.tag !== 0xa2) {
    throw new DerError('the responder is not named', responder.offset);
  }
  const producedAt = readGeneralized(body.next());
  const list = inside(body.take('SEQUENCE'));
  const extensions = body.takeIf(0xa1);
  body.end('the response data');
  const answers: SingleAnswer[] = [];
  while (!list.atEnd) answers.push(readSingle(list.take('SEQUENCE')));
  return {
    tbsDer,
    ...(responder.tag === 0xa2 ? { responderKeyHash: readOnly(responder, 'OCTET STRING').content } : {}),
    producedAt,
    answers,
    hasExtensions: extensions !== undefined,
  };
}

function readSingle(element: Element): SingleAnswer {
  const body = inside(element);
  const certId = readCertId(body.take('SEQUENCE'));
  const status = readStatus(body);
  const thisUpdate = readGeneralized(body.next());
  const nextUpdate = body.takeIf(0xa0);
  const extensions = body.takeIf(0xa1);
  body.end('an answer');
  return {
    certId,
    ...status,
    thisUpdate,
    ...(nextUpdate === undefined
      ? {}
      : { nextUpdate: readGeneralized(readOnly(nextUpdate, 'GeneralizedTime')) }),
    hasExtensions: extensions !== undefined,
  };
}

function readStatus(body: DerCursor): Pick<SingleAnswer, 'status' | 'revokedAt' | 'reasonCode'> {
  const element = body.next();
  switch (element.tag) {
    case 0x80:
    case 0x82:
      if (element.content.length > 0) throw new DerError('a status has contents', element.offset);
      return { status: element.tag === 0x80 ? 'good' : 'unknown' };
    case 0xa1: {
      const info = inside(element);
      const revokedAt = readGeneralized(info.next());
      const reason = info.takeIf(0xa0);
      info.end('a revocation');
      if (reason === undefined) return { status: 'revoked', revokedAt };
      return { status: 'revoked', revokedAt, reasonCode: readEnumerated(readOnly(reason, 'ENUMERATED')) };
    }
    default:
      throw new DerError('a status is none of the three', element.offset);
  }
}

/** The one element inside an explicit tag. */
function readOnly(wrapper: Element, name: 'OCTET STRING' | 'GeneralizedTime' | 'ENUMERATED'): Element {
  const body = inside(wrapper);
  const element = body.take(name);
  body.end(name);
  return element;
}

const readGeneralized = (element: Element): Date => readTime(expectTag(element, 'GeneralizedTime')).at;

/**
 * Whether the signature of an answer verifies under the certificate it brings, and that certificate under the issuer's:
 * the direct issue that RFC 6960 §4.2.2.2 demands of a delegated responder. Its profile is the linter's business.
 */
export function verifyOcspAnswer(
  basic: NonNullable<OcspResponse['basic']>,
  issuerCertificateDer: Uint8Array,
): boolean {
  const [signerDer] = basic.certificatesDer;
  if (signerDer === undefined) return false;
  const signer = readCertificate(signerDer);
  const issuer = readCertificate(issuerCertificateDer);
  return (
    sameBytes(signer.issuerDer, issuer.subjectDer) &&
    isSigned(signer.tbsDer, signer.outerAlgorithmDer, signer.signature, issuer) &&
    isSigned(basic.data.tbsDer, basic.algorithmDer, basic.signature, signer)
  );
}

function isSigned(
  bytes: Uint8Array,
  algorithmDer: Uint8Array,
  signature: Uint8Array,
  by: Pick<Certificate, 'spkiDer'>,
): boolean {
  const algorithm = signatureAlgorithmOf(algorithmDer);
  if (algorithm === undefined) return false;
  const key = createPublicKey({ key: Buffer.from(by.spkiDer), format: 'der', type: 'spki' });
  return verify(SIGNATURE_ALGORITHMS[algorithm].hash, bytes, key, signature);
}
