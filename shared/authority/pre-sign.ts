/**
 * OCSP answers, signed before anybody asks: committed as a batch, signed by `sign`, public from then on. Right after a leaf is
 * signed, right after a revocation, and anew long before they end.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { isSealwrightError, permanent } from '../errors.ts';
import {
  CERT_ID_HASHES,
  encodeOcspAnswer,
  issuerHashes,
  type OcspStatus,
  responderKeyHash,
} from '../pki/ocsp.ts';
import { wholeSecond } from '../pki/validity.ts';
import type { Clock } from '../ports/clock.ts';
import type {
  AnsweringSigner,
  LeafStatus,
  OcspIntent,
  OcspLedger,
  OcspSubject,
  StoredOcspSigner,
} from '../ports/ledger/ocsp.ts';
import type { Signing } from '../ports/signing.ts';

const HOUR_MS = 3_600_000;

/**
 * An answer is good for four days and made anew once it is a day and a half old, so with a run of publish-crl every six hours there
 * are never less than 54 hours left, a weekend nearly, where SMBR 4.9.10 ask for 8. What the schedule did not get to in its time is
 * asked for by `due` an hour after it should have been; past half its life it is an alarm. Made anew more often, each answer is signed
 * and written more often for nothing: whoever is revoked is answered so at once.
 */
export const OCSP_ANSWER = {
  validMs: 96 * HOUR_MS,
  renewAfterMs: 36 * HOUR_MS,
  askAfterMs: 43 * HOUR_MS,
  alarmAfterMs: 48 * HOUR_MS,
} as const;

const BATCH_SIZE = 250;
/** How often a refresh looks who was revoked meanwhile. Not before each batch: it reads all revocations of the issuer. */
const LOOK_EVERY_MS = 5_000;

export interface PreSignDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    OcspLedger,
    | 'ocspSigners'
    | 'ocspSubjects'
    | 'oldestOcspAnswer'
    | 'readOcspAnswer'
    | 'readOcspSubjects'
    | 'recordOcspBatch'
  >;
  readonly signing: Pick<Signing, 'signOcspBatch'>;
}

/**
 * Has answers about a leaf signed, or nothing where the issuer has no OCSP address. Throws `issuer-not-ready`
 * (permanent) while it has no OCSP signer, and what `sign` throws.
 */
export async function preSignLeaf(deps: PreSignDeps, { issuer, signer, subject }: LeafStatus): Promise<void> {
  if (issuer.ocspUrl === undefined) return;
  if (signer === undefined) {
    throw permanent(
      'issuer-not-ready',
      `Issuer ${issuer.issuerId} has no OCSP signer yet; publish-crl makes one.`,
    );
  }
  await preSign(deps, issuer, signer, subject === undefined ? [] : [subject]);
}

/** The signed one that ends last. */
export const currentSigner = (signers: readonly StoredOcspSigner[]): StoredOcspSigner | undefined =>
  signers.find(({ certificateDer }) => certificateDer !== undefined);

/** True when nobody who is revoked is still answered *good*, or not at all. */
export async function isOcspCurrent(
  deps: { readonly ledger: Pick<OcspLedger, 'ocspSubjects'>; readonly clock: Clock },
  issuer: IssuerRecord,
): Promise<boolean> {
  if (issuer.ocspUrl === undefined) return true;
  const behind = await deps.ledger.ocspSubjects({
    issuerId: issuer.issuerId,
    madeBefore: deps.clock.now(),
    behind: true,
    limit: 1,
  });
  return behind.length === 0;
}

/** Whether answers are left to be made anew that the schedule should have reached: `due` then asks for another run. */
export async function isRefreshBehind(
  deps: { readonly ledger: Pick<OcspLedger, 'oldestOcspAnswer'>; readonly clock: Clock },
  issuer: IssuerRecord,
): Promise<boolean> {
  if (issuer.ocspUrl === undefined) return false;
  const oldest = await deps.ledger.oldestOcspAnswer(issuer.issuerId);
  if (oldest === undefined) return false;
  return deps.clock.now().getTime() - oldest.thisUpdate.getTime() >= OCSP_ANSWER.askAfterMs;
}

/** The course of a run that may take longer than the function that it runs in. */
export interface Course {
  /** False once no other batch may begin. The first one always does, so that each run gets somewhere. */
  readonly hasTime: () => boolean;
  /** Milliseconds on a clock that only goes forward. */
  readonly elapsedMs: () => number;
  /** Called before each batch, to keep a lease. */
  readonly between: () => Promise<void>;
  /** Certificates in a batch, each with two answers. Default 250, which keeps a call of `sign` and its transaction under a second. */
  readonly batchSize?: number;
}

/** Answers how many certificates got new answers. */
type Signed = Promise<number>;

/** The signer's own first answer, which the look at the public address asks for, and whoever is revoked and not answered so. */
export async function answerUrgent(
  deps: PreSignDeps,
  issuer: IssuerRecord,
  signer: StoredOcspSigner,
  course: Course,
): Signed {
  const { issuerId } = issuer;
  let count = 0;
  if ((await deps.ledger.readOcspAnswer(issuerId, signer.serialHex, 'sha256')) === undefined) {
    const own = await deps.ledger.readOcspSubjects(issuerId, [signer.serialHex]);
    await preSign(deps, issuer, signer, own);
    count += own.length;
  }
  return count + (await answerRevoked(deps, issuer, signer, course));
}

