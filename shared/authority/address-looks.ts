/** One look at a public address, by what has to be there. Each throws `NotRight` for an address that answers otherwise. */
import { createHash } from 'node:crypto';
import type { CertIdHash } from '../domain/ocsp.ts';
import { readCertificate, sha256Hex } from '../pki/certificate.ts';
import { CrlPartsReader, passing, readThrough } from '../pki/crl-parts.ts';
import { type CrlHeader, crlNumberOf, readCrlHeader, verifyCrl } from '../pki/crl-reader.ts';
import { CrlVerifier } from '../pki/crl-verifier.ts';
import { DerError, sameBytes } from '../pki/der-reader.ts';
import type { CarriedAddress } from '../pki/issuer-addresses.ts';
import { CERT_ID_HASHES, encodeOcspRequest, issuerHashes } from '../pki/ocsp.ts';
import { readOcspResponse, verifyOcspAnswer } from '../pki/ocsp-reader.ts';
import { OCSP_OIDS } from '../pki/oids.ts';
import { readPkcs7Certificates } from '../pki/pkcs7.ts';
import type { Clock } from '../ports/clock.ts';
import type { PublicAnswer, PublicWeb } from '../ports/public-web.ts';

/** An address that answers, and not as it should. */
export class NotRight extends Error {
  override readonly name = 'NotRight';
}

export interface Look {
  /** Of what came back. */
  readonly sha256Hex: string;
  readonly found: string;
}

interface LookDeps {
  readonly clock: Clock;
  readonly publicWeb: PublicWeb;
}

export interface Looked extends Pick<CarriedAddress, 'url' | 'carrier' | 'authorityDer'> {
  /** Whether it is under our own public name; elsewhere the media type is not ours to choose, and bytes alone are judged. */
  readonly isOurs: boolean;
}

const CRL_TYPE = 'application/pkix-crl';

/** The authority's certificate: its very bytes in a leaf's address; its name and key in a CA's, whose root may be renewed. */
export async function lookAtCertificate({ publicWeb }: LookDeps, address: Looked): Promise<Look> {
  const { body } = expectBody(await publicWeb.get(address.url), address, 'application/pkix-cert');
  const there = address.carrier === 'leaf' ? [body] : certificatesIn(body);
  if (!there.some((der) => isThatOf(address, der))) {
    throw new NotRight(
      `the certificate there is not ${address.carrier === 'leaf' ? 'this issuer’s' : 'that of the CA above'}`,
    );
  }
  return {
    sha256Hex: sha256Hex(body),
    found: address.carrier === 'leaf' ? 'the issuer’s certificate' : 'the certificate of the CA above',
  };
}

function isThatOf({ carrier, authorityDer }: Looked, der: Uint8Array): boolean {
  if (carrier === 'leaf') return sameBytes(der, authorityDer);
  const [found, wanted] = [readCertificate(der), readCertificate(authorityDer)];
  return sameBytes(found.subjectDer, wanted.subjectDer) && sameBytes(found.spkiDer, wanted.spkiDer);
}

/** RFC 5280 §4.2.2.1: one certificate, or a PKCS#7 of several. */
function certificatesIn(body: Uint8Array): readonly Uint8Array[] {
  try {
    return readPkcs7Certificates(body);
  } catch (error) {
    if (error instanceof DerError) return [body];
    throw error;
  }
}

interface FetchedCrl {
  /** Of a CRL that is the authority's. */
  readonly header: CrlHeader | undefined;
  readonly sha256Hex: string;
}

export async function lookAtCrl(deps: LookDeps, address: Looked): Promise<Look> {
  const isLeafs = address.carrier === 'leaf';
  const { header, sha256Hex } = await (isLeafs ? ownCrl : crlAbove)(deps, address);
  if (header === undefined) {
    throw new NotRight(`the CRL there is not ${isLeafs ? 'this issuer’s' : 'that of the CA above'}`);
  }
  const ends = header.nextUpdate?.at;
  if (ends === undefined || ends <= deps.clock.now()) {
    throw new NotRight(`the CRL there ended at ${ends?.toISOString() ?? 'no given time'}`);
  }
  return { sha256Hex, found: `CRL ${crlNumberOf(header)}, good until ${ends.toISOString()}` };
}

/** As it comes: a CRL of a million entries is 51 MB. */
async function ownCrl({ publicWeb }: LookDeps, address: Looked): Promise<FetchedCrl> {
  const { parts } = expectBody(await publicWeb.getParts(address.url), address, CRL_TYPE);
  const verifier = new CrlVerifier(address.authorityDer);
  const digest = createHash('sha256');
  const header = await readCrlParts(
    passing(parts, (part) => digest.update(part)),
    verifier,
  );
  return {
    header: header !== undefined && verifier.verifies(header) ? header : undefined,
    sha256Hex: digest.digest('hex'),
  };
}

