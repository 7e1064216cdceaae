/**
 * The part of the private function `sign` that certifies the CA's own machinery: signers of OCSP answers and of checkpoints.
 * As with leaves, it takes the serial of an intent and nothing else, and signs exactly what was recorded.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { permanent } from '../errors.ts';
import { readIssuer, readTbsCertificate } from '../pki/certificate.ts';
import { DerError, sameBytes } from '../pki/der-reader.ts';
import { issueCertificate } from '../pki/issue.ts';
import type { CertificateProfile } from '../pki/profile.ts';
import type { Clock } from '../ports/clock.ts';
import type { StoredServiceSigner } from '../ports/ledger/service-signers.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { CaKeys } from './ca-keys.ts';

export interface SignServiceSignerDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'readIssuer'>;
  readonly caKeys: CaKeys;
}

export interface SignableKind {
  /** "OCSP signer". */
  readonly called: string;
  readonly profile: CertificateProfile;
  read(serialHex: string): Promise<StoredServiceSigner | undefined>;
  recordSigned(serialHex: string, certificateDer: Uint8Array): Promise<void>;
}

/** Answers the signer's certificate, DER; asking again answers the same one. */
export async function signServiceSigner(
  deps: SignServiceSignerDeps,
  serialHex: string,
  kind: SignableKind,
): Promise<Uint8Array> {
  const intent = await kind.read(serialHex);
  if (intent === undefined) {
    throw permanent(
      'not-found',
      `The ledger holds no ${kind.called} under serial ${serialHex}; nothing was signed.`,
    );
  }
  if (intent.certificateDer !== undefined) return intent.certificateDer;
  const issuer = await livingIssuer(deps, intent.issuerId);
  assertSignerSaysWhatItsRowSays(intent, issuer, kind);
  const certificateDer = await issueCertificate({
    tbsDer: intent.tbsDer,
    profile: kind.profile,
    issuerCertificateDer: issuer.certificateDer,
    signer: await deps.caKeys.signerOf(issuer),
    signingTime: deps.clock.now(),
  });
  await kind.recordSigned(serialHex, certificateDer);
  return certificateDer;
}

function assertSignerSaysWhatItsRowSays(
  intent: StoredServiceSigner,
  issuer: IssuerRecord,
  { called, profile }: SignableKind,
): void {
  const differing: string[] = [];
  try {
    const tbs = readTbsCertificate(intent.tbsDer);
    const fields: readonly (readonly [string, boolean])[] = [
      ['profile', intent.profile === profile.name],
      ['serial', tbs.serialHex === intent.serialHex],
      ['issuer', sameBytes(tbs.issuerDer, readIssuer(issuer.certificateDer).certificate.subjectDer)],
      ['public key', sameBytes(tbs.spkiDer, intent.spkiDer)],
      ['notBefore', tbs.notBefore.at.getTime() === intent.notBefore.getTime()],
      ['notAfter', tbs.notAfter.at.getTime() === intent.notAfter.getTime()],
    ];
    differing.push(...fields.filter(([, same]) => !same).map(([name]) => name));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    differing.push('the bytes are no to-be-signed certificate');
  }
  if (differing.length === 0) return;
  throw permanent(
    'intent-mismatch',
    `The recorded bytes of the ${called} ${intent.serialHex} do not say what its row says (${differing.join(', ')}); nothing was signed. Find out who changed the row; publish-crl makes another signer by itself.`,
  );
}

/** Throws `issuer-missing` (permanent) for one the ledger does not know, and for one that is retired. */
export async function livingIssuer(deps: SignServiceSignerDeps, issuerId: string): Promise<IssuerRecord> {
  const issuer = await deps.ledger.readIssuer(issuerId);
  if (issuer === undefined)
    throw permanent('issuer-missing', `Issuer ${issuerId} is not in the ledger; nothing was signed.`);
  assertNotRetired(issuer);
  return issuer;
}

/** Throws `issuer-missing` (permanent). */
export function assertNotRetired({ issuerId, state }: IssuerRecord): void {
  if (state !== 'retired') return;
  throw permanent('issuer-missing', `Issuer ${issuerId} is retired; nothing was signed.`);
}