async function answerRevoked(
  deps: PreSignDeps,
  issuer: IssuerRecord,
  signer: StoredOcspSigner,
  { hasTime, between, batchSize = BATCH_SIZE }: Course,
): Signed {
  let count = 0;
  let afterSerialHex = '';
  do {
    const subjects = await deps.ledger.ocspSubjects({
      issuerId: issuer.issuerId,
      madeBefore: deps.clock.now(),
      behind: true,
      afterSerialHex,
      limit: batchSize,
    });
    const last = subjects.at(-1);
    if (last === undefined) break;
    await between();
    await preSign(deps, issuer, signer, subjects);
    count += subjects.length;
    afterSerialHex = last.serialHex;
  } while (hasTime());
  return count;
}

/**
 * Signs what is missing or old, from the certificate with the oldest answer on by serial and round to it again, for as long as there
 * is time: a run that ends early has made the oldest anew, and the next begins at what is the oldest then. Whoever is revoked
 * meanwhile is answered so within seconds, because another run for them finds this one at work.
 */
export async function refreshAnswers(
  deps: PreSignDeps,
  issuer: IssuerRecord,
  signer: StoredOcspSigner,
  course: Course,
): Signed {
  const { issuerId } = issuer;
  const madeBefore = new Date(deps.clock.now().getTime() - OCSP_ANSWER.renewAfterMs);
  const oldest = await deps.ledger.oldestOcspAnswer(issuerId);
  // What is shorter by a digit sorts just before.
  const beginning = oldest?.serialHex.slice(0, -1) ?? '';
  let lookAgainMs = course.elapsedMs() + LOOK_EVERY_MS;
  let count = 0;
  for (const from of beginning === '' ? [''] : [beginning, '']) {
    let afterSerialHex = from;
    for (;;) {
      if (count > 0 && !course.hasTime()) return count;
      if (course.elapsedMs() >= lookAgainMs) {
        count += await answerRevoked(deps, issuer, signer, course);
        lookAgainMs = course.elapsedMs() + LOOK_EVERY_MS;
      }
      const subjects = await deps.ledger.ocspSubjects({
        issuerId,
        madeBefore,
        afterSerialHex,
        limit: course.batchSize ?? BATCH_SIZE,
      });
      const last = subjects.at(-1);
      if (last === undefined) break;
      await course.between();
      await preSign(deps, issuer, signer, subjects);
      count += subjects.length;
      afterSerialHex = last.serialHex;
    }
  }
  return count;
}

/** Of the same certificates; in a company that revokes now and then, one more is rare and a third has not been seen. */
const ATTEMPTS = 3;

/**
 * Somebody may be revoked after the subjects were read and before `sign` reads the ledger again: it then refuses the whole batch, as it
 * must, and another is made of what the ledger says by now. Where nothing has changed, the refusal means something else.
 */
async function preSign(
  deps: PreSignDeps,
  issuer: IssuerRecord,
  signer: AnsweringSigner,
  asRead: readonly OcspSubject[],
): Promise<void> {
  let subjects = asRead;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await signAnswers(deps, issuer, signer, subjects);
    } catch (error) {
      if (!isSealwrightError(error) || error.code !== 'intent-mismatch' || attempt === ATTEMPTS) throw error;
      const serialsHex = subjects.map(({ serialHex }) => serialHex);
      const now = await deps.ledger.readOcspSubjects(issuer.issuerId, serialsHex);
      if (revokedAmong(now) === revokedAmong(subjects)) throw error;
      subjects = now;
    }
  }
}

/** A revocation never changes and never ends, so that their number tells whether there is a new one. */
const revokedAmong = (subjects: readonly OcspSubject[]): number =>
  subjects.filter(({ revocation }) => revocation !== undefined).length;

async function signAnswers(
  deps: PreSignDeps,
  issuer: IssuerRecord,
  signer: AnsweringSigner,
  subjects: readonly OcspSubject[],
): Promise<void> {
  if (subjects.length === 0) return;
  const now = deps.clock.now();
  const nextUpdate = new Date(
    Math.min(wholeSecond(now.getTime()) + OCSP_ANSWER.validMs, signer.notAfter.getTime()),
  );
  const responder = responderKeyHash(signer.spkiDer);
  const intents = CERT_ID_HASHES.flatMap((hash): readonly OcspIntent[] => {
    const hashes = issuerHashes(issuer.certificateDer, hash);
    return subjects.map((subject) => ({
      serialHex: subject.serialHex,
      hash,
      tbsDer: encodeOcspAnswer({
        issuer: hashes,
        hash,
        responderKeyHash: responder,
        serialHex: subject.serialHex,
        status: statusOf(subject),
        now,
        nextUpdate,
      }),
    }));
  });
  const batchId = await deps.ledger.recordOcspBatch({
    issuerId: issuer.issuerId,
    signerSerialHex: signer.serialHex,
    intents,
  });
  await deps.signing.signOcspBatch(batchId);
}

const statusOf = ({ revocation }: OcspSubject): OcspStatus =>
  revocation === undefined
    ? { kind: 'good' }
    : { kind: 'revoked', revokedAt: revocation.revokedAt, reason: revocation.reason };
