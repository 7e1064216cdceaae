import type { Cause } from '../domain/hint.ts';
import type { PlanNotices } from '../domain/step.ts';
import type { Facts } from '../plan/facts.ts';
import type { Lease } from '../ports/ledger.ts';
import type { ReconcileDeps } from './context.ts';

/**
 * Tells an admin what is new (a line in the log under the notice's kind, which alerts watch, and one in the audit trail), and
 * writes down what was told. In this order: whatever stops in between, a notice may be told twice and is never kept untold.
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
  const fresh = found.notices.filter(({ key }) => !open.has(key));
  if (fresh.length === 0 && open.size === found.notices.length) return;
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
  await deps.ledger.recordNotices(lease, { userId, ...found });
}
