/** What `made` in a step stands for, once the step that makes it has run. */
import type { KeyReference, LeafReference } from '../../domain/step.ts';
import { retryable } from '../../errors.ts';
import type { StepContext } from '../context.ts';

export function resolveKey(reference: KeyReference, { made }: StepContext): string {
  const keyId = 'made' in reference ? made.keyIds.get(reference.made) : reference.keyId;
  if (keyId === undefined) throw new Error('A step refers to a key that no earlier step of the plan made.');
  return keyId;
}

export function resolveLeaf(reference: LeafReference, { made }: StepContext): string {
  const serialHex = 'made' in reference ? made.serials.get(reference.made) : reference.serialHex;
  if (serialHex === undefined)
    throw new Error('A step refers to a leaf that no earlier step of the plan made.');
  return serialHex;
}

/** Gmail's id of the pair that holds this leaf, as recorded when it was created or adopted. */
export async function recordedKeypairId({ deps, facts }: StepContext, serialHex: string): Promise<string> {
  const ledger = await deps.ledger.readUser(facts.userId);
  const keypairId = ledger.keypairs.find((keypair) => keypair.serialHex === serialHex)?.keypairId;
  if (keypairId === undefined) {
    throw retryable(
      'intent-mismatch',
      `No key pair of serial ${serialHex} is recorded yet; the user is looked at again.`,
    );
  }
  return keypairId;
}
