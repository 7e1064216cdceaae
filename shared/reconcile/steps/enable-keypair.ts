import type { EnableKeypairStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Enables a pair of ours that somebody disabled. */
export async function enableKeypair(
  step: EnableKeypairStep,
  { deps, mailbox }: StepContext,
): Promise<StepOutcome> {
  await deps.gmail.enableKeypair(mailbox, step.keypairId);
  return { outcome: 'done', details: { keypairId: step.keypairId } };
}
