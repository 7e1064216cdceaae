import type { SetIdentityStep } from '../../domain/step.ts';
import { retryable } from '../../errors.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { recordedKeypairId, resolveLeaf } from './references.ts';

/** Ties the address to the current pair: creates the identity, or patches the one there is, whichever Gmail needs. */
export async function setIdentity(step: SetIdentityStep, context: StepContext): Promise<StepOutcome> {
  const { deps, mailbox } = context;
  const keypairId = await recordedKeypairId(context, resolveLeaf(step.leaf, context));
  const identity = { address: step.address, use: { kind: 'dual' as const, keypairId } };
  const details = { address: step.address, keypairId };
  if (step.replace && (await deps.gmail.patchIdentity(mailbox, identity)) === 'patched')
    return { outcome: 'done', details };
  if ((await deps.gmail.createIdentity(mailbox, identity)) === 'created') return { outcome: 'done', details };
  // It exists after all: an answer was lost, or somebody made one in between. Patching states what we want.
  if ((await deps.gmail.patchIdentity(mailbox, identity)) === 'patched')
    return { outcome: 'adopted', details };
  throw retryable(
    'gmail-unavailable',
    `Gmail says the identity ${step.address} exists and does not exist; it is asked again.`,
  );
}
