import type { SignLeafStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/** Finishes an issuance whose intent is committed: `sign` signs exactly those bytes, or answers what it signed before. */
export async function signLeaf(step: SignLeafStep, { deps, made }: StepContext): Promise<StepOutcome> {
  await deps.signing.signLeaf(step.serialHex);
  made.serialHex = step.serialHex;
  return { outcome: 'done', details: { serialHex: step.serialHex } };
}
