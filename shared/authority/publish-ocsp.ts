/**
 * OCSP's own small loop, beside the CRL's: a signer that lasts, then answers for whatever has none, a wrong one or an old one, in two
 * parts, because the second takes many minutes where there are a million certificates.
 * It needs no lease to be right, since an answer never replaces a newer one; it takes one so that two runs do not do the
 * same work.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { retryable } from '../errors.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import { type OcspSignerDeps, ocspSignerKind } from './ocsp-signer.ts';
import { answerUrgent, type Course, OCSP_ANSWER, type PreSignDeps, refreshAnswers } from './pre-sign.ts';
import { type ReadySigner, readySigner } from './service-signer.ts';

export interface PublishOcspDeps extends Omit<PreSignDeps & OcspSignerDeps, 'ledger' | 'signing'> {
  readonly ledger: PreSignDeps['ledger'] &
    OcspSignerDeps['ledger'] &
    Pick<Ledger, 'acquireLease' | 'renewLease' | 'releaseLease' | 'forgetOcsp'>;
  readonly signing: PreSignDeps['signing'] & OcspSignerDeps['signing'];
  readonly log: Log;
}

const LEASE_MS = 60_000;

/** What a run may take: the parts of `Course` that are not about its lease. */
export type Time = Omit<Course, 'between'>;

/**
 * What nobody may wait for: a signer, and answers about whoever was revoked. Throws `lease-held` (retryable) while somebody
 * else is at this issuer's answers.
 */
export async function publishRevoked(deps: PublishOcspDeps, issuer: IssuerRecord, time: Time): Promise<void> {
  await underLease(deps, issuer, time, async (signer, course) => {
    const answers = await answerUrgent(deps, issuer, signer, course);
    if (answers > 0) deps.log.info('ocsp-revoked-published', { issuerId: issuer.issuerId, answers });
  });
}

/** Everything else, for as long as there is time: what is left is for the next run. Throws `lease-held` as above. */
export async function refreshOcsp(deps: PublishOcspDeps, issuer: IssuerRecord, time: Time): Promise<void> {
  const { issuerId } = issuer;
  await underLease(deps, issuer, time, async (signer, course) => {
    const answers = await refreshAnswers(deps, issuer, signer, course);
    const forgotten = await forgetOld(deps, issuerId, course);
    const oldest = await deps.ledger.oldestOcspAnswer(issuerId);
    deps.log.info('ocsp-published', {
      issuerId,
      answers,
      forgotten,
      signerSerialHex: signer.serialHex,
      ...(oldest === undefined ? {} : { oldestThisUpdate: oldest.thisUpdate.toISOString() }),
    });
    const ageMs = deps.clock.now().getTime() - (oldest?.thisUpdate.getTime() ?? deps.clock.now().getTime());
    if (ageMs > OCSP_ANSWER.alarmAfterMs) {
      deps.log.error('ocsp-answers-old', { issuerId, oldestThisUpdate: oldest?.thisUpdate.toISOString() });
    }
  });
}

/** Clocks differ, and a batch that is being signed must not lose what it intends. */
const FORGET_AFTER_MS = 86_400_000;
const FORGOTTEN_AT_ONCE = 5_000;

/** Answers about certificates that ended, which nobody is given, and what refused batches intended. Answers how many rows went. */
async function forgetOld(
  { clock, ledger }: PublishOcspDeps,
  issuerId: string,
  { hasTime, between }: Course,
): Promise<number> {
  const before = new Date(clock.now().getTime() - FORGET_AFTER_MS);
  let total = 0;
  for (;;) {
    const { answers, intents } = await ledger.forgetOcsp(issuerId, before, FORGOTTEN_AT_ONCE);
    total += answers + intents;
    if (Math.max(answers, intents) < FORGOTTEN_AT_ONCE || !hasTime()) return total;
    await between();
  }
}

async function underLease(
  deps: PublishOcspDeps,
  issuer: IssuerRecord,
  time: Time,
  work: (signer: ReadySigner, course: Course) => Promise<void>,
): Promise<void> {
  const { issuerId } = issuer;
  const lease = await deps.ledger.acquireLease(`job:ocsp-${issuerId}`, LEASE_MS);
  if (lease === undefined) {
    throw retryable('lease-held', `The OCSP answers of issuer ${issuerId} are being signed by another run.`, {
      retryAfterMs: 5_000,
    });
  }
  try {
    const signer = await readySigner(deps, ocspSignerKind(deps), issuer);
    await work(signer, { ...time, between: () => deps.ledger.renewLease(lease, LEASE_MS) });
  } finally {
    await deps.ledger.releaseLease(lease);
  }
}
