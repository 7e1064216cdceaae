import type { FailWishStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Closes a re-key wish that can never come true, with the reason the job shows. */
export async function failWish(step: FailWishStep, { deps, lease }: StepContext): Promise<StepOutcome> {
  await deps.ledger.failWish(lease, step.wishId, step.reason);
  return { outcome: 'done', details: { wishId: step.wishId } };
}
