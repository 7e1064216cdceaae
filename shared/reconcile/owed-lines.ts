/**
 * Lines that the trail is owed for what no step's own line tells: effects whose line may be missing, and events that no look of their
 * own answered. Of somebody the ledger does not know there is no trail.
 */
import type { Cause } from '../domain/hint.ts';
import type { AuditEntry, Lease } from '../ports/ledger.ts';
import type { ReconcileDeps } from './context.ts';

type Owed = Pick<AuditEntry, 'step' | 'reason' | 'outcome'> & { readonly cause: Cause };

async function tellOwed({ ledger }: ReconcileDeps, userId: string, lines: readonly Owed[]): Promise<void> {
  if (lines.length === 0 || (await ledger.readUser(userId)).user === undefined) return;
  for (const line of lines) await ledger.audit({ userId, ...line });
}

const isSameEvent = (one: Cause, other: Cause): boolean =>
  one.source === other.source && one.eventId === other.eventId;

const interrupted = (cause: Cause, reason: string): Owed => ({
  ...{ cause, reason, step: 'look-interrupted', outcome: 'failed' },
});

/**
 * Of a lease that came from somebody who never gave it back. A step's line follows its effect, so whoever dies between the two leaves
 * an effect that nothing tells of: a look that finds it done does nothing. The trail says at least that there may be one, and when.
 * Whoever had asked for the look that ended so has no event that comes again: `cause`, the event of the look that begins, answers it.
 */
export const tellTakenOver = (
  deps: ReconcileDeps,
  userId: string,
  cause: Cause,
  { takenOver, unanswered = [] }: Lease,
): Promise<void> =>
  tellOwed(deps, userId, [
    ...(takenOver === true
      ? [
          interrupted(
            cause,
            'An earlier look at this user ended in the middle, or lost its lease: the last thing it did may have no line of its own.',
          ),
        ]
      : []),
    ...putOff(
      cause,
      unanswered,
      'The look that this asked for ended in the middle, or never began: the look that came next answers this too.',
    ),
  ]);

/** As above, of steps that ended without a line while the process lived on. `reasons` are emptied. */
export async function tellUntold(
  deps: ReconcileDeps,
  userId: string,
  cause: Cause,
  reasons: string[],
): Promise<void> {
  await tellOwed(
    deps,
    userId,
    reasons.map((reason) => interrupted(cause, reason)),
  );
  reasons.length = 0;
}

/** Whoever asked for a look that failed, or during it: the retry is `retried`'s, the first event's. */
export const tellPutOff = (
  deps: ReconcileDeps,
  userId: string,
  retried: Cause,
  asked: readonly Cause[],
): Promise<void> =>
  tellOwed(
    deps,
    userId,
    putOff(
      retried,
      asked,
      'The look that this asked for failed, or another one did meanwhile: the retry of that answers this too.',
    ),
  );

const putOff = (answering: Cause, asked: readonly Cause[], reason: string): Owed[] =>
  asked
    .filter((cause) => !isSameEvent(cause, answering))
    .map((cause) => ({ cause, reason, step: 'look-put-off', outcome: 'ignored' }));
