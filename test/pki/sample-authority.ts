/** A sample CA and its builders, made once per test file that asks. 2048-bit keys, as the tests are about bytes. */

import { createHash } from 'node:crypto';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { type Authority, createAuthority } from '../../shared/pki/authority.ts';
import { issueCertificate } from '../../shared/pki/issue.ts';
import { generateRsaKey, type RsaKey } from '../../shared/pki/key.ts';
import { buildLeaf, type LeafRequest, type UnsignedLeaf } from '../../shared/pki/leaf.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { DUAL_USE_RSA } from '../../shared/pki/profile.ts';
import type { Curve } from '../../shared/pki/public-key.ts';
import { drawSerial, type RandomBytes } from '../../shared/pki/serial.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';

export const NOW = new Date('2026-11-22T10:00:00.700Z');
export const MINUTE = 60_000;
export const DAY = 86_400_000;

/** Bytes that look random and are the same in every run. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (size) => {
    counter += 1;
    return createHash('shake256', { outputLength: size }).update(`${seed}/${counter}`).digest();
  };
}

export const CRL_URL = 'http://pki.acme.example/issuing.crl';
export const ISSUER_URL = 'http://pki.acme.example/issuing.cer';
/** What the issuing CA's own certificate carries. */
export const ROOT_CRL_URL = 'http://pki.acme.example/root.crl';
export const ROOT_URL = 'http://pki.acme.example/root.cer';

export interface SampleAuthority extends Authority {
  readonly rootSigner: Signer;
  readonly issuingSigner: Signer;
  readonly userKey: RsaKey;
  readonly random: RandomBytes;
  readonly leafRequest: (changes?: Partial<LeafRequest>) => LeafRequest;
  readonly unsignedLeaf: (changes?: Partial<LeafRequest>) => UnsignedLeaf;
  readonly leaf: (changes?: Partial<LeafRequest>) => Promise<Uint8Array>;
}

export interface SampleChanges {
  readonly now?: Date;
  readonly trial?: boolean;
  readonly urlBase?: string;
  /** EC keys for both CAs, which sign in a thirtieth of the time: for tests that sign by the thousand. */
  readonly curve?: Curve;
}

export async function sampleAuthority(changes: SampleChanges = {}): Promise<SampleAuthority> {
  const now = changes.now ?? NOW;
  const urlBase = changes.urlBase ?? 'http://pki.acme.example';
  const random = seededRandom('sample');
  const [authority, userKey] = await Promise.all([
    createAuthority({
      country: 'DE',
      organization: 'Acme GmbH',
      rootName: 'Acme S/MIME Root 1',
      issuingName: 'Acme S/MIME Issuing CA 1',
      rootCrlUrl: `${urlBase}/root.crl`,
      rootUrl: `${urlBase}/root.cer`,
      policyOids: { own: EXAMPLE_POLICY_OID },
      now,
      random,
      modulusBits: 2048,
      ...(changes.curve === undefined ? {} : { curve: changes.curve }),
      trial: changes.trial ?? false,
    }),
    generateRsaKey(2048),
  ]);
  const ofRsa = (algorithm: 'sha256WithRSA' | 'sha384WithRSA') =>
    changes.curve === undefined ? { algorithm } : {};
  const issuingSigner = signerFromPkcs8(authority.issuing.pkcs8Der, {
    ...ofRsa('sha256WithRSA'),
    certificateDer: authority.issuing.certificateDer,
  });
  const rootSigner = signerFromPkcs8(authority.root.pkcs8Der, {
    ...ofRsa('sha384WithRSA'),
    certificateDer: authority.root.certificateDer,
  });
  const leafRequest = (requested: Partial<LeafRequest> = {}): LeafRequest => ({
    issuer: {
      certificateDer: authority.issuing.certificateDer,
      crlUrl: CRL_URL,
      issuerUrl: ISSUER_URL,
    },
    spkiDer: userKey.spkiDer,
    addresses: ['ana@acme.example', 'ana.alias@acme.example'],
    serialHex: drawSerial(random),
    now,
    validityDays: 365,
    ...requested,
  });
  return {
    ...authority,
    rootSigner,
    issuingSigner,
    userKey,
    random,
    leafRequest,
    unsignedLeaf: (requested) => buildLeaf(leafRequest(requested)),
    leaf: (requested = {}) =>
      issueCertificate({
        tbsDer: madeOffline(buildLeaf(leafRequest(requested)).tbsDer),
        profile: DUAL_USE_RSA,
        issuerCertificateDer: requested.issuer?.certificateDer ?? authority.issuing.certificateDer,
        signer: issuingSigner,
        signingTime: requested.now ?? now,
      }),
  };
}
