/**
 * The readiness gate: an issuer issues nothing until the exact addresses its certificates carry were fetched as anybody
 * would fetch them, and what came back was verified. What was once right stays right: an outage later is logged, for an
 * alarm, and stops no issuance.
 */
import { createHash } from 'node:crypto';
import {
  type AddressKind,
  addressesOf,
  type IssuerAddress,
  type PrintedAddress,
  unverified,
} from '../domain/issuer-address.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent } from '../errors.ts';
import { sha256Hex } from '../pki/certificate.ts';
import { CrlPartsReader, passing, readThrough } from '../pki/crl-parts.ts';
import { type CrlHeader, crlNumberOf } from '../pki/crl-reader.ts';
import { CrlVerifier } from '../pki/crl-verifier.ts';
import { DerError, sameBytes } from '../pki/der-reader.ts';
import type { DecodedExtensions } from '../pki/extensions-reader.ts';
import { encodeOcspRequest, issuerHashes } from '../pki/ocsp.ts';
import { readOcspResponse, verifyOcspAnswer } from '../pki/ocsp-reader.ts';
import { ACCESS_METHOD_OIDS } from '../pki/oids.ts';
import type { Clock } from '../ports/clock.ts';
import type { IssuerAddresses } from '../ports/ledger/issuer-addresses.ts';
import type { OcspLedger } from '../ports/ledger/ocsp.ts';
import type { Log } from '../ports/log.ts';
import type { PublicAnswer, PublicWeb } from '../ports/public-web.ts';
import { currentSigner } from './pre-sign.ts';

export interface ReadinessDeps {
  readonly clock: Clock;
  readonly ledger: IssuerAddresses & Pick<OcspLedger, 'ocspSigners'>;
  readonly publicWeb: PublicWeb;
  readonly log: Log;
}

/** What a certificate carries, from its own bytes. */
export const printedAddresses = (extensions: DecodedExtensions): readonly PrintedAddress[] => [
  ...(extensions.cRLDistributionPoints ?? []).flatMap(({ names }) =>
    names.map(({ value }) => ({ kind: 'crl' as const, url: value })),
  ),
  ...(extensions.authorityInfoAccess ?? []).map(({ method, location }) => ({
    kind: method === ACCESS_METHOD_OIDS.ocsp ? ('ocsp' as const) : ('issuer' as const),
    url: location.value,
  })),
];

/** Throws `issuer-not-ready` (permanent), naming each address and what was wrong with it last. */
export function assertVerified(
  issuerId: string,
  printed: readonly PrintedAddress[],
  known: readonly IssuerAddress[],
): void {
  const missing = unverified(printed, known);
  if (missing.length === 0) return;
  const reasons = missing.map(({ kind, url }) => {
    const failure = known.find((entry) => entry.kind === kind && entry.url === url)?.failure;
    return `${url} (${failure ?? 'not fetched yet'})`;
  });
  throw permanent(
    'issuer-not-ready',
    `Issuer ${issuerId} may not issue yet: its certificates would carry addresses that were never found right from outside: ${reasons.join('; ')}. Point the name at the load balancer and run publish-crl, which fetches them again.`,
  );
}

/** Fetches every address of an issuer and records what it gave; answers those that are not right now. Never throws for one. */
export async function checkAddresses(
  deps: ReadinessDeps,
  issuer: IssuerRecord,
): Promise<readonly (PrintedAddress & { readonly failure: string })[]> {
  const { issuerId } = issuer;
  const failures: (PrintedAddress & { readonly failure: string })[] = [];
  for (const address of addressesOf(issuer)) {
    const outcome = await lookAt(deps, issuer, address);
    await deps.ledger.recordAddressCheck(issuerId, { ...address, ...outcome });
    if ('failure' in outcome) failures.push({ ...address, failure: outcome.failure });
  }
  const known = await deps.ledger.issuerAddresses(issuerId);
  for (const { kind, url, failure } of failures) {
    const wasReady = unverified([{ kind, url }], known).length === 0;
    deps.log.error('public-address-wrong', { issuerId, kind, url, failure, wasReady });
  }
  return failures;
}

type Outcome = { readonly sha256Hex: string; readonly found: string } | { readonly failure: string };

