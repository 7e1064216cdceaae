import type { PassedOverLedger } from '../../../../shared/ports/ledger/passed-over.ts';
import { byText, type Memory } from './rows.ts';

const KEEP_MS = 90 * 86_400_000;

export const passedOver = ({ rows, clock }: Memory): PassedOverLedger => ({
  recordPassedOver: async (passed) => {
    const at = clock.now();
    rows.now.passedOver.set(passed.userId, { ...passed, at });
    for (const [userId, one] of rows.now.passedOver)
      if (at.getTime() - one.at.getTime() > KEEP_MS) rows.now.passedOver.delete(userId);
  },
  passedOver: async ({ since, after = '', limit }) =>
    [...rows.now.passedOver.values()]
      .filter(({ userId, at }) => at >= since && byText(userId, after) > 0)
      .toSorted((left, right) => byText(left.userId, right.userId))
      .slice(0, limit),
});
