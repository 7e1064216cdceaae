/** A job is an admin's own decision, so the guard does not hold it; but a wrong unit is chosen as easily as a right one. */
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { permanent } from '../../shared/errors.ts';
import { departureLimit, GUARD_WINDOW_MS } from '../../shared/plan/guard.ts';
import { plus } from '../../shared/plan/timing.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

export interface ConfirmDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'departuresSince' | 'usersTakenFromByJobs'>;
  readonly policies: ActivePolicySource;
}

export interface JobSize {
  readonly users: number;
  /** What the admin stated. */
  readonly confirmUsers: number | undefined;
  /** What is done to so many users, after "would": `re-key 8 users`. */
  readonly does: string;
  /** What is taken from them, after "would"; undefined where nothing is. */
  readonly takes: string | undefined;
}

/**
 * Where something is taken from more users than the guard lets depart in an hour, by this job and those of the last hour together, the
 * number of this one has to be stated, and a stated number has to be right. It is held against the tenant's limit alone: a unit's is
 * for events that arrive one by one, and a job says whom it is about. Throws `guard-refused` naming it.
 */
export async function requireConfirmed(
  deps: ConfirmDeps,
  { users, confirmUsers, does, takes }: JobSize,
): Promise<void> {
  if (confirmUsers === users) return;
  if (confirmUsers !== undefined) {
    throw permanent(
      'guard-refused',
      `This would ${does} and you confirmed ${confirmUsers}. Look at the dry run, and confirm ${users} if that is what you mean.`,
      { details: { field: 'confirmUsers', users } },
    );
  }
  if (takes === undefined) return;
  const now = deps.clock.now();
  const { coveredUsers } = await deps.ledger.departuresSince(now);
  const lately = await deps.ledger.usersTakenFromByJobs(plus(now, -GUARD_WINDOW_MS));
  const { policy } = await deps.policies.current();
  const limit = departureLimit(coveredUsers, policy.guard);
  if (lately + users <= limit) return;
  const others = lately === 0 ? '' : `, after ${lately} by jobs of the last hour`;
  throw permanent(
    'guard-refused',
    `This would ${takes}${others}, and the guard's limit for ${coveredUsers} covered users is ${limit} an hour. Look at the dry run, and confirm ${users} if that is what you mean.`,
    { details: { field: 'confirmUsers', users, limit, ...(lately === 0 ? {} : { lately }) } },
  );
}
