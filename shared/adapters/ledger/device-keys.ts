/** Keys of other mail clients: the request, its public key, and whether it was taken back. */
import { adminCause, type Cause } from '../../domain/hint.ts';
import type { DeviceKeyRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DeviceKeyRows } from '../../ports/ledger/device-keys.ts';
import { optional } from './columns.ts';
import type { Database, TransactionQueries } from './database.ts';
import { askToLookAgain } from './leases.ts';
import { userRecords } from './user-records.ts';

interface DeviceKeyRow {
  readonly key_id: string;
  readonly user_id: string;
  readonly device: string;
  readonly spki_sha256_hex: string;
  readonly spki_der: Uint8Array;
  readonly requested_by: string;
  readonly created_at: Date;
  readonly withdrawn_at: Date | null;
}

const COLUMNS = 'key_id, user_id, device, spki_sha256_hex, spki_der, requested_by, created_at, withdrawn_at';

const deviceKeyRecord = (row: DeviceKeyRow): DeviceKeyRecord => ({
  keyId: row.key_id,
  userId: row.user_id,
  device: row.device,
  spkiSha256Hex: row.spki_sha256_hex,
  spkiDer: row.spki_der,
  requestedBy: row.requested_by,
  createdAt: row.created_at,
  ...optional('withdrawnAt', row.withdrawn_at),
});

/** Device keys of each user, oldest first. */
export const DEVICE_KEYS = userRecords<DeviceKeyRow, DeviceKeyRecord>(
  (these) => `SELECT ${COLUMNS} FROM device_keys WHERE user_id = ${these} ORDER BY position`,
  deviceKeyRecord,
  { spki_der: 'bytes', created_at: 'instant', withdrawn_at: 'instant' },
);

/** A hint may be lost after the commit: the user is due at once, and whoever works on them looks again. */
const wakeUser = async (
  queries: TransactionQueries,
  userId: string,
  now: Date,
  cause: Cause,
): Promise<boolean> => {
  await askToLookAgain(queries, [userId], cause);
  const known = await queries.query(
    `UPDATE users SET next_action = 'certify-device', next_action_at = $2 WHERE user_id = $1 RETURNING user_id`,
    [userId, now],
  );
  return known.length > 0;
};

export const deviceKeys = (database: Database, clock: Clock, randomId: () => string): DeviceKeyRows => ({
  recordDeviceKey: (key) =>
    database.transaction(async (queries) => {
      const now = clock.now();
      // What was asked for before keeps its id.
      const [before] = await queries.query<Pick<DeviceKeyRow, 'key_id'>>(
        'SELECT key_id FROM device_keys WHERE spki_sha256_hex = $1',
        [key.spkiSha256Hex],
      );
      const keyId = before?.key_id ?? randomId();
      const cause = adminCause(keyId, 'device-requested', key.requestedBy);
      if (!(await wakeUser(queries, key.userId, now, cause))) {
        throw permanent('not-found', `The ledger has no user ${key.userId}.`);
      }
      await queries.query(
        `INSERT INTO device_keys (key_id, user_id, device, spki_sha256_hex, spki_der, requested_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (spki_sha256_hex) DO NOTHING`,
        [keyId, key.userId, key.device, key.spkiSha256Hex, key.spkiDer, key.requestedBy, now],
      );
      const [row] = await queries.query<DeviceKeyRow>(
        `SELECT ${COLUMNS} FROM device_keys WHERE spki_sha256_hex = $1`,
        [key.spkiSha256Hex],
      );
      if (row === undefined || row.user_id !== key.userId || row.withdrawn_at !== null) {
        throw permanent(
          'conflict',
          'This public key was asked for before, for another user or in a request that was withdrawn: make a new key.',
          { details: { spkiSha256Hex: key.spkiSha256Hex } },
        );
      }
      return deviceKeyRecord(row);
    }),

  readDeviceKey: async (keyId) => {
    const [row] = await database.query<DeviceKeyRow>(`SELECT ${COLUMNS} FROM device_keys WHERE key_id = $1`, [
      keyId,
    ]);
    return row === undefined ? undefined : deviceKeyRecord(row);
  },

  withdrawDeviceKey: (keyId, by) =>
    database.transaction(async (queries) => {
      const now = clock.now();
      await queries.query(
        'UPDATE device_keys SET withdrawn_at = $2 WHERE key_id = $1 AND withdrawn_at IS NULL',
        [keyId, now],
      );
      const [row] = await queries.query<{ user_id: string }>(
        'SELECT user_id FROM device_keys WHERE key_id = $1',
        [keyId],
      );
      if (row === undefined) throw permanent('not-found', `The ledger has no device key ${keyId}.`);
      await wakeUser(queries, row.user_id, now, adminCause(keyId, 'device-revoked', by));
    }),
});
