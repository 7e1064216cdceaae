import { createHash, randomUUID } from 'node:crypto';
import type { TakeCardKeyStep } from '../../domain/step.ts';
import { permanent } from '../../errors.ts';
import { sharedWithKnownKeys } from '../../pki/known-keys.ts';
import { liveLeaves } from '../../plan/holdings.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Records the public key of the user's smart card. The private half never was anywhere else, so there is nothing to wrap and
 * nothing to prove. A key that has a live certificate is not taken again: whoever wants a new key wants another one.
 */
export async function takeCardKey(
  step: TakeCardKeyStep,
  { deps, lease, facts, mailbox, made }: StepContext,
): Promise<StepOutcome> {
  const { purpose } = step;
  if (deps.cardKeys === undefined) {
    throw permanent(
      'card-key-unusable',
      'The policy wants keys on smart cards and no folder for their requests is configured; set SEALWRIGHT_KEY_FOLDER.',
    );
  }
  const { spkiDer, modulusBits } = await deps.cardKeys.find({ address: mailbox, purpose });
  const spkiSha256Hex = createHash('sha256').update(spkiDer).digest('hex');
  if ((await deps.ledger.readBlockedKey(spkiSha256Hex)) !== undefined) {
    throw permanent(
      'card-key-unusable',
      `The card key handed over for ${mailbox} was revoked as compromised; have a card make a new key and hand over its request.`,
    );
  }
  const other = await deps.ledger.otherHolderOfKey(spkiSha256Hex, facts.userId);
  if (other !== undefined) {
    throw permanent(
      'card-key-unusable',
      `The card key handed over for ${mailbox} is that of the user ${other}; the files may be mixed up.`,
    );
  }
  const known = facts.ledger.keys.find((key) => key.spkiSha256Hex === spkiSha256Hex);
  if (known !== undefined) {
    // Recorded by an attempt that went no further, or left over from a certificate that is no more.
    const inUse = liveLeaves(facts).some((leaf) => leaf.keyId === known.keyId);
    const answers = step.wishId === undefined || known.wishId === step.wishId;
    if (inUse || !answers || known.purpose !== purpose || known.card === undefined) {
      throw permanent(
        'card-key-unusable',
        `The card key handed over for ${mailbox} is one the user has already; have the card make a new key and hand over its request.`,
      );
    }
    made.keyIds.set(purpose, known.keyId);
    return { outcome: 'adopted', details: { keyId: known.keyId, purpose, spkiSha256Hex } };
  }
  const weakness = await sharedWithKnownKeys(deps.ledger, spkiDer);
  if (weakness !== undefined) {
    throw permanent(
      'card-key-unusable',
      `The card key handed over for ${mailbox} is weak, and nothing was recorded. ${weakness.sentence}`,
      { details: { weakness: weakness.id } },
    );
  }
  const keyId = randomUUID();
  await deps.ledger.recordKey(lease, {
    ...{ keyId, userId: facts.userId, purpose, spkiSha256Hex, spkiDer, modulusBits },
    card: { description: `Key on a smart card, SHA-256 of its public key ${spkiSha256Hex}` },
    proof: 'not-applicable',
    ...(step.wishId === undefined ? {} : { wishId: step.wishId }),
  });
  made.keyIds.set(purpose, keyId);
  return { outcome: 'done', details: { keyId, purpose, spkiSha256Hex } };
}
