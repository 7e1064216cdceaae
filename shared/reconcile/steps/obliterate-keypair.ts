import type { ObliterateKeypairStep } from '../../domain/step.ts';
import { permanent } from '../../errors.ts';
import { whyGmailForbidsObliterating } from '../../plan/obliteration.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Carries out an obliteration that two admins asked for, if what they were shown still holds by Gmail's own account:
 * disabled for more than 30 days, used by no identity. Otherwise the request is closed as refused and nothing is
 * destroyed; asking again is a new request. A pair that is gone is done already.
 */
export async function obliterateKeypair(
  step: ObliterateKeypairStep,
  { deps, lease, facts, mailbox }: StepContext,
): Promise<StepOutcome> {
  const { keypairId, requestId } = step;
  const against = whyGmailForbidsObliterating(facts.gmail, deps.clock.now(), keypairId);
  if (against !== undefined) {
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'refused', detail: against });
    throw permanent('obliteration-refused', `Nothing was obliterated. ${against}`, {
      details: { requestId, keypairId },
    });
  }
  const answer = await deps.gmail.obliterateKeypair(mailbox, keypairId);
  await deps.ledger.closeKeypairRequest(lease, {
    requestId,
    state: 'done',
    detail: answer === 'absent' ? 'Gmail had it no more.' : 'It is obliterated.',
  });
  return { outcome: answer === 'absent' ? 'already' : 'done', details: { keypairId, requestId } };
}
