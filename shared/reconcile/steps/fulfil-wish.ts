import type { FulfilWishStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Closes a re-key wish: the identity uses a key made after it, or the detail says why there is none. */
export async function fulfilWish(step: FulfilWishStep, { deps, lease }: StepContext): Promise<StepOutcome> {
  await deps.ledger.fulfilWish(lease, step.wishId, step.detail);
  return { outcome: 'done', details: { wishId: step.wishId } };
}
