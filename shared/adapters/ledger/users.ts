/** User rows and address history. */
import { addressDigest } from '../../domain/address-digest.ts';
import { UNKNOWN_USER, type UserLedger, type UserRecord, type UserState } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { AuditEntry, Ledger } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import type { Database, Queries } from './database.ts';
import { DEVICE_KEYS } from './device-keys.ts';
import { IMPORTS } from './imported-keys.ts';
import { OPEN_MOVES } from './key-moves.ts';
import { CONFIRMED_REQUESTS } from './keypair-requests.ts';
import { KEYPAIRS } from './keypairs.ts';
import { KEYS } from './keys.ts';
import { HELD, leaseLost, leaseParameters, userSubject } from './leases.ts';
import { LEAVES } from './leaves.ts';
import { OPEN_NOTICES } from './notices.ts';
import { readingTogether, userRecords } from './user-records.ts';
import { OPEN_WISHES } from './wishes.ts';

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
  readonly protected_by: readonly string[] | null;
  readonly departure: UserRecord['departure'] | null;
  readonly failures: number;
  readonly next_action: string | null;
  readonly next_action_at: Date | null;
  readonly first_missed_at: Date | null;
  readonly last_missed_at: Date | null;
}

const COLUMNS_OF_USERS = `user_id, primary_email, state, reason, since, left_scope_at, suspended_at, rule_name, unit, protected_by, failures,
  next_action, next_action_at,
  (SELECT held.state FROM held_departures AS held
    WHERE held.user_id = users.user_id AND held.state IN ('held', 'approved', 'dismissed')) AS departure`;

const USER_COLUMNS = `${COLUMNS_OF_USERS}, first_missed_at, last_missed_at`;

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
  ...optional('protectedBy', row.protected_by),
  ...optional('departure', row.departure ?? null),
  ...optional('nextAction', row.next_action),
  ...optional('nextActionAt', row.next_action_at),
});

const readLedgers = readingTogether({
  users: userRecords<UserRow, UserRow>(
    (these) => `SELECT ${USER_COLUMNS} FROM ${USERS} WHERE user_id = ${these}`,
    (row) => row,
    {
      since: 'instant',
      left_scope_at: 'instant',
      suspended_at: 'instant',
      next_action_at: 'instant',
      first_missed_at: 'instant',
      last_missed_at: 'instant',
    },
  ),
  keys: KEYS,
  deviceKeys: DEVICE_KEYS,
  leaves: LEAVES,
  keypairs: KEYPAIRS,
  openWishes: OPEN_WISHES,
  notices: OPEN_NOTICES,
  requests: CONFIRMED_REQUESTS,
  moves: OPEN_MOVES,
  imports: IMPORTS,
});

/** Everything about the users, in their order. */
const userLedgers = async (queries: Queries, userIds: readonly string[]): Promise<readonly UserLedger[]> => {
  const read = await readLedgers(queries, userIds);
  return userIds.map((userId) => {
    const row = read.users.get(userId)?.[0];
    return {
      user: row === undefined ? undefined : userRecord(row),
      keys: read.keys.get(userId) ?? [],
      deviceKeys: read.deviceKeys.get(userId) ?? [],
      leaves: read.leaves.get(userId) ?? [],
      keypairs: read.keypairs.get(userId) ?? [],
      openWishes: read.openWishes.get(userId) ?? [],
      notices: read.notices.get(userId) ?? [],
      ...optional('keypairRequests', read.requests.get(userId) ?? null),
      ...optional('keyMoves', read.moves.get(userId) ?? null),
      ...optional('imported', read.imports.get(userId) ?? null),
      ...(row?.first_missed_at && row.last_missed_at
        ? { absence: { firstMissedAt: row.first_missed_at, lastMissedAt: row.last_missed_at } }
        : {}),
    };
  });
};

/** What is wished of the user is not what it was. Everything else a rule says counts when the next key is made. */
const WISH_CHANGED = `users.address_digest IS DISTINCT FROM excluded.address_digest
      OR users.primary_email <> excluded.primary_email
      OR (excluded.rule_name IS NOT NULL AND users.rule_digest IS DISTINCT FROM excluded.rule_digest)
      OR (users.left_scope_at IS NULL) <> (excluded.left_scope_at IS NULL)
      OR (users.suspended_at IS NULL) <> (excluded.suspended_at IS NULL)`;

