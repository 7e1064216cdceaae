import type { RevokeLeafStep } from '../../domain/step.ts';
import { isSealwrightError } from '../../errors.ts';
import { auditEntry } from '../audit-entry.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { leaveTerms } from '../leave.ts';
import { lookAt } from '../look-at.ts';

/**
 * Revokes in the ledger, which is what counts, with its line of the audit trail in the same transaction; then asks for
 * the CRL. Should asking fail, the revocation stands: `due` sees that the public CRL is behind.
 */
export async function revokeLeaf(step: RevokeLeafStep, context: StepContext): Promise<StepOutcome> {
  const { deps, lease, facts } = context;
  const already = facts.ledger.leaves.some(
    (leaf) => leaf.serialHex === step.serialHex && leaf.revocation !== undefined,
  );
  const details = {
    serialHex: step.serialHex,
    revocationReason: step.revocationReason,
    departure: step.departure,
    ...leaveTerms(facts, deps.policy, step.reason),
  };
  const { issuerId } = await deps.ledger.recordRevocation(lease, {
    serialHex: step.serialHex,
    reason: step.revocationReason,
    ...(step.invalidityDate === undefined ? {} : { invalidityDate: step.invalidityDate }),
    audit: auditEntry(context, step, 'done', details),
  });
  try {
    await deps.bus.requestCrl(issuerId);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('crl-request-failed', { issuerId, code: error.code, message: error.message });
  }
  if (step.nextHolderId !== undefined) await lookAt(context, [step.nextHolderId], 'address-free');
  return already ? { outcome: 'already', details } : { outcome: 'done', audited: true, details };
}
