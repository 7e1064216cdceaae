import type { SignLeafStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { refuseReassigned } from './issue-leaf.ts';

/** Finishes an issuance whose intent is committed: `sign` signs exactly those bytes, or answers what it signed before. */
export async function signLeaf(step: SignLeafStep, context: StepContext): Promise<StepOutcome> {
  const { deps, facts, made } = context;
  const leaf = facts.ledger.leaves.find(({ serialHex }) => serialHex === step.serialHex);
  if (leaf !== undefined) await refuseReassigned(context, leaf);
  await deps.signing.signLeaf(step.serialHex);
  made.signed.add(step.serialHex);
  return { outcome: 'done', details: { serialHex: step.serialHex } };
}
