/**
 * OCSP's own small loop, beside the CRL's: a signer that lasts, then answers for whatever has none, a wrong one or an old one.
 * It needs no lease to be right, since an answer never replaces a newer one; it takes one so that two runs do not do the
 * same work.
 */
import type { IssuerRecord } from '../domain/records.ts';
import { retryable } from '../errors.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import { type OcspSignerDeps, ocspSignerKind } from './ocsp-signer.ts';
import { OCSP_ANSWER, type PreSignDeps, refreshAnswers } from './pre-sign.ts';
import { readySigner } from './service-signer.ts';

export interface PublishOcspDeps extends Omit<PreSignDeps & OcspSignerDeps, 'ledger' | 'signing'> {
  readonly ledger: PreSignDeps['ledger'] &
    OcspSignerDeps['ledger'] &
    Pick<Ledger, 'acquireLease' | 'renewLease' | 'releaseLease' | 'oldestOcspAnswer'>;
  readonly signing: PreSignDeps['signing'] & OcspSignerDeps['signing'];
  readonly log: Log;
}

const LEASE_MS = 60_000;

/** Throws `lease-held` (retryable) while somebody else does. */
export async function publishOcsp(deps: PublishOcspDeps, issuer: IssuerRecord): Promise<void> {
  const { issuerId } = issuer;
  const lease = await deps.ledger.acquireLease(`job:ocsp-${issuerId}`, LEASE_MS);
  if (lease === undefined) {
    throw retryable('lease-held', `The OCSP answers of issuer ${issuerId} are being signed by another run.`, {
      retryAfterMs: 5_000,
    });
  }
  try {
    const signer = await readySigner(deps, ocspSignerKind(deps), issuer);
    const answers = await refreshAnswers(deps, issuer, signer, () => deps.ledger.renewLease(lease, LEASE_MS));
    const oldest = await deps.ledger.oldestOcspAnswer(issuerId);
    deps.log.info('ocsp-published', {
      issuerId,
      answers,
      signerSerialHex: signer.serialHex,
      ...(oldest === undefined ? {} : { oldestThisUpdate: oldest.thisUpdate.toISOString() }),
    });
    const ageMs = deps.clock.now().getTime() - (oldest?.thisUpdate.getTime() ?? deps.clock.now().getTime());
    if (ageMs > OCSP_ANSWER.alarmAfterMs) {
      deps.log.error('ocsp-answers-old', { issuerId, oldestThisUpdate: oldest?.thisUpdate.toISOString() });
    }
  } finally {
    await deps.ledger.releaseLease(lease);
  }
}
