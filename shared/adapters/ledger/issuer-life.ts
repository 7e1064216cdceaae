/** The life of an issuer beside issuing. */
import type { IssuerRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { IssuerLife, IssuerRequest } from '../../ports/ledger/issuer-life.ts';
import { insertAudit } from './audit.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';

interface RequestRow {
  readonly spki_sha256_hex: string;
  readonly key_version: string;
  readonly csr_der: Uint8Array;
  readonly requested_at: Date;
}

const SELECT_REQUESTS = 'SELECT spki_sha256_hex, key_version, csr_der, requested_at FROM issuer_requests';

const issuerRequest = (row: RequestRow): IssuerRequest => ({
  spkiSha256Hex: row.spki_sha256_hex,
  keyVersion: row.key_version,
  csrDer: row.csr_der,
  requestedAt: row.requested_at,
});

export const issuerLife = (database: Database, clock: Clock): IssuerLife => ({
  issuerStates: async () => {
    const rows = await database.query<{ issuer_id: string; state: IssuerRecord['state'] }>(
      'SELECT issuer_id, state FROM issuers',
    );
    return new Map(rows.map(({ issuer_id, state }) => [issuer_id, state]));
  },

  activateIssuer: (issuerId, audit) =>
    database.transaction(async (queries) => {
      // Locked in one order by everybody, so that two who activate at once take turns.
      const rows = await queries.query<{ issuer_id: string; state: string }>(
        `SELECT issuer_id, state FROM issuers WHERE issuer_id = $1 OR state = 'active' ORDER BY issuer_id FOR UPDATE`,
        [issuerId],
      );
      const state = rows.find((row) => row.issuer_id === issuerId)?.state;
      if (state === 'active') return {};
      if (state !== 'prepared') {
        throw permanent(
          'conflict',
          `The issuer ${issuerId} is ${state ?? 'not in the ledger'}, and only a prepared one can become active.`,
        );
      }
      const before = rows.find((row) => row.state === 'active')?.issuer_id;
      await queries.query(`UPDATE issuers SET state = 'retiring' WHERE state = 'active'`);
      await queries.query(`UPDATE issuers SET state = 'active' WHERE issuer_id = $1`, [issuerId]);
      const done = before === undefined ? {} : { retiring: before };
      if (audit !== undefined) await insertAudit(queries, clock.now(), audit(done));
      return done;
    }),

  retireIssuer: async (issuerId, audit, { isRevoked = false } = {}) => {
    await database.transaction(async (queries) => {
      const now = clock.now();
      const retired = await queries.query(
        `UPDATE issuers AS issuer SET state = 'retired'
        WHERE issuer_id = $1
          AND CASE WHEN $3 THEN state IN ('prepared', 'retiring') ELSE state = 'retiring'
            AND NOT EXISTS (SELECT 1 FROM leaves WHERE issuer_id = $1 AND not_after >= $2)
            AND NOT EXISTS (
              SELECT 1 FROM leaves AS leaf JOIN revocations USING (serial_hex)
               WHERE leaf.issuer_id = $1
                 AND NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex))
          END
         RETURNING issuer_id`,
        [issuerId, now, isRevoked],
      );
      if (retired.length > 0 && audit !== undefined) await insertAudit(queries, now, audit);
    });
    const [row] = await database.query<{ state: string }>('SELECT state FROM issuers WHERE issuer_id = $1', [
      issuerId,
    ]);
    return row?.state === 'retired';
  },

  issuerHoldings: async (issuerId) => {
    const [counts] = await database.query<{ live: bigint; unlisted: bigint; last: Date | null }>(
      `SELECT count(*) FILTER (WHERE leaf.not_after >= $2) AS live,
              count(*) FILTER (
                WHERE leaf.not_after < $2
                  AND EXISTS (SELECT 1 FROM revocations WHERE serial_hex = leaf.serial_hex)
                  AND NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex)) AS unlisted,
              max(leaf.not_after) AS last
         FROM leaves AS leaf WHERE leaf.issuer_id = $1`,
      [issuerId, clock.now()],
    );
    const [sample] = await database.query<{ leaf_der: Uint8Array }>(
      `SELECT leaf_der FROM leaves AS leaf
        WHERE issuer_id = $1 AND leaf_der IS NOT NULL AND not_before <= $2 AND not_after >= $2
          AND NOT EXISTS (SELECT 1 FROM revocations WHERE serial_hex = leaf.serial_hex)
        ORDER BY not_after DESC LIMIT 1`,
      [issuerId, clock.now()],
    );
    return {
      live: Number(counts?.live ?? 0),
      unlisted: Number(counts?.unlisted ?? 0),
      ...optional('lastNotAfter', counts?.last ?? null),
      ...optional('sampleDer', sample?.leaf_der ?? null),
    };
  },

  holdersUnder: async (issuerId) => {
    const rows = await database.query<{ user_id: string }>(
      `SELECT DISTINCT leaf.user_id
         FROM leaves AS leaf LEFT JOIN user_keys AS held USING (key_id)
        WHERE leaf.issuer_id = $1 AND leaf.not_after >= $2 AND leaf.device_key_id IS NULL
          AND NOT EXISTS (SELECT 1 FROM revocations WHERE serial_hex = leaf.serial_hex)
          AND NOT EXISTS (SELECT 1 FROM leaves AS newer LEFT JOIN user_keys AS other USING (key_id)
                           WHERE newer.user_id = leaf.user_id AND newer.position > leaf.position
                             AND newer.device_key_id IS NULL AND newer.state = 'signed'
                             AND other.purpose IS NOT DISTINCT FROM held.purpose)
        ORDER BY leaf.user_id`,
      [issuerId, clock.now()],
    );
    return rows.map((row) => row.user_id);
  },

  recordIssuerRequest: async ({ spkiSha256Hex, keyVersion, csrDer }) => {
    await database.query(
      `INSERT INTO issuer_requests (spki_sha256_hex, key_version, csr_der, requested_at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (spki_sha256_hex) DO UPDATE SET csr_der = excluded.csr_der, requested_at = excluded.requested_at`,
      [spkiSha256Hex, keyVersion, csrDer, clock.now()],
    );
  },

  readIssuerRequest: async (spkiSha256Hex) => {
    const [row] = await database.query<RequestRow>(`${SELECT_REQUESTS} WHERE spki_sha256_hex = $1`, [
      spkiSha256Hex,
    ]);
    return row === undefined ? undefined : issuerRequest(row);
  },

  openIssuerRequests: async () => {
    const rows = await database.query<RequestRow>(
      `${SELECT_REQUESTS} AS request
        WHERE NOT EXISTS (SELECT 1 FROM issuers WHERE key_version = request.key_version)
        ORDER BY requested_at, spki_sha256_hex`,
    );
    return rows.map(issuerRequest);
  },

  latestInstant: async () => {
    const [row] = await database.query<{ latest: Date | null }>(
      `SELECT greatest((SELECT max(this_update) FROM crls), (SELECT max(at) FROM audit),
                       (SELECT max(intended_at) FROM leaves), (SELECT max(recorded_at) FROM issuers)) AS latest`,
    );
    return row?.latest ?? undefined;
  },
});
