/**
 * The part of the private function `sign` that is about the audit trail: certifying an audit signer, and signing a
 * checkpoint once the trail, read again, is what the recorded statement says.
 */
import { HeadsDigest, parseStatement, statementSha256Hex } from '../audit/checkpoint.ts';
import { NO_ENTRY_SHA256_HEX } from '../audit/entry.ts';
import { permanent } from '../errors.ts';
import { AUDIT_SIGNER } from '../pki/profile.ts';
import { signText } from '../pki/signed-text.ts';
import type { AuditChains, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import type { ServiceKeys } from './service-keys.ts';
import { livingIssuer, type SignServiceSignerDeps, signServiceSigner } from './sign-service-signer.ts';

export interface SignCheckpointDeps extends Omit<SignServiceSignerDeps, 'ledger'> {
  readonly ledger: SignServiceSignerDeps['ledger'] &
    Pick<
      AuditChains,
      | 'readAuditSigner'
      | 'recordSignedAuditSigner'
      | 'readCheckpoint'
      | 'recordSignedCheckpoint'
      | 'auditHeads'
    >;
  readonly serviceKeys: ServiceKeys;
}

/** Answers the signer's certificate, DER; asking again answers the same one. */
export async function signAuditSignerIntent(
  deps: SignCheckpointDeps,
  serialHex: string,
): Promise<Uint8Array> {
  return await signServiceSigner(deps, serialHex, {
    called: 'audit signer',
    profile: AUDIT_SIGNER,
    read: deps.ledger.readAuditSigner,
    recordSigned: deps.ledger.recordSignedAuditSigner,
  });
}

/** Answers DER of CMS SignedData; asking again answers the same. Throws `intent-mismatch`, `not-found` (permanent). */
export async function signCheckpointIntent(deps: SignCheckpointDeps, number: bigint): Promise<Uint8Array> {
  const intent = await deps.ledger.readCheckpoint(number);
  if (intent === undefined) {
    throw permanent(
      'not-found',
      `The ledger holds no checkpoint ${number} of the audit trail; nothing was signed.`,
    );
  }
  if (intent.signedDer !== undefined) return intent.signedDer;
  await assertStatementSaysWhatTrailSays(deps, intent);
  const signer = await deps.ledger.readAuditSigner(intent.signerSerialHex);
  if (signer?.certificateDer === undefined) {
    throw permanent(
      'intent-mismatch',
      `The audit signer of checkpoint ${number} has no certificate; nothing was signed.`,
    );
  }
  const { certificateDer } = signer;
  const issuer = await livingIssuer(deps, signer.issuerId);
  const signedDer = await signText({
    text: intent.statement,
    signer: await deps.serviceKeys.signerOf({ ...signer, certificateDer }),
    signerCertificateDer: certificateDer,
    chainDer: [issuer.certificateDer],
    signingTime: deps.clock.now(),
  });
  await deps.ledger.recordSignedCheckpoint(number, signedDer);
  return signedDer;
}

async function assertStatementSaysWhatTrailSays(
  deps: SignCheckpointDeps,
  { number, lastEntryId, statement }: StoredCheckpoint,
): Promise<void> {
  const said = parseStatement(statement);
  const previous = number === 1n ? undefined : await deps.ledger.readCheckpoint(number - 1n);
  const digest = new HeadsDigest();
  for await (const head of deps.ledger.auditHeads(lastEntryId)) digest.take(head);
  const fields: readonly (readonly [string, boolean])[] = [
    ['number', said?.number === number],
    ['last entry', said?.lastEntryId === lastEntryId],
    ['chains', said?.chains === digest.chains],
    ['heads', said?.headsSha256Hex === digest.sha256Hex()],
    [
      'checkpoint before it',
      said?.previousSha256Hex ===
        (number === 1n ? NO_ENTRY_SHA256_HEX : statementSha256Hex(previous?.statement ?? '')) &&
        (number === 1n || previous?.signedDer !== undefined),
    ],
  ];
  const differing = fields.filter(([, same]) => !same).map(([name]) => name);
  if (differing.length === 0) return;
  throw permanent(
    'intent-mismatch',
    `The recorded statement of checkpoint ${number} does not say what the audit trail says (${differing.join(', ')}); nothing was signed. Somebody changed the trail or the row: run "sealwright audit verify" and find out who.`,
  );
}
