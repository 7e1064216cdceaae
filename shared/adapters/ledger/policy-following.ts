/** Which activation was followed, and the queue of those whose rule it changed. */
import { LOOK_AT_POLICY } from '../../domain/step.ts';
import type { Clock } from '../../ports/clock.ts';
import type { PolicyFollowingLedger } from '../../ports/ledger/policy-following.ts';
import { SWEEP_SUBJECT } from '../../ports/ledger/sweeps.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';
import { underLease } from './leases.ts';
import { rolloutUnderWay } from './rollouts.ts';

interface FollowingRow {
  readonly followed: string;
  readonly followed_at: Date;
  readonly noticed: string | null;
  readonly noticed_at: Date | null;
  readonly rules_judged: boolean;
}

export const policyFollowing = (database: Database, clock: Clock): PolicyFollowingLedger => ({
  policyFollowing: async () => {
    const [row] = await database.query<FollowingRow>('SELECT * FROM policy_following');
    if (row === undefined) return {};
    const { noticed, noticed_at: at } = row;
    const followed = { activation: row.followed, at: row.followed_at, areRulesJudged: row.rules_judged };
    return { followed, ...(noticed === null || at === null ? {} : { noticed: { activation: noticed, at } }) };
  },

  recordPolicyNoticed: (lease, activation) =>
    underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
      await queries.query('UPDATE policy_following SET noticed = $1, noticed_at = $2', [
        activation,
        clock.now(),
      ]);
    }),

  recordPolicyFollowed: (lease, activation) =>
    underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
      await queries.query(
        `INSERT INTO policy_following (followed, followed_at) VALUES ($1, $2)
         ON CONFLICT (only_row) DO UPDATE SET
           followed = excluded.followed, followed_at = excluded.followed_at, noticed = NULL, noticed_at = NULL,
           rules_judged = false`,
        [activation, clock.now()],
      );
    }),

  recordRulesJudged: (lease, activation) =>
    underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
      await queries.query('UPDATE policy_following SET rules_judged = true WHERE followed = $1', [
        activation,
      ]);
    }),

  queueOutdated: (lease, { rules, activation, withUnknown, exceptHintedSince, after, limit }) =>
    underLease(database, lease, SWEEP_SUBJECT, async (queries) => {
      const found = await queries.query<{ user_id: string }>(
        `SELECT user_id FROM users JOIN unnest($1::text[], $2::text[]) AS rule (name, digest) ON rule_name = rule.name
          WHERE user_id > $3 AND state IN ('ready', 'pending', 'blocked')
            AND (CASE WHEN rule_digest IS NULL THEN $4 ELSE rule_digest <> rule.digest END OR $4 AND next_action = $6)
          ORDER BY user_id LIMIT $5`,
        [
          rules.map(({ name }) => name),
          rules.map(({ digest }) => digest),
          after ?? '',
          withUnknown,
          limit,
          LOOK_AT_POLICY,
        ],
      );
      if (found.length === 0) return { users: 0 };
      const rolloutId = await rolloutUnderWay(queries, clock.now());
      // Whoever waits already keeps their place; whoever was hinted at under the form before waits again.
      await queries.query(
        `INSERT INTO rollout_users AS queued (user_id, rollout_id, kind, policy, waiting_since)
         SELECT user_id, $2, 'rule-changed', $3, $4 FROM unnest($1::text[]) AS outdated (user_id)
         ON CONFLICT (user_id) DO UPDATE SET
           rollout_id = excluded.rollout_id, kind = excluded.kind, policy = excluded.policy, sweep_id = NULL, hinted_at = NULL,
           waiting_since = CASE WHEN queued.hinted_at IS NULL THEN queued.waiting_since ELSE excluded.waiting_since END
         WHERE queued.hinted_at IS NULL OR queued.hinted_at <= $5`,
        [found.map((row) => row.user_id), rolloutId, activation, clock.now(), exceptHintedSince],
      );
      const last = found.length < limit ? null : (found.at(-1)?.user_id ?? null);
      return { users: found.length, ...optional('after', last) };
    }),
});
