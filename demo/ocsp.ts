/**
 * OCSP as a mail client does it: the question is built from the two certificates alone and sent to the address that stands in
 * the certificate. The loopback port of the ready line is that address on this machine.
 */
import { encodeOcspRequest, issuerHashes } from '../shared/pki/ocsp.ts';
import type { Artefacts } from './artefacts.ts';
import type { Certificate } from './company-client.ts';

export interface OcspDesk {
  /** Where the responder answers. */
  readonly url: string;
  readonly issuerCertificateDer: Uint8Array;
  readonly artefacts: Artefacts;
}

/** `openssl ocsp` compares times with the machine's clock, and the story's clock was moved: a year either way will do. */
const OTHER_CLOCK_SECONDS = 366 * 86_400;

/** Asks about a certificate and keeps the answer as `ocsp/SERIAL.der`, with the command that judges it. */
export async function askStatus(
  desk: OcspDesk,
  { serial }: Certificate,
  about: { readonly user: string; readonly status: 'good' | 'revoked'; readonly at: Date },
): Promise<void> {
  const hashes = issuerHashes(desk.issuerCertificateDer, 'sha256');
  const response = await fetch(desk.url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: Buffer.from(encodeOcspRequest('sha256', hashes, serial)),
  });
  if (!response.ok) throw new Error(`The OCSP responder answered HTTP ${response.status}.`);
  const path = `ocsp/${serial}.der`;
  desk.artefacts.write(path, await response.bytes(), {
    kind: `OCSP answer, DER: ${about.status}`,
    user: about.user,
    checks: [
      {
        command: [
          ...['openssl', 'ocsp', '-respin', path, '-sha256', '-issuer', 'trust/issuing.pem'],
          ...['-serial', `0x${serial}`, '-CAfile', 'trust/root.pem', '-verify_other', 'trust/issuing.pem'],
          ...['-attime', String(Math.floor(about.at.getTime() / 1000))],
          ...['-validity_period', String(OTHER_CLOCK_SECONDS)],
        ],
        shows: `the answer is signed for the issuing CA and says ${about.status}`,
        expectedExit: 0,
        expectedOutput: `0x${serial}: ${about.status}`,
      },
    ],
  });
}
