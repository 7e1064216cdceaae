import type { RevokeLeafStep } from '../../domain/step.ts';
import { isSealwrightError } from '../../errors.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Revokes in the ledger, which is what counts, then asks for the CRL. Should asking fail, the revocation stands: the
 * scheduled publication lists it all the same.
 */
export async function revokeLeaf(
  step: RevokeLeafStep,
  { deps, lease, facts }: StepContext,
): Promise<StepOutcome> {
  const already = facts.ledger.leaves.some(
    (leaf) => leaf.serialHex === step.serialHex && leaf.revocation !== undefined,
  );
  const leaf = await deps.ledger.recordRevocation(lease, {
    serialHex: step.serialHex,
    reason: step.revocationReason,
    ...(step.invalidityDate === undefined ? {} : { invalidityDate: step.invalidityDate }),
  });
  try {
    await deps.bus.requestCrl(leaf.issuerId);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('crl-request-failed', {
      issuerId: leaf.issuerId,
      code: error.code,
      message: error.message,
    });
  }
  return {
    outcome: already ? 'already' : 'done',
    details: {
      serialHex: step.serialHex,
      revocationReason: leaf.revocation?.reason ?? step.revocationReason,
      departure: step.departure,
    },
  };
}
