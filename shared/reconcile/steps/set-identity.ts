import type { GmailIdentity } from '../../domain/gmail.ts';
import type { IdentityLeaves, SetIdentityStep } from '../../domain/step.ts';
import { retryable } from '../../errors.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { assertMailboxIsTheirs } from '../mailbox.ts';
import { recordedKeypairId, resolveLeaf } from './references.ts';

/** Ties the address to the current pair or pairs: creates the identity, or patches the one there is, whichever Gmail needs. */
export async function setIdentity(step: SetIdentityStep, context: StepContext): Promise<StepOutcome> {
  const { deps, mailbox } = context;
  const identity = { address: step.address, use: await useOf(step.leaves, context) };
  await assertMailboxIsTheirs(deps, context.facts.userId, mailbox);
  const { kind, ...keypairIds } = identity.use;
  const details = { address: step.address, kind, ...keypairIds };
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

async function useOf(leaves: IdentityLeaves, context: StepContext): Promise<GmailIdentity['use']> {
  if (leaves.kind === 'dual') {
    return { kind: 'dual', keypairId: await recordedKeypairId(context, resolveLeaf(leaves.leaf, context)) };
  }
  return {
    kind: 'split',
    signingKeypairId: await recordedKeypairId(context, resolveLeaf(leaves.signing, context)),
    encryptionKeypairId: await recordedKeypairId(context, resolveLeaf(leaves.encryption, context)),
  };
}
