/** What the guard counts in the audit trail. */
import type { CountedScope, RecentDepartures, ScopeCount } from '../../domain/held.ts';
import type { ProposedDeparture } from '../../ports/ledger/guard.ts';
import type { Queries } from './database.ts';

/**
 * Who departed since $1. Revoking counts only where the step says it is a departure; the other two always do, unless
 * the step says not (the old address of a renamed user). What was approved as part of a held set does not count. Two
 * halves, so that each finds its own index. The unit is that of the moment it was let through, also when the user has
 * come back to another since.
 */
const DEPARTED = `
  SELECT user_id, details ->> 'unit' AS unit FROM audit
   WHERE at >= $1
     AND step IN ('revoke-leaf', 'delete-identity', 'disable-keypair') AND outcome IN ('done', 'adopted')
     AND coalesce((details ->> 'departure')::boolean, step <> 'revoke-leaf')
     AND (details -> 'heldSet') IS NULL
  UNION
  SELECT user_id, details ->> 'unit' AS unit FROM audit
   WHERE at >= $1 AND step = 'guard' AND outcome = 'intended'`;

export const countDepartures = async (queries: Queries, since: Date): Promise<RecentDepartures> => {
  const [row] = await queries.query<{ departures: number; covered: number }>(
    `SELECT (SELECT count(DISTINCT user_id)::int FROM (${DEPARTED}) AS departed) AS departures,
            (SELECT count(*)::int FROM users WHERE state <> 'out') AS covered`,
    [since],
  );
  return { departures: row?.departures ?? 0, coveredUsers: row?.covered ?? 0 };
};

/** The unit of a scope with a slash at its end, so that `/a` is no parent of `/ab`; empty for the tenant. */
export const prefixOf = (scope: CountedScope): string => {
  if (scope === 'tenant') return '';
  const unit = scope.slice('unit:'.length);
  return unit.endsWith('/') ? unit : `${unit}/`;
};

/** Departures of other users, those whom units hold, and covered users, in each scope, in their order. */
export const countByScope = async (
  queries: Queries,
  { userId, scopes, since }: Pick<ProposedDeparture, 'userId' | 'scopes' | 'since'>,
): Promise<readonly ScopeCount[]> => {
  const rows = await queries.query<{
    scope: CountedScope;
    departures: number;
    covered: number;
    attempted: number;
    latched: number;
  }>(
    `WITH departed AS (
       SELECT departed.user_id, coalesce(departed.unit, users.unit, '') AS unit
         FROM (${DEPARTED}) AS departed LEFT JOIN users USING (user_id)
        WHERE departed.user_id IS DISTINCT FROM $2),
     latched AS (
       SELECT set_id, substr(scope, length('unit:') + 1) || '/' AS unit FROM held_sets
        WHERE state = 'open' AND scope LIKE 'unit:/%'),
     held AS (
       SELECT one.user_id, latched.unit FROM held_departures AS one JOIN latched USING (set_id)
        WHERE one.state = 'held' AND one.held_at >= $1 AND one.user_id IS DISTINCT FROM $2),
     covered AS (
       SELECT coalesce(unit, '') || '/' AS unit, count(*)::int AS users FROM users WHERE state <> 'out' GROUP BY 1)
     SELECT scope,
            (SELECT count(DISTINCT user_id)::int FROM departed
              WHERE starts_with(departed.unit || '/', prefix)) AS departures,
            (SELECT count(*)::int
               FROM (SELECT user_id FROM departed WHERE starts_with(departed.unit || '/', prefix)
                     UNION SELECT user_id FROM held WHERE starts_with(held.unit, prefix)) AS attempts) AS attempted,
            (SELECT count(*)::int FROM latched WHERE starts_with(latched.unit, prefix)) AS latched,
            (SELECT coalesce(sum(users), 0)::int FROM covered WHERE starts_with(covered.unit, prefix)) AS covered
       FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS wanted (scope, prefix, place) ORDER BY place`,
    [since, userId, scopes, scopes.map(prefixOf)],
  );
  return rows.map(({ scope, departures, covered, attempted, latched }) => ({
    scope,
    departures,
    coveredUsers: covered,
    attempted,
    latchedBelow: latched,
  }));
};
