import type { RetireLeafStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Writes down that a replaced leaf will be revoked, and when. */
export async function retireLeaf(step: RetireLeafStep, { deps, lease }: StepContext): Promise<StepOutcome> {
  await deps.ledger.recordRetirement(lease, {
    serialHex: step.serialHex,
    reason: step.revocationReason,
    dueAt: step.dueAt,
  });
  return { outcome: 'done', details: { serialHex: step.serialHex, dueAt: step.dueAt.toISOString() } };
}
