import type { FulfilWishStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Closes a re-key wish: the identity uses a key made after it. */
export async function fulfilWish(step: FulfilWishStep, { deps, lease }: StepContext): Promise<StepOutcome> {
  await deps.ledger.fulfilWish(lease, step.wishId);
  return { outcome: 'done', details: { wishId: step.wishId } };
}
