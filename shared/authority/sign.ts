/**
 * What the private function `sign` does, and all it can do: take the id of an intent in the ledger, read it again,
 * check it against its row, lint it, sign exactly those bytes, record the result. There is no way to hand it bytes.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { permanent, retryable } from '../errors.ts';
import { readTbsCertificate } from '../pki/certificate.ts';
import { decodeExtensions } from '../pki/extensions-reader.ts';
import { assertIntentMatches } from '../pki/intent.ts';
import { issueCertificate, issueCrlParts } from '../pki/issue.ts';
import { chainAddresses, printedAddresses } from '../pki/issuer-addresses.ts';
import { leafProfile } from '../pki/profile.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { CaKeys } from './ca-keys.ts';
import { CrlAgainstLedger } from './crl-against-ledger.ts';
import { everybodyRevoked } from './everybody-revoked.ts';
import { assertVerified } from './readiness.ts';
import { assertNotRetired } from './sign-service-signer.ts';

export interface SignDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    'readLeafToSign' | 'recordSignedLeaf' | 'readCrl' | 'recordSignedCrl' | 'readIssuer' | 'revokedLeaves'
  >;
  readonly caKeys: CaKeys;
}

/** Answers the certificate, DER; asking again answers the same one. */
export async function signLeafIntent(deps: SignDeps, serialHex: string): Promise<Uint8Array> {
  const intent = await deps.ledger.readLeafToSign(serialHex);
  if (intent === undefined)
    throw permanent('not-found', `The ledger holds no intent under serial ${serialHex}; nothing was signed.`);
  if (intent.leafDer !== undefined) return intent.leafDer;
  if (intent.revocation !== undefined) {
    throw permanent(
      'intent-mismatch',
      `Serial ${serialHex} was revoked before it was signed; nothing was signed.`,
    );
  }
  if (intent.keyBlockedAt !== undefined) {
    throw permanent(
      'key-blocked',
      `The key of leaf ${serialHex} was revoked for compromise on ${intent.keyBlockedAt.toISOString()} and is never certified again; nothing was signed. Make a new key.`,
    );
  }
  const { issuer } = intent;
  assertNotRetired(issuer);
  if (issuer.state === 'prepared')
    throw permanent(
      'issuer-not-ready',
      `Issuer ${issuer.issuerId} is prepared and not active yet; nothing was signed.`,
    );
  assertIntentMatches(intent, issuer.certificateDer);
  const { extensions, notBefore } = readTbsCertificate(intent.tbsDer);
  assertBegun(serialHex, notBefore.at, deps.clock.now());
  const { decoded } = decodeExtensions(extensions);
  assertVerified(
    issuer.issuerId,
    [...printedAddresses(decoded), ...chainAddresses(issuer)],
    intent.issuerAddresses,
  );
  const leafDer = await issueCertificate({
    tbsDer: intent.tbsDer,
    profile: leafProfile(intent.profile),
    issuerCertificateDer: issuer.certificateDer,
    signer: await deps.caKeys.signerOf(issuer),
    signingTime: deps.clock.now(),
  });
  await deps.ledger.recordSignedLeaf(serialHex, leafDer);
  return leafDer;
}

/** A leaf is dated back by five minutes when it is built: one that has not begun says that a clock is wrong by more. */
function assertBegun(serialHex: string, notBefore: Date, now: Date): void {
  if (now >= notBefore) return;
  throw retryable(
    'signing-unavailable',
    `The clock of "sign" says ${now.toISOString()}, and leaf ${serialHex} begins ${notBefore.toISOString()}: nothing was signed, and nothing is until the clocks agree.`,
  );
}

/** Leaves the signed CRL in the ledger; asking again changes nothing. */
export async function signCrlIntent(deps: SignDeps, issuerId: string, crlNumber: bigint): Promise<void> {
  const intent = await deps.ledger.readCrl(issuerId, crlNumber);
  if (intent === undefined) {
    throw permanent(
      'not-found',
      `The ledger holds no intent for CRL ${crlNumber} of issuer ${issuerId}; nothing was signed.`,
    );
  }
  if (intent.state !== 'intended') return;
  const issuer = await issuerOf(deps, issuerId);
  const check = new CrlAgainstLedger(intent, everybodyRevoked(deps.ledger, issuerId));
  const { endDer } = await issueCrlParts({
    tbsParts: intent.tbsParts(),
    issuerCertificateDer: issuer.certificateDer,
    signer: await deps.caKeys.signerOf(issuer),
    signingTime: deps.clock.now(),
    onEntries: (run) => check.entries(run),
    onHeader: (header) => check.header(header),
  });
  await deps.ledger.recordSignedCrl(issuerId, crlNumber, endDer);
}

async function issuerOf(deps: SignDeps, issuerId: string): Promise<IssuerRecord> {
  const issuer = await deps.ledger.readIssuer(issuerId);
  if (issuer === undefined)
    throw permanent('issuer-missing', `The ledger does not know the issuer ${issuerId}; nothing was signed.`);
  assertNotRetired(issuer);
  return issuer;
}
