/**
 * What a sweep needs to take up the table of one before it (`LedgerIndex`): the bytes are the table itself, and the head says how to
 * read them. Whoever was written since then is read from the ledger anew.
 */
import { MOST_WRITES } from '../../ports/ledger/sweeps.ts';
import type { Status } from './packed-users.ts';

/** Another one for each change of what the bytes mean: of the layout of an entry, of how an id is packed, of where it is looked for. */
const FORMAT = 1;
/** Then everybody's row is read again, whatever was kept: whatever might go wrong with keeping, it has an end. */
const MOST_AGE_MS = 24 * 3_600_000;
/** Of the users one in so many may have been written since; reading more of them singly takes as long as reading everybody. */
const ONE_IN = 50;
/** In a small company all may have been. */
const ALWAYS = 1_000;

export interface TableHead {
  /** When everybody's row was read. */
  readonly readAt: Date;
  readonly slots: number;
  readonly entries: number;
  /** By number, from 1 on, with how many are in each. */
  readonly statuses: readonly { readonly status: Status; readonly users: number }[];
}

export const headText = (head: TableHead): string => JSON.stringify({ format: FORMAT, ...head });

/** Undefined for what is not to be used any more. It was written by `headText`, of this version or another. */
export function usableHead(
  kept: { readonly head: string; readonly writes: number },
  now: Date,
): TableHead | undefined {
  const read = JSON.parse(kept.head) as Omit<TableHead, 'readAt'> & { format: number; readAt: string };
  if (read.format !== FORMAT) return undefined;
  const head = { ...read, readAt: new Date(read.readAt) };
  const ageMs = now.getTime() - head.readAt.getTime();
  // A clock that was put back would keep it for longer.
  if (ageMs < 0 || ageMs >= MOST_AGE_MS) return undefined;
  return kept.writes <= Math.min(MOST_WRITES - 1, Math.max(ALWAYS, head.entries / ONE_IN)) ? head : undefined;
}