/** Of a root, or of another CA of CAs: short, and signed with an algorithm of its own choice. */
async function crlAbove({ publicWeb }: LookDeps, address: Looked): Promise<FetchedCrl> {
  const { body } = expectBody(await publicWeb.get(address.url), address, CRL_TYPE);
  const isTheirs = verifyCrl(body, address.authorityDer);
  return { header: isTheirs ? readCrlHeader(body) : undefined, sha256Hex: sha256Hex(body) };
}

/** Undefined for what is no CRL. */
async function readCrlParts(
  parts: AsyncIterable<Uint8Array>,
  verifier: CrlVerifier,
): Promise<CrlHeader | undefined> {
  try {
    return (await readThrough(parts, new CrlPartsReader(verifier.digest))).header;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

const METHODS = ['GET', 'POST'] as const;

/**
 * Asks about one certificate in the four ways that clients do, all at once: by GET and by POST, with a CertID of SHA-1 and of SHA-256.
 * What stands between a client and the responder may let one through and not another.
 */
export async function lookAtOcsp(deps: LookDeps, address: Looked, serialHex: string): Promise<Look> {
  const questions = CERT_ID_HASHES.flatMap((hash) =>
    METHODS.map((method) => askOcspSayingHow(deps, address, { method, hash, serialHex })),
  );
  const digest = createHash('sha256');
  const ends: Date[] = [];
  for (const answer of await Promise.allSettled(questions)) {
    // Of several failures the first question's is told, whichever came first.
    if (answer.status === 'rejected') throw answer.reason;
    digest.update(answer.value.body);
    ends.push(answer.value.nextUpdate);
  }
  const first = new Date(Math.min(...ends.map((end) => end.getTime())));
  return {
    sha256Hex: digest.digest('hex'),
    found: `answers by GET and POST, with SHA-1 and SHA-256, good until ${first.toISOString()}`,
  };
}

async function askOcspSayingHow(
  deps: LookDeps,
  address: Looked,
  question: Question,
): ReturnType<typeof askOcsp> {
  try {
    return await askOcsp(deps, address, question);
  } catch (error) {
    const why = whyNot(error);
    if (why === undefined) throw error;
    const { method, hash } = question;
    throw new NotRight(`asked by ${method} with ${hash === 'sha1' ? 'SHA-1' : 'SHA-256'}, ${why}`);
  }
}

const whyNot = (error: unknown): string | undefined => {
  if (error instanceof DerError) return `what came back cannot be read: ${error.message}`;
  return error instanceof NotRight ? error.message : undefined;
};

interface Question {
  readonly method: (typeof METHODS)[number];
  readonly hash: CertIdHash;
  readonly serialHex: string;
}

async function askOcsp(
  { clock, publicWeb }: LookDeps,
  address: Looked,
  { method, hash, serialHex }: Question,
): Promise<{ readonly body: Uint8Array; readonly nextUpdate: Date }> {
  const { url, authorityDer } = address;
  const hashes = issuerHashes(authorityDer, hash);
  const request = encodeOcspRequest(hash, hashes, serialHex);
  const { body } = expectBody(
    method === 'POST'
      ? await publicWeb.post(url, request, 'application/ocsp-request')
      : await publicWeb.get(ocspGetUrl(url, request)),
    address,
    'application/ocsp-response',
  );
  const { responseStatus, basic } = readOcspResponse(body);
  const single = basic?.data.answers[0];
  if (basic === undefined || single === undefined) {
    throw new NotRight(`the responder refuses with status ${responseStatus}`);
  }
  if (!verifyOcspAnswer(basic, authorityDer)) throw new NotRight('the answer is not signed for this issuer');
  const { certId, status, nextUpdate } = single;
  if (certId.serialHex !== serialHex || status !== 'good') {
    throw new NotRight(`the answer is about ${certId.serialHex} and says ${status}`);
  }
  const isAsAsked =
    certId.hashOid === OCSP_OIDS[hash] &&
    sameBytes(certId.nameHash, hashes.nameHash) &&
    sameBytes(certId.keyHash, hashes.keyHash);
  if (!isAsAsked) throw new NotRight('the answer names the issuer otherwise than the question did');
  if (nextUpdate === undefined || nextUpdate <= clock.now()) throw new NotRight('the answer is out of date');
  return { body, nextUpdate };
}

/** RFC 6960 appendix A.1: the question in the path, base64, percent-encoded. */
export const ocspGetUrl = (url: string, requestDer: Uint8Array): string =>
  `${url.replace(/\/$/, '')}/${encodeURIComponent(Buffer.from(requestDer).toString('base64'))}`;

function expectBody<Answer extends Pick<PublicAnswer, 'status' | 'contentType'>>(
  answer: Answer,
  { isOurs }: Looked,
  contentType: string,
): Answer {
  if (answer.status >= 300 && answer.status < 400) {
    throw new NotRight(`it redirects (HTTP ${answer.status}), which who checks a certificate may not follow`);
  }
  if (answer.status !== 200) throw new NotRight(`it answers HTTP ${answer.status}`);
  if (isOurs && answer.contentType !== contentType) {
    throw new NotRight(`its content type is "${answer.contentType}" and not ${contentType}`);
  }
  return answer;
}
