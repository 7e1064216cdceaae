import type { PutOffHintLedger } from '../../../../shared/ports/ledger/put-off-hints.ts';
import type { Memory } from './rows.ts';

export const putOffHints = ({ rows }: Memory): PutOffHintLedger => ({
  recordPutOff: async (hint) => {
    const { putOff, last } = rows.now;
    last.putOff += 1n;
    const about = 'userId' in hint ? hint.userId : hint.address;
    putOff.set(JSON.stringify([about, hint.cause.eventId, hint.cause.event]), { number: last.putOff, hint });
  },
  putOffHints: async (most) =>
    [...rows.now.putOff.values()]
      .toSorted((left, right) => (left.number < right.number ? -1 : 1))
      .slice(0, most),
  forgetPutOff: async (numbers) => {
    for (const [key, { number }] of rows.now.putOff)
      if (numbers.includes(number)) rows.now.putOff.delete(key);
  },
});
