import type { DeleteIdentityStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Deletes an identity; its pair stays, so that old mail opens. Deleting what is gone is done already. */
export async function deleteIdentity(
  step: DeleteIdentityStep,
  { deps, mailbox }: StepContext,
): Promise<StepOutcome> {
  await deps.gmail.deleteIdentity(mailbox, step.address);
  return { outcome: 'done', details: { address: step.address, departure: step.departure } };
}
