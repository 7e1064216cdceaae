/** Keypairs: what we asked Gmail to make for a leaf, and the id it answered. */
import type { DisableCause, KeypairRecord, KeypairState } from '../../domain/records.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeypairEnablement } from '../../ports/ledger/keypair-enablement.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import { type Database, StatementRefused } from './database.ts';
import { HELD, leaseLost, underUserLease, userLeaseParameters } from './leases.ts';
import { userRecords } from './user-records.ts';

interface KeypairRow {
  readonly serial_hex: string;
  readonly user_id: string;
  readonly state: KeypairState;
  readonly keypair_id: string | null;
  readonly disabled_at: Date | null;
  readonly disabled_because: DisableCause | null;
}

const keypairRecord = (row: KeypairRow): KeypairRecord => ({
  serialHex: row.serial_hex,
  userId: row.user_id,
  state: row.state,
  ...optional('keypairId', row.keypair_id),
  ...(row.disabled_at === null || row.disabled_because === null
    ? {}
    : { disabled: { at: row.disabled_at, because: row.disabled_because } }),
});

/** Keypairs of each user, in the order of their leaves and imported certificates. */
export const KEYPAIRS = userRecords<KeypairRow, KeypairRecord>(
  (these) => `SELECT pair.serial_hex, pair.user_id, pair.state, pair.keypair_id, pair.disabled_at,
              pair.disabled_because
         FROM keypairs AS pair JOIN pair_certificates AS certificate USING (serial_hex)
        WHERE pair.user_id = ${these} ORDER BY certificate.position`,
  keypairRecord,
  { disabled_at: 'instant' },
);

const noSignedLeaf = (serialHex: string, userId: string): SealwrightError =>
  permanent(
    'not-found',
    `The ledger has no signed leaf with serial ${serialHex} of user ${userId}, so Gmail cannot have a keypair for it.`,
    { details: { serialHex, userId } },
  );

const noKeypair = (serialHex: string, userId: string): SealwrightError =>
  permanent('not-found', `The ledger has no keypair for serial ${serialHex} of user ${userId}.`, {
    details: { serialHex, userId },
  });

interface Written {
  readonly held: boolean;
  readonly signed: boolean;
}

/** Refuses what was not written, because the lease is over or there is no certificate. */
const requireWritten = (written: Written | undefined, lease: Lease, serialHex: string): void => {
  if (written?.held !== true) throw leaseLost(lease.subject);
  if (!written.signed) throw noSignedLeaf(serialHex, lease.subject.slice('user:'.length));
};

const SIGNED = `signed AS (
  SELECT serial_hex FROM pair_certificates, held WHERE serial_hex = $5 AND user_id = $4)`;
const OUTCOME = 'SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM signed) AS signed';

const INSERT_INTENT = `
  WITH ${HELD}, ${SIGNED}, written AS (
    INSERT INTO keypairs (serial_hex, user_id, state, intended_at)
    SELECT serial_hex, $4, 'intended', $6::timestamptz FROM signed ON CONFLICT (serial_hex) DO NOTHING
  )
  ${OUTCOME}`;

/**
 * A pair that Gmail already had when we first looked is recorded without an intent of its own. Another id for the same leaf is
 * a pair made again after somebody obliterated the first.
 */
const RECORD_KEYPAIR = `
  WITH ${HELD}, ${SIGNED}, written AS (
    INSERT INTO keypairs AS known (serial_hex, user_id, state, keypair_id, intended_at, created_at)
    SELECT serial_hex, $4, 'created', $6, $7::timestamptz, $7::timestamptz FROM signed
    ON CONFLICT (serial_hex) DO UPDATE SET
      state = 'created', keypair_id = excluded.keypair_id,
      created_at = CASE WHEN known.keypair_id = excluded.keypair_id
                        THEN known.created_at ELSE excluded.created_at END
  )
  ${OUTCOME}`;

export const keypairs = (
  database: Database,
  clock: Clock,
): Pick<Ledger, 'recordKeypairIntent' | 'recordKeypair'> & KeypairEnablement => ({
  recordKeypairIntent: async (lease, serialHex) => {
    const parameters = userLeaseParameters(lease);
    const [written] = await database.query<Written>(INSERT_INTENT, [...parameters, serialHex, clock.now()]);
    requireWritten(written, lease, serialHex);
  },

  recordKeypair: async (lease, { serialHex, keypairId }) => {
    const parameters = userLeaseParameters(lease);
    const [written] = await database
      .query<Written>(RECORD_KEYPAIR, [...parameters, serialHex, keypairId, clock.now()])
      .catch((error: unknown) => {
        if (!(error instanceof StatementRefused) || error.constraint !== 'keypairs_user_id_keypair_id_key')
          throw error;
        throw permanent(
          'conflict',
          `Gmail's keypair ${keypairId} of user ${parameters[3]} is recorded for another leaf than ${serialHex}.`,
          { details: { serialHex, keypairId } },
        );
      });
    requireWritten(written, lease, serialHex);
  },

  recordKeypairDisabled: (lease, { serialHex, because }) =>
    underUserLease(database, lease, async (queries, userId) => {
      const rows = await queries.query(
        `UPDATE keypairs SET disabled_at = coalesce(disabled_at, $3),
                             disabled_because = coalesce(disabled_because, $4)
          WHERE serial_hex = $1 AND user_id = $2 RETURNING serial_hex`,
        [serialHex, userId, clock.now(), because],
      );
      if (rows.length === 0) throw noKeypair(serialHex, userId);
    }),

  recordKeypairEnabled: (lease, serialHex) =>
    underUserLease(database, lease, async (queries, userId) => {
      const rows = await queries.query(
        `UPDATE keypairs SET disabled_at = NULL, disabled_because = NULL
          WHERE serial_hex = $1 AND user_id = $2 RETURNING serial_hex`,
        [serialHex, userId],
      );
      if (rows.length === 0) throw noKeypair(serialHex, userId);
    }),
});
