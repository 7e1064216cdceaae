/**
 * The part of the private function `sign` that is about OCSP: certifying a delegated signer with the CA key, and signing
 * batches of answers with that signer's key. As with leaves, it takes the id of an intent and nothing else, reads ledger and
 * intent again, and signs exactly what was recorded, if that is what the ledger says now.
 */
import { REVOCATION_REASONS } from '../domain/revocation-reason.ts';
import { permanent } from '../errors.ts';
import { DerError } from '../pki/der-reader.ts';
import { issueOcspAnswers } from '../pki/issue-ocsp.ts';
import { readOcspData, type SingleAnswer } from '../pki/ocsp-reader.ts';
import { OCSP_OIDS } from '../pki/oids.ts';
import { OCSP_SIGNER } from '../pki/profile.ts';
import { wholeSecond } from '../pki/validity.ts';
import type { Clock } from '../ports/clock.ts';
import type { OcspLedger, OcspSubject, SignedOcspAnswer, StoredOcspBatch } from '../ports/ledger/ocsp.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { CaKeys } from './ca-keys.ts';
import type { ServiceKeys } from './service-keys.ts';
import { assertNotRetired, signServiceSigner } from './sign-service-signer.ts';

export interface SignOcspDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'readIssuer'> &
    Pick<OcspLedger, 'readOcspSigner' | 'recordSignedOcspSigner' | 'readOcspBatch' | 'recordSignedOcspBatch'>;
  readonly caKeys: CaKeys;
  readonly serviceKeys: ServiceKeys;
}

/** Answers the signer's certificate, DER; asking again answers the same one. */
export async function signOcspSignerIntent(deps: SignOcspDeps, serialHex: string): Promise<Uint8Array> {
  return await signServiceSigner(deps, serialHex, {
    called: 'OCSP signer',
    profile: OCSP_SIGNER,
    read: deps.ledger.readOcspSigner,
    recordSigned: deps.ledger.recordSignedOcspSigner,
  });
}

/** Answers how many answers are public now; for a batch that was signed before, none more. */
export async function signOcspBatch(deps: SignOcspDeps, batchId: bigint): Promise<number> {
  const batch = await deps.ledger.readOcspBatch(batchId);
  if (batch === undefined) {
    throw permanent('not-found', `The ledger holds no batch ${batchId} of OCSP answers; nothing was signed.`);
  }
  if (batch.isSigned) return 0;
  if (batch.intents.length === 0) {
    throw permanent(
      'intent-mismatch',
      `Batch ${batchId} of OCSP answers is too old to be signed: what it intended was deleted. The next run of publish-crl makes new ones.`,
    );
  }
  const { certificateDer } = batch.signer;
  if (certificateDer === undefined || batch.signer.issuerId !== batch.issuerId) {
    throw permanent(
      'intent-mismatch',
      `The OCSP signer of batch ${batchId} has no certificate of issuer ${batch.issuerId}; nothing was signed.`,
    );
  }
  const { issuer } = batch;
  assertNotRetired(issuer);
  const facts = batch.intents.map((intent) => factsOf(batch, intent));
  const answersDer = await issueOcspAnswers({
    tbsDers: batch.intents.map(({ tbsDer }) => tbsDer),
    issuerCertificateDer: issuer.certificateDer,
    signerCertificateDer: certificateDer,
    signer: await deps.serviceKeys.signerOf({ ...batch.signer, certificateDer }),
    signingTime: deps.clock.now(),
  });
  return await deps.ledger.recordSignedOcspBatch(
    batchId,
    facts.map((fact, index) => ({ ...fact, answerDer: answersDer[index] ?? missingAnswer() })),
  );
}

function missingAnswer(): never {
  throw new Error('bug: fewer answers were signed than were asked for');
}

/**
 * What one answer says, once it is what the ledger says now: *good* about somebody who is revoked, or about a serial that
 * was never signed, is refused whoever wrote the intent.
 */
function factsOf(
  batch: StoredOcspBatch,
  intent: StoredOcspBatch['intents'][number],
): Omit<SignedOcspAnswer, 'answerDer'> {
  const refuse = (why: string) =>
    permanent(
      'intent-mismatch',
      `The OCSP answer about serial ${intent.serialHex} in batch ${batch.batchId} is not what the ledger says (${why}); nothing was signed. The next run of publish-crl makes new ones.`,
    );
  const answer = readOnlyAnswer(intent.tbsDer);
  if (answer?.nextUpdate === undefined) throw refuse('its bytes are no answer about one certificate');
  if (answer.certId.serialHex !== intent.serialHex) throw refuse('another serial');
  if (answer.certId.hashOid !== OCSP_OIDS[intent.hash]) throw refuse('another digest');
  const { subject } = intent;
  if (subject === undefined) throw refuse('no certificate was issued under it');
  const difference = statusDifference(answer, subject);
  if (difference !== undefined) throw refuse(difference);
  return {
    serialHex: intent.serialHex,
    hash: intent.hash,
    status: subject.revocation === undefined ? 'good' : 'revoked',
    thisUpdate: answer.thisUpdate,
    nextUpdate: answer.nextUpdate,
    notAfter: subject.notAfter,
  };
}

function statusDifference(answer: SingleAnswer, { revocation }: OcspSubject): string | undefined {
  if (revocation === undefined) return answer.status === 'good' ? undefined : 'it is not revoked';
  if (answer.status !== 'revoked') return 'it is revoked';
  if (answer.revokedAt?.getTime() !== wholeSecond(revocation.revokedAt.getTime()))
    return 'the time of revocation';
  return answer.reasonCode === REVOCATION_REASONS[revocation.reason] ? undefined : 'the reason';
}

function readOnlyAnswer(tbsDer: Uint8Array): SingleAnswer | undefined {
  try {
    const { answers } = readOcspData(tbsDer);
    return answers.length === 1 ? answers[0] : undefined;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
