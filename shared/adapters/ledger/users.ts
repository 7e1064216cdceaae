/** User rows, address history, and who is due. */
import { addressDigest } from '../../domain/address-digest.ts';
import { UNKNOWN_USER, type UserLedger, type UserRecord, type UserState } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import { consistently, type Database, type Queries } from './database.ts';
import { readDeviceKeys } from './device-keys.ts';
import { readImports } from './imported-keys.ts';
import { readKeyMoves } from './key-moves.ts';
import { readKeypairRequests } from './keypair-requests.ts';
import { readKeypairs } from './keypairs.ts';
import { readKeys } from './keys.ts';
import { underLease, userSubject } from './leases.ts';
import { readLeaves } from './leaves.ts';
import { readNotices } from './notices.ts';
import { readOpenWishes } from './wishes.ts';

interface UserRow {
  readonly user_id: string;
  readonly primary_email: string;
  readonly state: UserState;
  readonly reason: string;
  readonly since: Date;
  readonly left_scope_at: Date | null;
  readonly suspended_at: Date | null;
  readonly rule_name: string | null;
  readonly unit: string | null;
  readonly departure: UserRecord['departure'] | null;
  readonly failures: number;
  readonly next_action: string | null;
  readonly next_action_at: Date | null;
  readonly first_missed_at: Date | null;
  readonly last_missed_at: Date | null;
}

const USER_COLUMNS = `user_id, primary_email, state, reason, since, left_scope_at, suspended_at, rule_name, unit, failures,
  next_action, next_action_at, first_missed_at, last_missed_at,
  (SELECT held.state FROM held_departures AS held
    WHERE held.user_id = users.user_id AND held.state IN ('held', 'approved', 'dismissed')) AS departure`;

const USERS = 'users LEFT JOIN absences USING (user_id)';

const userRecord = (row: UserRow): UserRecord => ({
  userId: row.user_id,
  primaryEmail: row.primary_email,
  state: row.state,
  reason: row.reason,
  since: row.since,
  failures: row.failures,
  ...optional('leftScopeAt', row.left_scope_at),
  ...optional('suspendedAt', row.suspended_at),
  ...optional('ruleName', row.rule_name),
  ...optional('unit', row.unit),
  ...optional('departure', row.departure ?? null),
  ...optional('nextAction', row.next_action),
  ...optional('nextActionAt', row.next_action_at),
});

/** Everything about the users, a query per kind of record, whatever their number. */
const readLedgers = async (
  queries: Queries,
  userIds: readonly string[],
  rows: readonly UserRow[],
): Promise<readonly UserLedger[]> => {
  const known = new Map(rows.map((row) => [row.user_id, row]));
  const keys = await readKeys(queries, userIds);
  const deviceKeys = await readDeviceKeys(queries, userIds);
  const leaves = await readLeaves(queries, userIds);
  const keypairs = await readKeypairs(queries, userIds);
  const openWishes = await readOpenWishes(queries, userIds);
  const notices = await readNotices(queries, userIds);
  const requests = await readKeypairRequests(queries, userIds);
  const moves = await readKeyMoves(queries, userIds);
  const imports = await readImports(queries, userIds);
  return userIds.map((userId) => {
    const row = known.get(userId);
    return {
      user: row === undefined ? undefined : userRecord(row),
      keys: keys.get(userId) ?? [],
      deviceKeys: deviceKeys.get(userId) ?? [],
      leaves: leaves.get(userId) ?? [],
      keypairs: keypairs.get(userId) ?? [],
      openWishes: openWishes.get(userId) ?? [],
      notices: notices.get(userId) ?? [],
      ...optional('keypairRequests', requests.get(userId) ?? null),
      ...optional('keyMoves', moves.get(userId) ?? null),
      ...optional('imported', imports.get(userId) ?? null),
      ...(row?.first_missed_at && row.last_missed_at
        ? { absence: { firstMissedAt: row.first_missed_at, lastMissedAt: row.last_missed_at } }
        : {}),
    };
  });
};

export const users = (
  database: Database,
  clock: Clock,
): Pick<
  Ledger,
  | 'readUser'
  | 'users'
  | 'userIdOfAddress'
  | 'userIdsOfAddress'
  | 'recordSighting'
  | 'recordState'
  | 'dueUsers'
