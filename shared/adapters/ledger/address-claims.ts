/** Whose certificate names whose address. */
import type { AddressClaims } from '../../ports/ledger/address-claims.ts';
import type { Database } from './database.ts';

interface ClaimRow {
  readonly address: string;
  readonly user_id: string;
}

export const addressClaims = (database: Database): AddressClaims => ({
  liveLeavesNaming: async ({ addresses, exceptUserId, at }) => {
    if (addresses.length === 0) return [];
    const rows = await database.query<ClaimRow & { serial_hex: string }>(
      `SELECT named.address, leaf.user_id, leaf.serial_hex
         FROM leaves AS leaf CROSS JOIN LATERAL unnest(leaf.addresses) AS named (address)
        WHERE leaf.addresses && $1::text[] AND named.address = ANY($1) AND leaf.user_id <> $2 AND leaf.not_after > $3
          AND NOT EXISTS (SELECT 1 FROM revocations WHERE revocations.serial_hex = leaf.serial_hex)
        ORDER BY leaf.position, named.address`,
      [addresses, exceptUserId, at],
    );
    return rows.map((row) => ({ address: row.address, userId: row.user_id, serialHex: row.serial_hex }));
  },

  latestHolders: async (addresses) => {
    if (addresses.length === 0) return [];
    const rows = await database.query<ClaimRow>(
      `SELECT DISTINCT ON (address) address, user_id FROM addresses
        WHERE address = ANY($1) ORDER BY address, sighting DESC`,
      [addresses],
    );
    return rows.map((row) => ({ address: row.address, userId: row.user_id }));
  },
});
