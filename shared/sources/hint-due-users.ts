/** Hints at whoever's time has come, no faster than they are looked at. */
import type { Bus } from '../ports/bus.ts';
import type { Ledger } from '../ports/ledger.ts';

export interface DueHintDeps {
  readonly ledger: Pick<Ledger, 'dueUsers' | 'recordDueHints'>;
  readonly bus: Pick<Bus, 'publishHints'>;
  /** So many hints of ours may be under way, and so many go out at once; docs/scale.md has the arithmetic. */
  readonly hintsPerMinute: number;
}

/** Answers how many. The others wait until these are looked at. */
export async function hintDueUsers(deps: DueHintDeps, eventId: string): Promise<number> {
  const due = await deps.ledger.dueUsers(deps.hintsPerMinute);
  await deps.bus.publishHints(
    due.map(({ userId, nextAction, cause = { source: 'due', eventId, event: nextAction } }) => ({
      userId,
      cause,
    })),
  );
  await deps.ledger.recordDueHints(due);
  return due.length;
}
