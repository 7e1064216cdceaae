/** Mail epochs by key service, and moves of old key pairs to another one. */
import { adminCause } from '../../domain/hint.ts';
import type { KeyMove } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeyMoves, MailEpochs, TiedEpoch } from '../../ports/ledger/key-moves.ts';
import type { JobProgress } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import type { Database, Queries, TransactionQueries } from './database.ts';
import { underUserLease } from './leases.ts';
import { userRecords } from './user-records.ts';
import { wakeUsers } from './wake.ts';

/** Every pair that Gmail has and whose key a key service wrapped, with that service and what became of its last move. */
const EPOCHS = `
  SELECT pair.serial_hex, pair.user_id, pair.keypair_id, pair.disabled_at, key.key_id, key.key_service_url,
         certificate.not_before, certificate.not_after, certificate.position, last.state AS move_state, last.detail AS move_detail
    FROM keypairs AS pair JOIN pair_certificates AS certificate USING (serial_hex) JOIN user_keys AS key USING (key_id)
    LEFT JOIN LATERAL (SELECT move.state, move.detail FROM key_moves AS move JOIN key_move_jobs AS job USING (job_id)
                        WHERE move.serial_hex = pair.serial_hex
                        ORDER BY (move.state = 'moved') DESC, job.requested_at DESC LIMIT 1) AS last ON true
   WHERE pair.keypair_id IS NOT NULL AND key.key_service_url IS NOT NULL AND key.erased_at IS NULL`;

interface MoveRow {
  readonly job_id: string;
  readonly user_id: string;
  readonly serial_hex: string;
  readonly from_url: string;
  readonly to_url: string;
  readonly disable_old: boolean;
  readonly requested_by: string;
  readonly wrapped_key: string | null;
}

const moveOf = (row: MoveRow): KeyMove => ({
  jobId: row.job_id,
  serialHex: row.serial_hex,
  fromUrl: row.from_url,
  toUrl: row.to_url,
  disableOld: row.disable_old,
  requestedBy: row.requested_by,
  ...optional('wrappedKey', row.wrapped_key),
});

/** Open moves of each user, in the order of their certificates. */
export const OPEN_MOVES = userRecords<MoveRow, KeyMove>(
  (
    these,
  ) => `SELECT move.job_id, move.user_id, move.serial_hex, job.from_url, job.to_url, job.disable_old, job.requested_by,
              move.wrapped_key
         FROM key_moves AS move JOIN key_move_jobs AS job USING (job_id) JOIN pair_certificates AS certificate USING (serial_hex)
        WHERE move.user_id = ${these} AND move.state = 'open' ORDER BY certificate.position`,
  moveOf,
  {},
);

interface EpochCountRow {
  readonly key_service_url: string;
  readonly keypairs: number;
  readonly users: number;
  readonly moved: number;
  readonly disabled_after_move: number;
  readonly refused: number;
  readonly from_at: Date | null;
  readonly until_at: Date | null;
}

const mailEpochs = async (queries: Queries): Promise<readonly MailEpochs[]> => {
  const rows = await queries.query<EpochCountRow>(
    `SELECT key_service_url, count(*)::int AS keypairs, count(DISTINCT user_id)::int AS users,
            count(*) FILTER (WHERE move_state = 'moved')::int AS moved,
            count(*) FILTER (WHERE move_state = 'moved' AND disabled_at IS NOT NULL)::int AS disabled_after_move,
            count(*) FILTER (WHERE move_state = 'refused')::int AS refused,
            min(not_before) FILTER (WHERE move_state IS DISTINCT FROM 'moved') AS from_at,
            max(not_after) FILTER (WHERE move_state IS DISTINCT FROM 'moved') AS until_at
       FROM (${EPOCHS}) AS epoch GROUP BY 1 ORDER BY 1`,
    [],
  );
  return rows.map((row) => ({
    keyServiceUrl: row.key_service_url,
    keypairs: row.keypairs,
    users: row.users,
    moved: row.moved,
    disabledAfterMove: row.disabled_after_move,
    refused: row.refused,
    ...optional('from', row.from_at),
    ...optional('until', row.until_at),
  }));
};