/** The first instant out of scope or suspended is the one that counts, whatever later sightings say. */
const RECORD_SIGHTING = `
  WITH ${HELD}, gone AS (
    DELETE FROM absences WHERE user_id = $4 AND EXISTS (SELECT FROM held)
  ), seen AS (
    INSERT INTO addresses AS known (address, user_id, first_seen, last_seen, sighting)
    SELECT DISTINCT address, $4, $6::timestamptz, $6::timestamptz, this_sighting
      FROM unnest($12::text[]) AS address, (SELECT nextval('sightings') AS this_sighting FROM held) AS drawn
    ON CONFLICT (address, user_id) DO UPDATE SET
      last_seen = greatest(known.last_seen, excluded.last_seen), sighting = excluded.sighting
  )
  INSERT INTO users
    (user_id, primary_email, state, reason, since, left_scope_at, suspended_at, rule_name, unit,
     next_action, next_action_at, sighted_at, address_digest, rule_digest, protected_by, archived)
  SELECT $4, $5, 'pending', 'Seen for the first time; nothing is decided yet.', $6, $7::timestamptz, $8::timestamptz, $9, $10,
         'look', $6, $6, $11, $13, $14, $15 FROM held
  ON CONFLICT (user_id) DO UPDATE SET
    primary_email = excluded.primary_email,
    left_scope_at = CASE WHEN excluded.left_scope_at IS NOT NULL
                         THEN coalesce(users.left_scope_at, excluded.left_scope_at) END,
    suspended_at  = CASE WHEN excluded.suspended_at IS NOT NULL
                         THEN coalesce(users.suspended_at, excluded.suspended_at) END,
    rule_name     = coalesce(excluded.rule_name, users.rule_name),
    rule_digest   = CASE WHEN excluded.rule_name IS NULL THEN users.rule_digest ELSE excluded.rule_digest END,
    unit          = coalesce(excluded.unit, users.unit),
    protected_by  = excluded.protected_by,
    failures      = CASE WHEN ${WISH_CHANGED} THEN 0 ELSE users.failures END,
    sighted_at    = excluded.sighted_at,
    address_digest = excluded.address_digest,
    deleted_at    = NULL,
    archived      = excluded.archived
  RETURNING ${COLUMNS_OF_USERS}`;

const RECORD_STATE = `
  WITH ${HELD}, written AS (
    UPDATE users SET
      since = CASE WHEN state = $5 THEN since ELSE $6 END,
      state = $5, reason = $7, failures = $8, next_action = $9, next_action_at = $10,
      left_scope_at = CASE WHEN $11 THEN NULL ELSE left_scope_at END,
      deleted_at = CASE WHEN $12 THEN coalesce(deleted_at, $6) ELSE deleted_at END
      FROM held WHERE user_id = $4 RETURNING user_id
  )
  SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM written) AS known`;

export const users = (
  database: Database,
  clock: Clock,
): Pick<
  Ledger,
  | 'readUser'
  | 'users'
  | 'readUsers'
  | 'coveredByUnit'
  | 'userIdOfAddress'
  | 'userIdsOfAddress'
  | 'recordSighting'
  | 'recordState'
> => {
  const holders = async (address: string): Promise<readonly string[]> => {
    const rows = await database.query<{ user_id: string }>(
      'SELECT user_id FROM addresses WHERE address = $1 ORDER BY sighting DESC, last_seen DESC, user_id',
      [address.toLowerCase()],
    );
    return rows.map((row) => row.user_id);
  };

  /** One statement commits by itself; with a line of the trail it takes a transaction. */
  const withAudit = <T>(
    entry: AuditEntry | undefined,
    write: (queries: Queries) => Promise<T>,
  ): Promise<T> =>
    entry === undefined
      ? write(database)
      : database.transaction(async (queries) => {
          const answer = await write(queries);
          await insertAudit(queries, clock.now(), entry);
          return answer;
        });

  return {
    readUser: async (userId) => {
      const [ledger] = await userLedgers(database, [userId]);
      return ledger ?? UNKNOWN_USER;
    },

    users: async (filter = {}) => {
      const rows = await database.query<Pick<UserRow, 'user_id'>>(
        'SELECT user_id FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2',
        [filter.afterUserId ?? '', filter.limit ?? null],
      );
      return await userLedgers(
        database,
        rows.map((row) => row.user_id),
      );
    },

    readUsers: (userIds) => userLedgers(database, userIds),

    coveredByUnit: async () => {
      const rows = await database.query<{ unit: string; covered: number }>(
        `SELECT coalesce(unit, '') AS unit, count(*)::int AS covered FROM users WHERE state <> 'out' GROUP BY 1`,
      );
      return new Map(rows.map(({ unit, covered }) => [unit, covered]));
    },

    userIdOfAddress: async (address) => (await holders(address))[0],

    userIdsOfAddress: holders,

    recordSighting: (lease, sighting) =>
      withAudit(sighting.audit, async (queries) => {
        const [row] = await queries.query<UserRow>(RECORD_SIGHTING, [
          ...leaseParameters(lease, userSubject(sighting.userId)),
          sighting.userId,
          sighting.primaryEmail,
          clock.now(),
          sighting.leftScopeAt ?? null,
          sighting.suspendedAt ?? null,
          sighting.ruleName ?? null,
          sighting.unit?.toLowerCase() ?? null,
          addressDigest(sighting.primaryEmail, sighting.aliases),
          [sighting.primaryEmail, ...sighting.aliases],
          sighting.ruleDigest ?? null,
          sighting.protectedBy ?? null,
          sighting.isArchived ?? false,
        ]);
        if (row === undefined) throw leaseLost(lease.subject);
        return userRecord(row);
      }),

    recordState: (lease, state) =>
      withAudit(state.audit, async (queries) => {
        const [written] = await queries.query<{ held: boolean; known: boolean }>(RECORD_STATE, [
          ...leaseParameters(lease, userSubject(state.userId)),
          state.userId,
          state.state,
          clock.now(),
          state.reason,
          state.failures,
          state.nextAction ?? null,
          state.nextActionAt ?? null,
          state.forgetsLeaving === true,
          state.deleted === true,
        ]);
        if (written?.held !== true) throw leaseLost(lease.subject);
        if (!written.known) {
          throw permanent(
            'not-found',
            `The ledger has no user ${state.userId}: record a sighting before a state.`,
          );
        }
      }),
  };
};
