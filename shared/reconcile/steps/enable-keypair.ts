import type { EnableKeypairStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Enables a pair of ours, whoever disabled it; written down afterwards, so that a crash in between enables again. */
export async function enableKeypair(
  step: EnableKeypairStep,
  { deps, lease, mailbox }: StepContext,
): Promise<StepOutcome> {
  await deps.ledger.recordKeypair(lease, { serialHex: step.serialHex, keypairId: step.keypairId });
  await deps.gmail.enableKeypair(mailbox, step.keypairId);
  await deps.ledger.recordKeypairEnabled(lease, step.serialHex);
  return { outcome: 'done', details: { keypairId: step.keypairId } };
}