> => {
  const holders = async (address: string): Promise<readonly string[]> => {
    const rows = await database.query<{ user_id: string }>(
      'SELECT user_id FROM addresses WHERE address = $1 ORDER BY sighting DESC, last_seen DESC, user_id',
      [address.toLowerCase()],
    );
    return rows.map((row) => row.user_id);
  };

  return {
    readUser: (userId) =>
      consistently(database, async (queries) => {
        const rows = await queries.query<UserRow>(`SELECT ${USER_COLUMNS} FROM ${USERS} WHERE user_id = $1`, [
          userId,
        ]);
        const [ledger] = await readLedgers(queries, [userId], rows);
        return ledger ?? UNKNOWN_USER;
      }),

    users: (filter = {}) =>
      consistently(database, async (queries) => {
        const rows = await queries.query<UserRow>(
          `SELECT ${USER_COLUMNS} FROM ${USERS}
            WHERE user_id > $1 ORDER BY user_id LIMIT $2`,
          [filter.afterUserId ?? '', filter.limit ?? null],
        );
        return await readLedgers(
          queries,
          rows.map((row) => row.user_id),
          rows,
        );
      }),

    userIdOfAddress: async (address) => (await holders(address))[0],

    userIdsOfAddress: holders,

    recordSighting: (lease, sighting) =>
      underLease(database, lease, userSubject(sighting.userId), async (queries) => {
        const now = clock.now();
        // The first instant out of scope or suspended is the one that counts, whatever later sightings say.
        await queries.query(
          `INSERT INTO users AS known
             (user_id, primary_email, state, reason, since, left_scope_at, suspended_at, rule_name, unit,
              next_action, next_action_at, sighted_at, address_digest)
           VALUES ($1, $2, 'pending', 'Seen for the first time; nothing is decided yet.', $3, $4, $5, $6, $7,
                   'look', $3, $3, $8)
           ON CONFLICT (user_id) DO UPDATE SET
             primary_email = excluded.primary_email,
             left_scope_at = CASE WHEN excluded.left_scope_at IS NOT NULL
                                  THEN coalesce(known.left_scope_at, excluded.left_scope_at) END,
             suspended_at  = CASE WHEN excluded.suspended_at IS NOT NULL
                                  THEN coalesce(known.suspended_at, excluded.suspended_at) END,
             rule_name     = coalesce(excluded.rule_name, known.rule_name),
             unit          = coalesce(excluded.unit, known.unit),
             sighted_at    = excluded.sighted_at,
             address_digest = excluded.address_digest`,
          [
            sighting.userId,
            sighting.primaryEmail,
            now,
            sighting.leftScopeAt ?? null,
            sighting.suspendedAt ?? null,
            sighting.ruleName ?? null,
            sighting.unit?.toLowerCase() ?? null,
            addressDigest(sighting.primaryEmail, sighting.aliases),
          ],
        );
        await queries.query('DELETE FROM absences WHERE user_id = $1', [sighting.userId]);
        await queries.query(
          `INSERT INTO addresses AS known (address, user_id, first_seen, last_seen, sighting)
           SELECT DISTINCT address, $2, $3::timestamptz, $3::timestamptz, this_sighting
             FROM unnest($1::text[]) AS address, (SELECT nextval('sightings') AS this_sighting) AS drawn
           ON CONFLICT (address, user_id) DO UPDATE SET
             last_seen = greatest(known.last_seen, excluded.last_seen), sighting = excluded.sighting`,
          [[sighting.primaryEmail, ...sighting.aliases], sighting.userId, now],
        );
      }),

    recordState: (lease, state) =>
      underLease(database, lease, userSubject(state.userId), async (queries) => {
        const rows = await queries.query(
          `UPDATE users SET
             since = CASE WHEN state = $2 THEN since ELSE $3 END,
             state = $2, reason = $4, failures = $5, next_action = $6, next_action_at = $7,
             left_scope_at = CASE WHEN $8 THEN NULL ELSE left_scope_at END
           WHERE user_id = $1 RETURNING user_id`,
          [
            state.userId,
            state.state,
            clock.now(),
            state.reason,
            state.failures,
            state.nextAction ?? null,
            state.nextActionAt ?? null,
            state.forgetsLeaving === true,
          ],
        );
        if (rows.length === 0) {
          throw permanent(
            'not-found',
            `The ledger has no user ${state.userId}: record a sighting before a state.`,
          );
        }
      }),

    dueUsers: async (limit) => {
      const rows = await database.query<{ user_id: string; next_action: string }>(
        `(SELECT substr(subject, length('user:') + 1) AS user_id,
                 CASE WHEN look_again THEN 'look-again' ELSE 'resume' END AS next_action
            FROM leases
           WHERE (holder IS NOT NULL OR look_again) AND expires_at <= now() AND subject LIKE 'user:%'
           ORDER BY expires_at LIMIT $2)
         UNION ALL
         (SELECT user_id, coalesce(next_action, 'look') FROM users
           WHERE next_action_at <= $1
           ORDER BY next_action_at, user_id LIMIT $2)`,
        [clock.now(), limit],
      );
      const due = new Map<string, string>();
      for (const row of rows) {
        if (!due.has(row.user_id)) due.set(row.user_id, row.next_action);
      }
      return [...due].slice(0, limit).map(([userId, nextAction]) => ({ userId, nextAction }));
    },
  };
};
