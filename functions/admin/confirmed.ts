/** A job is an admin's own decision, so the guard does not hold it; but a wrong unit is chosen as easily as a right one. */
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { permanent } from '../../shared/errors.ts';
import { departureLimit } from '../../shared/plan/guard.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

export interface ConfirmDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'departuresSince'>;
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
 * Where something is taken from more users than the guard lets depart in an hour, the number has to be stated, and a stated number has
 * to be right. Throws `guard-refused` naming it.
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
  const { coveredUsers } = await deps.ledger.departuresSince(deps.clock.now());
  const { policy } = await deps.policies.current();
  const limit = departureLimit(coveredUsers, policy.guard);
  if (users <= limit) return;
  throw permanent(
    'guard-refused',
    `This would ${takes}, and the guard's limit for ${coveredUsers} covered users is ${limit}. Look at the dry run, and confirm ${users} if that is what you mean.`,
    { details: { field: 'confirmUsers', users, limit } },
  );
}
