import type { AddressHistory } from '../../ports/ledger/address-history.ts';
import type { Database } from './database.ts';

export const addressHistory = (database: Database): AddressHistory => ({
  addressHistory: async ({ after = '', limit }) => {
    const rows = await database.query<{ user_id: string; addresses: string[] }>(
      `SELECT user_id, array_agg(address ORDER BY address) AS addresses FROM addresses
        WHERE user_id > $1 GROUP BY user_id ORDER BY user_id LIMIT $2`,
      [after, limit],
    );
    const next = rows.length === limit ? rows.at(-1)?.user_id : undefined;
    return {
      people: rows.map((row) => ({ userId: row.user_id, addresses: row.addresses })),
      ...(next === undefined ? {} : { next }),
    };
  },
});
