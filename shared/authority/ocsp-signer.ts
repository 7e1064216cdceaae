import { buildOcspSigner } from '../pki/service-certificate.ts';
import type { OcspLedger } from '../ports/ledger/ocsp.ts';
import type { Signing } from '../ports/signing.ts';
import type { ServiceSignerDeps, ServiceSignerKind } from './service-signer.ts';

export interface OcspSignerDeps extends ServiceSignerDeps {
  readonly ledger: Pick<OcspLedger, 'ocspSigners' | 'recordOcspSignerIntent' | 'readOcspSigner'>;
  readonly signing: Pick<Signing, 'signOcspSigner'>;
  /** Full secret name, `projects/P/secrets/S`; each signer's key becomes a version of it. */
  readonly ocspKeySecret: string;
}

const DAY_MS = 86_400_000;

/** The delegated OCSP signer of an issuer (RFC 6960 §4.2.2.2), which cannot be revoked and is therefore replaced weekly. */
export const ocspSignerKind = ({ ledger, signing, ocspKeySecret }: OcspSignerDeps): ServiceSignerKind => ({
  called: 'OCSP signer',
  remedy: 'leave the OCSP address of this issuer out, or record one that has them.',
  validityDays: 14,
  renewBeforeMs: 7 * DAY_MS,
  keySecret: ocspKeySecret,
  build: buildOcspSigner,
  current: (issuerId) => ledger.ocspSigners(issuerId),
  intend: (intent) => ledger.recordOcspSignerIntent(intent),
  sign: (serialHex) => signing.signOcspSigner(serialHex),
  read: (serialHex) => ledger.readOcspSigner(serialHex),
});
