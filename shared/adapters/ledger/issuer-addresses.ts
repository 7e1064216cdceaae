/** Public addresses of issuers, and when they were last found right. */
import type { AddressKind } from '../../domain/issuer-address.ts';
import type { Clock } from '../../ports/clock.ts';
import type { IssuerAddresses } from '../../ports/ledger/issuer-addresses.ts';
import { optional } from './columns.ts';
import type { Database } from './database.ts';

interface AddressRow {
  readonly kind: AddressKind;
  readonly url: string;
  readonly verified_at: Date | null;
  readonly seen_at: Date | null;
  readonly sha256_hex: string | null;
  readonly found: string | null;
  readonly failed_at: Date | null;
  readonly failure: string | null;
}

export const issuerAddresses = (database: Database, clock: Clock): IssuerAddresses => ({
  issuerAddresses: async (issuerId) => {
    const rows = await database.query<AddressRow>(
      `SELECT kind, url, verified_at, seen_at, sha256_hex, found, failed_at, failure
         FROM issuer_addresses WHERE issuer_id = $1 ORDER BY kind, url`,
      [issuerId],
    );
    return rows.map((row) => ({
      kind: row.kind,
      url: row.url,
      ...optional('verifiedAt', row.verified_at),
      ...optional('seenAt', row.seen_at),
      ...optional('sha256Hex', row.sha256_hex),
      ...optional('found', row.found),
      ...optional('failedAt', row.failed_at),
      ...optional('failure', row.failure),
    }));
  },

  recordAddressCheck: async (issuerId, check) => {
    const now = clock.now();
    if ('failure' in check) {
      await database.query(
        `INSERT INTO issuer_addresses (issuer_id, kind, url, failed_at, failure) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (issuer_id, kind, url) DO UPDATE SET failed_at = excluded.failed_at, failure = excluded.failure`,
        [issuerId, check.kind, check.url, now, check.failure],
      );
      return;
    }
    await database.query(
      `INSERT INTO issuer_addresses AS known (issuer_id, kind, url, verified_at, seen_at, sha256_hex, found)
       VALUES ($1, $2, $3, $4, $4, $5, $6)
       ON CONFLICT (issuer_id, kind, url) DO UPDATE SET
         verified_at = coalesce(known.verified_at, excluded.verified_at),
         seen_at = excluded.seen_at, sha256_hex = excluded.sha256_hex, found = excluded.found`,
      [issuerId, check.kind, check.url, now, check.sha256Hex, check.found],
    );
  },
});