async function lookAt(
  deps: ReadinessDeps,
  issuer: IssuerRecord,
  { kind, url }: PrintedAddress,
): Promise<Outcome> {
  try {
    return await LOOKS[kind](deps, issuer, url);
  } catch (error) {
    if (error instanceof DerError) return { failure: `what came back cannot be read: ${error.message}` };
    if (isSealwrightError(error) && error.code === 'address-unreachable') return { failure: error.message };
    if (error instanceof NotRight) return { failure: error.message };
    throw error;
  }
}

/** An address that answers, and not as it should. */
class NotRight extends Error {
  override readonly name = 'NotRight';
}

interface Look {
  /** Of what came back. */
  readonly sha256Hex: string;
  readonly found: string;
}

const LOOKS: Readonly<
  Record<AddressKind, (deps: ReadinessDeps, issuer: IssuerRecord, url: string) => Promise<Look>>
> = {
  crl: lookAtCrl,
  issuer: async (deps, issuer, url) => {
    const answer = expectBody(await deps.publicWeb.get(url), 'application/pkix-cert');
    if (!sameBytes(answer.body, issuer.certificateDer)) {
      throw new NotRight('the certificate there is not this issuer’s');
    }
    return { sha256Hex: sha256Hex(answer.body), found: 'the issuer’s certificate' };
  },
  ocsp: lookAtOcsp,
};

/** As it comes: a CRL of a million entries is 51 MB. */
async function lookAtCrl(deps: ReadinessDeps, issuer: IssuerRecord, url: string): Promise<Look> {
  const { parts } = expectBody(await deps.publicWeb.getParts(url), 'application/pkix-crl');
  const verifier = new CrlVerifier(issuer.certificateDer);
  const digest = createHash('sha256');
  const header = await readCrlParts(
    passing(parts, (part) => digest.update(part)),
    verifier,
  );
  if (header === undefined || !verifier.verifies(header))
    throw new NotRight('the CRL there is not this issuer’s');
  const ends = header.nextUpdate?.at;
  if (ends === undefined || ends <= deps.clock.now()) {
    throw new NotRight(`the CRL there ended at ${ends?.toISOString() ?? 'no given time'}`);
  }
  return {
    sha256Hex: digest.digest('hex'),
    found: `CRL ${crlNumberOf(header)}, good until ${ends.toISOString()}`,
  };
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

/** Asks about the OCSP signer's own certificate: it is the one that exists before any leaf does. */
async function lookAtOcsp(deps: ReadinessDeps, issuer: IssuerRecord, url: string): Promise<Look> {
  const signer = currentSigner(await deps.ledger.ocspSigners(issuer.issuerId));
  if (signer === undefined) throw new NotRight('the issuer has no OCSP signer yet');
  const request = encodeOcspRequest(
    'sha256',
    issuerHashes(issuer.certificateDer, 'sha256'),
    signer.serialHex,
  );
  const answer = expectBody(
    await deps.publicWeb.post(url, request, 'application/ocsp-request'),
    'application/ocsp-response',
  );
  const { responseStatus, basic } = readOcspResponse(answer.body);
  const single = basic?.data.answers[0];
  if (basic === undefined || single === undefined) {
    throw new NotRight(`the responder refuses with status ${responseStatus}`);
  }
  if (!verifyOcspAnswer(basic, issuer.certificateDer))
    throw new NotRight('the answer is not signed for this issuer');
  if (single.certId.serialHex !== signer.serialHex || single.status !== 'good') {
    throw new NotRight(`the answer is about ${single.certId.serialHex} and says ${single.status}`);
  }
  if (single.nextUpdate === undefined || single.nextUpdate <= deps.clock.now()) {
    throw new NotRight('the answer is out of date');
  }
  return {
    sha256Hex: sha256Hex(answer.body),
    found: `an answer good until ${single.nextUpdate.toISOString()}`,
  };
}

function expectBody<Answer extends Pick<PublicAnswer, 'status' | 'contentType'>>(
  answer: Answer,
  contentType: string,
): Answer {
  if (answer.status >= 300 && answer.status < 400) {
    throw new NotRight(`it redirects (HTTP ${answer.status}), which who checks a certificate may not follow`);
  }
  if (answer.status !== 200) throw new NotRight(`it answers HTTP ${answer.status}`);
  if (answer.contentType !== contentType) {
    throw new NotRight(`its content type is "${answer.contentType}" and not ${contentType}`);
  }
  return answer;
}
