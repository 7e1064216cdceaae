import type { Ledger } from '../../../../shared/ports/ledger.ts';
import { byText, type Memory } from './rows.ts';

const earliestFirst = (left: Date | undefined, right: Date | undefined): number =>
  (left?.getTime() ?? 0) - (right?.getTime() ?? 0);

/** Who waits. No news can be recorded here, so there is none to read. */
export const sources = ({
  rows,
  clock,
}: Memory): Pick<Ledger, 'sources' | 'oddities' | 'backlog' | 'reportsReading'> => ({
  sources: async () => [],
  oddities: async () => [],
  reportsReading: async () => ({ gaps: 0, failures: 0 }),
  backlog: async () => {
    const now = clock.now();
    const users = [...rows.now.users.values()];
    const due = users.filter(({ nextActionAt }) => nextActionAt !== undefined && nextActionAt <= now);
    const pending = users
      .filter(({ state }) => state === 'pending')
      .toSorted((left, right) => earliestFirst(left.since, right.since) || byText(left.userId, right.userId));
    const oldestDueAt = due.map(({ nextActionAt }) => nextActionAt).toSorted(earliestFirst)[0];
    const [oldest] = pending;
    const putOff = [...rows.now.putOff.values()];
    const oldestPutOffAt = putOff.flatMap(({ hint }) => hint.cause.at ?? []).toSorted(earliestFirst)[0];
    return {
      due: due.length,
      ...(oldestDueAt === undefined ? {} : { oldestDueAt }),
      pending: pending.length,
      ...(oldest === undefined
        ? {}
        : { oldestPending: { userId: oldest.userId, since: oldest.since, state: oldest.state } }),
      putOff: putOff.length,
      ...(oldestPutOffAt === undefined ? {} : { oldestPutOffAt }),
    };
  },
});
