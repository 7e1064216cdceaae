/**
 * The CRL as anybody who checks a certificate sees it: fetched from the address printed into the certificate, without
 * the admin API. Its signature is not checked here; only its age is of interest.
 */
import { readCertificate } from '../../shared/pki/certificate.ts';
import { crlNumberOf, readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { DerError } from '../../shared/pki/der-reader.ts';
import { decodeExtensions } from '../../shared/pki/extensions-reader.ts';

const TIMEOUT_MS = 10_000;
const URI = 6;

export interface CrlReport {
  readonly url: string;
  readonly standing: 'fresh' | 'overdue' | 'unreadable' | 'unreachable';
  readonly crlNumber?: string;
  readonly thisUpdate?: string;
  readonly nextUpdate?: string;
  /** Why it could not be read or reached. */
  readonly problem?: string;
}

/** The addresses of the CRL in a certificate, DER; none when it is unreadable. */
export function crlUrls(certificateDer: Uint8Array): readonly string[] {
  try {
    const { decoded } = decodeExtensions(readCertificate(certificateDer).extensions);
    return (decoded.cRLDistributionPoints ?? []).flatMap(({ names }) =>
      names.filter(({ type }) => type === URI).map(({ value }) => value),
    );
  } catch (error) {
    if (error instanceof DerError) return [];
    throw error;
  }
}

/** Never throws: a CRL that cannot be had is a finding. */
export async function inspectCrl(url: string, now: Date): Promise<CrlReport> {
  let der: Uint8Array;
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) return { url, standing: 'unreachable', problem: `HTTP ${response.status}` };
    der = await response.bytes();
  } catch (error) {
    return { url, standing: 'unreachable', problem: whyNot(error) };
  }
  try {
    const header = readCrlHeader(der);
    const nextUpdate = header.nextUpdate?.at;
    const number = crlNumberOf(header);
    return {
      url,
      standing: nextUpdate !== undefined && nextUpdate > now ? 'fresh' : 'overdue',
      ...(number === undefined ? {} : { crlNumber: String(number) }),
      thisUpdate: header.thisUpdate.at.toISOString(),
      ...(nextUpdate === undefined ? {} : { nextUpdate: nextUpdate.toISOString() }),
    };
  } catch (error) {
    if (error instanceof DerError) return { url, standing: 'unreadable', problem: error.message };
    throw error;
  }
}

function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? error.cause.message : error.message;
}
