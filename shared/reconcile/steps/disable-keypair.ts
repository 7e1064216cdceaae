import type { DisableKeypairStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Disables a pair of ours. That it is ours and that it was us is written down first: a pair that is found disabled
 * without that was disabled by somebody else.
 */
export async function disableKeypair(
  step: DisableKeypairStep,
  { deps, lease, mailbox }: StepContext,
): Promise<StepOutcome> {
  const { serialHex, keypairId, because, departure, requestId, refuse } = step;
  if (refuse !== undefined && requestId !== undefined) {
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'refused', detail: refuse });
    return { outcome: 'done', details: { keypairId, requestId, refused: true } };
  }
  await deps.ledger.recordKeypair(lease, { serialHex, keypairId });
  await deps.ledger.recordKeypairDisabled(lease, { serialHex, because });
  await deps.gmail.disableKeypair(mailbox, keypairId);
  if (requestId !== undefined)
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'done', detail: 'It is disabled.' });
  return { outcome: 'done', details: { keypairId, because, departure } };
}
