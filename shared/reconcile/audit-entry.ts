import type { Step } from '../domain/step.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import type { StepContext, StepOutcome } from './context.ts';

/** The line of the audit trail for a step that ended well. */
export const auditEntry = (
  { facts, cause, approval }: Pick<StepContext, 'facts' | 'cause' | 'approval'>,
  step: Step,
  outcome: StepOutcome['outcome'],
  details: StepOutcome['details'],
): AuditEntry => ({
  userId: facts.userId,
  cause,
  step: step.kind,
  reason: step.reason,
  outcome,
  ...(details === undefined && approval === undefined
    ? {}
    : {
        details: {
          ...details,
          ...(approval === undefined ? {} : { heldSet: Number(approval.setId), approvedBy: approval.by }),
        },
      }),
});
