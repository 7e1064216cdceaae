import { createHash, randomUUID } from 'node:crypto';
import type { MakeKeyStep } from '../../domain/step.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Makes a key, has the key service wrap it and prove that the blob opens, commits the wrapped form and drops the
 * plain one. The plain key lives in this function only and is overwritten before it returns, also on failure.
 */
export async function makeKey(
  step: MakeKeyStep,
  { deps, lease, facts, made }: StepContext,
): Promise<StepOutcome> {
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
    return { outcome: 'done', details: { keyId, purpose: step.purpose, spkiSha256Hex, proof } };
  } finally {
    pkcs8Der.fill(0);
  }
}
