/** Keypairs: what we asked Gmail to make for a leaf, and the id it answered. */
import type { DisableCause, KeypairRecord, KeypairState } from '../../domain/records.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeypairEnablement } from '../../ports/ledger/keypair-enablement.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { optional } from './columns.ts';
import { type Database, StatementRefused } from './database.ts';
import { underUserLease } from './leases.ts';
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
  `SELECT pair.serial_hex, pair.user_id, pair.state, pair.keypair_id, pair.disabled_at,
              pair.disabled_because
         FROM keypairs AS pair JOIN pair_certificates AS certificate USING (serial_hex)
        WHERE pair.user_id = ANY($1) ORDER BY certificate.position`,
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

export const keypairs = (
  database: Database,
  clock: Clock,
): Pick<Ledger, 'recordKeypairIntent' | 'recordKeypair'> & KeypairEnablement => ({
  recordKeypairIntent: (lease, serialHex) =>
    underUserLease(database, lease, async (queries, userId) => {
      const signed = await queries.query(
        'SELECT 1 AS found FROM pair_certificates WHERE serial_hex = $1 AND user_id = $2',
        [serialHex, userId],
      );
      if (signed.length === 0) throw noSignedLeaf(serialHex, userId);
      await queries.query(
        `INSERT INTO keypairs (serial_hex, user_id, state, intended_at) VALUES ($1, $2, 'intended', $3)
         ON CONFLICT (serial_hex) DO NOTHING`,
        [serialHex, userId, clock.now()],
      );
    }),

  recordKeypair: (lease, { serialHex, keypairId }) =>
    underUserLease(database, lease, async (queries, userId) => {
      try {
        // A pair that Gmail already had when we first looked is recorded without an intent of its own. Another id for
        // the same leaf is a pair made again after somebody obliterated the first.
        const rows = await queries.query(
          `INSERT INTO keypairs AS known (serial_hex, user_id, state, keypair_id, intended_at, created_at)
           SELECT serial_hex, user_id, 'created', $3, $4::timestamptz, $4::timestamptz
             FROM pair_certificates WHERE serial_hex = $1 AND user_id = $2
           ON CONFLICT (serial_hex) DO UPDATE SET
             state = 'created', keypair_id = excluded.keypair_id,
             created_at = CASE WHEN known.keypair_id = excluded.keypair_id
                               THEN known.created_at ELSE excluded.created_at END
           RETURNING serial_hex`,
          [serialHex, userId, keypairId, clock.now()],
        );
        if (rows.length === 0) throw noSignedLeaf(serialHex, userId);
      } catch (error) {
        if (error instanceof StatementRefused && error.constraint === 'keypairs_user_id_keypair_id_key') {
          throw permanent(
            'conflict',
            `Gmail's keypair ${keypairId} of user ${userId} is recorded for another leaf than ${serialHex}.`,
            { details: { serialHex, keypairId } },
          );
        }
        throw error;
      }
    }),

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
