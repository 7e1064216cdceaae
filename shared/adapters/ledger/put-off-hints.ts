/** Hints at what the directory does not show yet. */
import type { Cause, Hint } from '../../domain/hint.ts';
import type { PutOffHintLedger } from '../../ports/ledger/put-off-hints.ts';
import type { Database } from './database.ts';
import { type Asked, causeAsked } from './leases.ts';

/** As JSON has it. */
type Kept =
  | Omit<Extract<Hint, { address: string }>, 'cause'>
  | Omit<Extract<Hint, { userId: string }>, 'cause'>;

interface PutOffRow {
  readonly number: bigint;
  readonly hint: Kept & { readonly cause: Asked };
}

/** One entry of the audit log may tell of several changes of the same user. */
const eventOf = ({ cause: { eventId, event } }: Hint): string => `${eventId} ${event}`;

export const putOffHints = (database: Database): PutOffHintLedger => ({
  recordPutOff: async (hint) => {
    await database.query(
      `INSERT INTO put_off_hints (about, event_id, hint) VALUES ($1, $2, $3::jsonb)
       ON CONFLICT (about, event_id) DO UPDATE SET number = DEFAULT, hint = excluded.hint`,
      ['userId' in hint ? hint.userId : hint.address, eventOf(hint), JSON.stringify(hint)],
    );
  },

  putOffHints: async (most) => {
    const rows = await database.query<PutOffRow>(
      'SELECT number, hint FROM put_off_hints ORDER BY number LIMIT $1',
      [most],
    );
    return rows.map(({ number, hint: { cause, ...whom } }) => {
      const whole: Cause = causeAsked(cause);
      return { number, hint: { ...whom, cause: whole } };
    });
  },

  forgetPutOff: async (numbers) => {
    if (numbers.length === 0) return;
    await database.query('DELETE FROM put_off_hints WHERE number = ANY($1::bigint[])', [numbers.map(String)]);
  },
});
