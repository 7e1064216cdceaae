/** Making users due, spread out. */
import type { Cause } from '../../domain/hint.ts';
import type { NextAction } from '../../domain/next-action.ts';
import type { TransactionQueries } from './database.ts';
import { askToLookAgain } from './leases.ts';

/**
 * Makes these users due, `paceMs` apart in the order of their ids, the first at `from`, and asks whoever works on one of
 * them to look again, for the sake of `cause`: a hint that is lost, and a state that is just being written, lose nothing.
 *
 * A write about a user locks the lease first and the user second, so this does too, in order.
 */
export const wakeUsers = async (
  queries: TransactionQueries,
  userIds: readonly string[],
  from: Date,
  paceMs: number,
  nextAction: NextAction,
  cause: Cause,
): Promise<void> => {
  if (userIds.length === 0) return;
  await askToLookAgain(queries, userIds, cause);
  await queries.query('SELECT user_id FROM users WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE', [
    userIds,
  ]);
  await queries.query(
    `UPDATE users SET failures = 0, next_action = $4,
            next_action_at = $2::timestamptz + (place - 1) * $3 * interval '1 millisecond'
       FROM (SELECT user_id, row_number() OVER (ORDER BY user_id) AS place
               FROM unnest($1::text[]) AS wanted (user_id)) AS paced
      WHERE users.user_id = paced.user_id`,
    [userIds, from, paceMs, nextAction],
  );
};
