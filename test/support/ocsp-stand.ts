/**
 * A CA with a delegated OCSP signer and answers signed ahead of time, without a ledger: for tests of the responder's edge, for
 * other people's tools, and for the benchmark.
 */

import type { CertIdHash } from '../../shared/domain/ocsp.ts';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { issueCertificate } from '../../shared/pki/issue.ts';
import { issueOcspAnswers } from '../../shared/pki/issue-ocsp.ts';
import { generateEcKey } from '../../shared/pki/key.ts';
import {
  CERT_ID_HASHES,
  encodeOcspAnswer,
  issuerHashes,
  type OcspStatus,
  responderKeyHash,
} from '../../shared/pki/ocsp.ts';
import { leafProfile, OCSP_SIGNER } from '../../shared/pki/profile.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { buildOcspSigner } from '../../shared/pki/service-certificate.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { wholeSecond } from '../../shared/pki/validity.ts';
import type { OcspAnswers } from '../../shared/ports/ledger/ocsp.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';

const DAY_MS = 86_400_000;

export interface OcspStand {
  readonly authority: SampleAuthority;
  readonly signer: Signer;
  readonly signerCertificateDer: Uint8Array;
  readonly answers: OcspAnswers;
  readonly now: Date;
  readonly nextUpdate: Date;
  /** A leaf with this status and its answers, made now. */
  add(
    status: OcspStatus,
    ocspUrl?: string,
  ): Promise<{ readonly serialHex: string; readonly leafDer: Uint8Array }>;
  /** Answers alone, about a serial that no certificate has. */
  answer(serialHex: string, status: OcspStatus): Promise<void>;
}

export async function ocspStand(options: {
  readonly now: Date;
  readonly urlBase?: string;
}): Promise<OcspStand> {
  const { now, urlBase } = options;
  const trial = urlBase !== undefined;
  const authority = await sampleAuthority({ now, trial, ...(trial ? { urlBase } : {}) });
  const issuerCertificateDer = authority.issuing.certificateDer;
  const key = await generateEcKey('P-256');
  const { tbsDer } = buildOcspSigner({
    issuer: authority.leafRequest().issuer,
    spkiDer: key.spkiDer,
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'S/MIME OCSP signer of this test' },
    serialHex: drawSerial(authority.random),
    now,
    validityDays: 14,
  });
  const signerCertificateDer = await issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: OCSP_SIGNER,
    issuerCertificateDer,
    signer: authority.issuingSigner,
    signingTime: now,
  });
  const signer = signerFromPkcs8(key.pkcs8Der, { certificateDer: signerCertificateDer });
  const nextUpdate = new Date(wholeSecond(now.getTime()) + 3 * DAY_MS);
  const kept = new Map<string, Awaited<ReturnType<OcspAnswers['readOcspAnswer']>>>();
  const keyOf = (serialHex: string, hash: CertIdHash) => `${serialHex}/${hash}`;
  const answer = async (serialHex: string, status: OcspStatus) => {
    const tbsDers = CERT_ID_HASHES.map((hash) =>
      madeOffline(
        encodeOcspAnswer({
          issuer: issuerHashes(issuerCertificateDer, hash),
          hash,
          responderKeyHash: responderKeyHash(key.spkiDer),
          serialHex,
          status,
          now,
          nextUpdate,
        }),
      ),
    );
    const answersDer = await issueOcspAnswers({
      tbsDers,
      issuerCertificateDer,
      signerCertificateDer,
      signer,
      signingTime: now,
    });
    for (const [index, hash] of CERT_ID_HASHES.entries()) {
      kept.set(keyOf(serialHex, hash), {
        status: status.kind,
        thisUpdate: new Date(wholeSecond(now.getTime())),
        nextUpdate,
        notAfter: new Date(now.getTime() + 365 * DAY_MS),
        answerDer: answersDer[index] ?? new Uint8Array(),
      });
    }
  };
  return {
    authority,
    signer,
    signerCertificateDer,
    now,
    nextUpdate,
    answers: {
      ocspIssuers: async () => [{ issuerId: 'issuing-1', certificateDer: issuerCertificateDer }],
      readOcspAnswer: async (_issuerId, serialHex, hash) => kept.get(keyOf(serialHex, hash)),
    },
    answer,
    add: async (status, ocspUrl) => {
      const request = authority.leafRequest({ now });
      const issuer = trial
        ? { ...request.issuer, crlUrl: `${urlBase}/issuing.crl`, issuerUrl: `${urlBase}/issuing.cer` }
        : request.issuer;
      const serialHex = drawSerial(authority.random);
      const leaf = authority.unsignedLeaf({
        now,
        serialHex,
        issuer: ocspUrl === undefined ? issuer : { ...issuer, ocspUrl },
      });
      const leafDer = await issueCertificate({
        tbsDer: madeOffline(leaf.tbsDer),
        profile: leafProfile(leaf.profile),
        issuerCertificateDer,
        signer: authority.issuingSigner,
        signingTime: now,
      });
      await answer(serialHex, status);
      return { serialHex, leafDer };
    },
  };
}
