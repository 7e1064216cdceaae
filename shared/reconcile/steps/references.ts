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

/** The public half of a key, DER: as the step that made it left it, or else as the ledger has it. */
export async function spkiOf(keyId: string, { deps, facts, made }: StepContext): Promise<Uint8Array> {
  const known = made.spkiDers.get(keyId);
  if (known !== undefined) return known;
  const { keys } = await deps.ledger.readUser(facts.userId);
  const key = keys.find((candidate) => candidate.keyId === keyId);
  if (key === undefined)
    throw new Error(`The ledger does not know the key ${keyId} of user ${facts.userId}.`);
  return key.spkiDer;
}

/** Gmail's id of the pair that holds this leaf, as recorded when it was created or adopted. */
export async function recordedKeypairId(
  { deps, facts, made }: StepContext,
  serialHex: string,
): Promise<string> {
  const created = made.keypairIds.get(serialHex);
  if (created !== undefined) return created;
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
