import type { Cause } from '../domain/hint.ts';
import type { PlanNotices } from '../domain/step.ts';
import type { Facts } from '../plan/facts.ts';
import type { Lease } from '../ports/ledger.ts';
import type { ReconcileDeps } from './context.ts';

/**
 * Writes down what an admin should know, and tells what is new: a line in the log under the notice's kind, which alerts
 * watch, and one in the audit trail.
 */
export async function tell(
  { deps, lease, cause }: { readonly deps: ReconcileDeps; readonly lease: Lease; readonly cause: Cause },
  facts: Facts,
  found: PlanNotices | undefined,
): Promise<void> {
  const { userId, ledger } = facts;
  if (found === undefined || ledger.user === undefined) return;
  // What is open is what was found is by far the most frequent case, and needs no write.
  const open = new Set(ledger.notices.filter(({ kind }) => found.kinds.includes(kind)).map(({ key }) => key));
  if (open.size === found.notices.length && found.notices.every(({ key }) => open.has(key))) return;
  const fresh = await deps.ledger.recordNotices(lease, { userId, ...found });
  for (const { key, kind, message } of fresh) {
    deps.log.warning(kind, { eventId: cause.eventId, userId, notice: key, reason: message });
    await deps.ledger.audit({
      userId,
      cause,
      step: 'notice',
      reason: message,
      outcome: 'done',
      details: { kind },
    });
  }
}
