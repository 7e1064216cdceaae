import { createHash, randomUUID } from 'node:crypto';
import type { MakeKeyStep } from '../../domain/step.ts';
import { permanent } from '../../errors.ts';
import { sharedWithKnownKeys } from '../../pki/known-keys.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Makes a key, has the key service wrap it and prove that the blob opens, commits the wrapped form and drops the
 * plain one. The plain key lives in this function only and is overwritten before it returns, also on failure.
 */
export async function makeKey(step: MakeKeyStep, context: StepContext): Promise<StepOutcome> {
  if (step.supplied) return await takeSuppliedKey(step, context);
  const { deps, lease, facts, made } = context;
  const { pkcs8Der, spkiDer } = await deps.generateKey(step.modulusBits);
  try {
    const keyId = randomUUID();
    const spkiSha256Hex = createHash('sha256').update(spkiDer).digest('hex');
    const { wrappedKey, proof } = await deps.keyService.wrapPrivateKey({
      keyServiceUrl: step.keyServiceUrl,
      privateKeyDer: pkcs8Der,
      spkiSha256Hex,
      userId: facts.userId,
    });
    await deps.ledger.recordKey(lease, {
      keyId,
      userId: facts.userId,
      purpose: step.purpose,
      spkiSha256Hex,
      spkiDer,
      modulusBits: step.modulusBits,
      keyServiceUrl: step.keyServiceUrl,
      wrappedKey,
      proof,
      ...(step.wishId === undefined ? {} : { wishId: step.wishId }),
    });
    made.keyIds.set(step.purpose, keyId);
    made.spkiDers.set(keyId, spkiDer);
    made.privateKeys.set(keyId, { keyServiceUrl: step.keyServiceUrl, wrappedKey });
    return { outcome: 'done', details: { keyId, purpose: step.purpose, spkiSha256Hex, proof } };
  } finally {
    pkcs8Der.fill(0);
  }
}

/**
 * Takes the key an admin has supplied for the user, wrapped already. Each serves once: one that the ledger knows is taken
 * again only where an earlier attempt recorded it and went no further.
 */
async function takeSuppliedKey(
  step: MakeKeyStep,
  { deps, lease, facts, mailbox, made }: StepContext,
): Promise<StepOutcome> {
  if (deps.suppliedKeys === undefined) {
    throw permanent(
      'supplied-key-unusable',
      'The policy wants supplied keys and no folder of them is configured; set SEALWRIGHT_KEY_FOLDER.',
    );
  }
  const { keyServiceUrl, purpose } = step;
  const { spkiDer, modulusBits, wrappedKey } = await deps.suppliedKeys.find({
    address: mailbox,
    keyServiceUrl,
  });
  const spkiSha256Hex = createHash('sha256').update(spkiDer).digest('hex');
  const known = facts.ledger.keys.find((key) => key.spkiSha256Hex === spkiSha256Hex);
  if (known !== undefined) {
    const unused = facts.ledger.leaves.every((leaf) => leaf.keyId !== known.keyId);
    if (!unused || known.wishId !== step.wishId || known.purpose !== purpose) {
      throw permanent(
        'supplied-key-unusable',
        `The key supplied for ${mailbox} is one the user has already; supply a new one, wrapped by ${keyServiceUrl}.`,
      );
    }
    made.keyIds.set(purpose, known.keyId);
    return {
      outcome: 'adopted',
      details: { keyId: known.keyId, purpose, spkiSha256Hex, proof: known.proof },
    };
  }
  if ((await deps.ledger.readBlockedKey(spkiSha256Hex)) !== undefined) {
    throw permanent(
      'supplied-key-unusable',
      `The key supplied for ${mailbox} was revoked as compromised; supply another one.`,
    );
  }
  const other = await deps.ledger.otherHolderOfKey(spkiSha256Hex, facts.userId);
  if (other !== undefined) {
    throw permanent(
      'supplied-key-unusable',
      `The key supplied for ${mailbox} is that of the user ${other}; the files may be mixed up.`,
    );
  }
  const weakness = await sharedWithKnownKeys(deps.ledger, spkiDer);
  if (weakness !== undefined) {
    throw permanent(
      'supplied-key-unusable',
      `The key supplied for ${mailbox} is weak, and nothing was recorded. ${weakness.sentence}`,
      { details: { weakness: weakness.id } },
    );
  }
  const keyId = randomUUID();
  await deps.ledger.recordKey(lease, {
    ...{
      keyId,
      userId: facts.userId,
      purpose,
      spkiSha256Hex,
      spkiDer,
      modulusBits,
      keyServiceUrl,
      wrappedKey,
    },
    // Nobody here has seen it open.
    proof: 'unproven',
    ...(step.wishId === undefined ? {} : { wishId: step.wishId }),
  });
  made.keyIds.set(purpose, keyId);
  return { outcome: 'done', details: { keyId, purpose, spkiSha256Hex, proof: 'unproven' } };
}
