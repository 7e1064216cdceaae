/** The third place where something gets signed (`issue.ts` has the others): OCSP answers, by a delegated signer. */
import { promisify } from 'node:util';
import type { Recorded } from '../domain/recorded.ts';
import { permanent } from '../errors.ts';
import { readCertificate } from './certificate.ts';
import { sameBytes } from './der-reader.ts';
import { assertLintClean } from './finding.ts';
import { ocspLinter } from './lint-ocsp.ts';
import { Linted } from './linted.ts';
import { assembleOcspAnswer } from './ocsp.ts';
import { readOcspResponse } from './ocsp-reader.ts';
import type { Signer } from './signer.ts';

export interface OcspAnswersToSign {
  /** DER of each ResponseData. */
  readonly tbsDers: readonly Recorded[];
  readonly issuerCertificateDer: Uint8Array;
  readonly signerCertificateDer: Uint8Array;
  /** Of the key in the signer's certificate. */
  readonly signer: Signer;
  /** Now. */
  readonly signingTime: Date;
}

/** Signed in one go before others get their turn: a few milliseconds. */
const BEFORE_OTHERS = 16;
const othersTurn = promisify(setImmediate);

/**
 * Lints the signer's certificate and each answer, signs them, checks that the results hold exactly those bytes; answers
 * the OCSPResponses, DER, in the same order. One answer that is not clean and none is signed. Throws (permanent) `lint-failed`,
 * `ca-key-unusable`.
 */
export async function issueOcspAnswers(request: OcspAnswersToSign): Promise<readonly Uint8Array[]> {
  const { tbsDers, signer, signerCertificateDer } = request;
  const linter = ocspLinter(request);
  assertLintClean(linter.signerFindings, 'the OCSP signer');
  const linted = tbsDers.map((tbsDer) => ({
    tbsDer,
    proof: Linted.by((der) => linter.lint(der), tbsDer, 'an OCSP answer'),
  }));
  if (!sameBytes(readCertificate(signerCertificateDer).spkiDer, signer.spkiDer)) {
    throw permanent(
      'ca-key-unusable',
      "The OCSP signer's key is not the one in its certificate: nothing was signed. Let publish-crl make a new signer.",
    );
  }
  const answers: Uint8Array[] = [];
  for (const { tbsDer, proof } of linted) {
    if (answers.length % BEFORE_OTHERS === BEFORE_OTHERS - 1) await othersTurn();
    // The signer verifies each signature before it lets it out.
    const signature = await proof.sign(signer);
    const answerDer = assembleOcspAnswer(tbsDer, signer.algorithm, signature, signerCertificateDer);
    const { basic } = readOcspResponse(answerDer);
    if (basic === undefined || !sameBytes(basic.data.tbsDer, tbsDer)) {
      throw new Error('bug: an assembled OCSP answer does not hold the bytes that were signed');
    }
    answers.push(answerDer);
  }
  return answers;
}
