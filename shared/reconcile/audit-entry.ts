import type { Step } from '../domain/step.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import type { StepContext, StepOutcome } from './context.ts';

/** The line of the audit trail for a step that ended well. */
export const auditEntry = (
  { facts, cause }: Pick<StepContext, 'facts' | 'cause'>,
  step: Step,
  outcome: StepOutcome['outcome'],
  details: StepOutcome['details'],
): AuditEntry => ({
  userId: facts.userId,
  cause,
  step: step.kind,
  reason: step.reason,
  outcome,
  ...(details === undefined ? {} : { details }),
});