interface TiedRow {
  readonly user_id: string;
  readonly primary_email: string;
  readonly serial_hex: string;
  readonly keypair_id: string;
  readonly not_before: Date;
  readonly not_after: Date;
  readonly move_state: string | null;
  readonly move_detail: string | null;
}

const tiedEpochs = async (
  queries: Queries,
  keyServiceUrl: string,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<readonly TiedEpoch[]> => {
  const rows = await queries.query<TiedRow>(
    `SELECT epoch.user_id, users.primary_email, serial_hex, keypair_id, not_before, not_after, move_state, move_detail
       FROM (${EPOCHS}) AS epoch JOIN users USING (user_id)
      WHERE key_service_url = $1 AND move_state IS DISTINCT FROM 'moved'
        AND position > coalesce((SELECT position FROM pair_certificates WHERE serial_hex = $2), 0)
      ORDER BY position LIMIT $3`,
    [keyServiceUrl, after ?? '', limit],
  );
  return rows.map((row) => ({
    userId: row.user_id,
    primaryEmail: row.primary_email,
    serialHex: row.serial_hex,
    keypairId: row.keypair_id,
    from: row.not_before,
    until: row.not_after,
    ...optional('refused', row.move_state === 'refused' ? row.move_detail : null),
  }));
};

interface WantedRow {
  readonly serial_hex: string;
  readonly user_id: string;
  readonly excepted: boolean;
}

const wantedMoves = (
  queries: Queries,
  fromUrl: string,
  exceptRules: readonly string[],
): Promise<readonly WantedRow[]> =>
  queries.query<WantedRow>(
    `SELECT serial_hex, user_id, coalesce(users.rule_name = ANY($2), false) AS excepted
       FROM (${EPOCHS}) AS epoch JOIN users USING (user_id)
      WHERE key_service_url = $1 AND move_state IS DISTINCT FROM 'moved'
        AND NOT EXISTS (SELECT FROM key_moves AS other WHERE other.serial_hex = epoch.serial_hex AND other.state = 'open')`,
    [fromUrl, exceptRules],
  );

const usersOf = (rows: readonly WantedRow[]): readonly string[] => [
  ...new Set(rows.map(({ user_id }) => user_id)),
];

const recordJob = async (
  queries: TransactionQueries,
  job: Parameters<KeyMoves['recordKeyMoveJob']>[0] & { readonly jobId: string; readonly now: Date },
) => {
  const { jobId, now, fromUrl } = job;
  const all = await wantedMoves(queries, fromUrl, job.exceptRules ?? []);
  const wanted = all.filter(({ excepted }) => !excepted);
  const userIds = usersOf(wanted);
  if (wanted.length === 0) return { jobId, keypairs: 0, users: 0 };
  await wakeUsers(
    queries,
    userIds,
    now,
    job.paceMs,
    'move-keys',
    adminCause(jobId, 'move-keys', job.requestedBy),
  );
  await queries.query(
    `INSERT INTO key_move_jobs (job_id, from_url, to_url, disable_old, requested_by, requested_at)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [jobId, fromUrl, job.toUrl, job.disableOld, job.requestedBy, now],
  );
  await queries.query(
    `INSERT INTO key_moves (job_id, serial_hex, user_id)
     SELECT $1, serial_hex, user_id FROM unnest($2::text[], $3::text[]) AS wanted (serial_hex, user_id)`,
    [jobId, wanted.map(({ serial_hex }) => serial_hex), wanted.map(({ user_id }) => user_id)],
  );
  return { jobId, keypairs: wanted.length, users: userIds.length };
};

export const keyMoves = (database: Database, clock: Clock, randomId: () => string): KeyMoves => ({
  mailEpochs: () => mailEpochs(database),
  tiedEpochs: (keyServiceUrl, page) => tiedEpochs(database, keyServiceUrl, page),

  keyMovesWanted: async (fromUrl, exceptRules) => {
    const all = await wantedMoves(database, fromUrl, exceptRules);
    const wanted = all.filter(({ excepted }) => !excepted);
    return {
      keypairs: wanted.length,
      users: usersOf(wanted).length,
      observed: usersOf(all.filter(({ excepted }) => excepted)).length,
    };
  },

  recordKeyMoveJob: (job) =>
    database.transaction((queries) => recordJob(queries, { ...job, jobId: randomId(), now: clock.now() })),

  recordMovedForm: (lease, { jobId, serialHex, wrappedKey }) =>
    underUserLease(database, lease, async (queries, userId) => {
      const rows = await queries.query(
        `UPDATE key_moves SET wrapped_key = $4
          WHERE job_id = $1 AND serial_hex = $2 AND user_id = $3 AND state = 'open' AND kek_id_of($4) IS NOT NULL
        RETURNING serial_hex`,
        [jobId, serialHex, userId, wrappedKey],
      );
      if (rows.length > 0) return;
      throw permanent(
        'conflict',
        `The new form of the key of ${serialHex} is no blob of our own key service, or its move is over.`,
      );
    }),

  closeKeyMove: (lease, move) =>
    underUserLease(database, lease, async (queries, userId) => {
      const closed = await queries.query<{ wrapped_key: string | null }>(
        `UPDATE key_moves SET state = $4, keypair_id = $5, detail = $6, closed_at = $7
          WHERE job_id = $1 AND serial_hex = $2 AND user_id = $3 AND state = 'open' RETURNING wrapped_key`,
        [
          move.jobId,
          move.serialHex,
          userId,
          move.state,
          move.state === 'moved' ? move.keypairId : null,
          move.state === 'refused' ? move.detail : null,
          clock.now(),
        ],
      );
      const wrappedKey = closed[0]?.wrapped_key;
      if (move.state !== 'moved' || wrappedKey == null) return;
      // From now on the newest form is the new service's, and follows its rotations.
      await queries.query(
        `INSERT INTO rewrapped_keys (key_id, wrapped_key, rewrapped_at)
         SELECT key_id, $2, $3 FROM pair_certificates WHERE serial_hex = $1`,
        [move.serialHex, wrappedKey, clock.now()],
      );
    }),
});

interface ProgressRow {
  readonly primary_email: string;
  readonly open: number;
  readonly refused: number;
  readonly moved: number;
  readonly detail: string | null;
  readonly reason: string;
}

/** Counts users: one is done when all their pairs are moved, and failed when none is open and one was refused. */
export const readKeyMoveJob = async (queries: Queries, jobId: string): Promise<JobProgress | undefined> => {
  const rows = await queries.query<ProgressRow>(
    `SELECT users.primary_email, users.reason,
            count(*) FILTER (WHERE move.state = 'open')::int AS open,
            count(*) FILTER (WHERE move.state = 'refused')::int AS refused,
            count(*) FILTER (WHERE move.state = 'moved')::int AS moved,
            min(move.detail) AS detail
       FROM key_moves AS move JOIN users USING (user_id)
      WHERE move.job_id = $1 GROUP BY 1, 2 ORDER BY users.primary_email COLLATE "C"`,
    [jobId],
  );
  if (rows.length === 0) return undefined;
  const users = rows.map((row): JobProgress['users'][number] => {
    const user = row.primary_email;
    if (row.open > 0) return { user, state: 'waiting', detail: row.reason };
    if (row.refused === 0) return { user, state: 'done', detail: `${row.moved} moved` };
    return { user, state: 'failed', detail: `${row.refused} stayed: ${row.detail ?? ''}` };
  });
  const count = (state: string) => users.filter((user) => user.state === state).length;
  const failed = count('failed');
  return {
    jobId,
    kind: 'move-keys',
    state: count('waiting') > 0 ? 'running' : failed > 0 ? 'failed' : 'done',
    total: users.length,
    done: count('done'),
    failed,
    users,
  };
};
