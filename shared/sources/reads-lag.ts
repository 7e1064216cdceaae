/**
 * Google says that a rename takes up to ten minutes to spread, and nothing of how soon a new user can be read. An event that
 * says somebody is there may therefore be ahead of what the directory shows; that nobody is found proves nothing so soon.
 * https://developers.google.com/workspace/admin/directory/v1/guides/manage-users
 *
 * What it will not do: wait for a user who is shown to be shown as they are now. Who is found is looked at, and the sweep
 * finds what changed since.
 */
import type { Cause } from '../domain/hint.ts';
import type { Bus } from '../ports/bus.ts';
import type { Ledger } from '../ports/ledger.ts';

export const READS_LAG_MS = 10 * 60_000;

/** By source: after these somebody is there who was not, or has an address that they had not. */
const APPEARANCES: Readonly<Partial<Record<Cause['source'], ReadonlySet<string>>>> = {
  watch: new Set(['add', 'undelete']),
  audit: new Set(['CREATE_USER', 'CREATE_USER_WITH_AUTO_PROV', 'UNDELETE_USER', 'RENAME_USER']),
};

/**
 * Whether whoever the event is about may come to be seen still. Not for an event without a time, or with one far ahead of
 * ours: nobody could say when to stop asking.
 */
export function mayAppear({ source, event, at }: Cause, now: Date): boolean {
  if (at === undefined || APPEARANCES[source]?.has(event) !== true) return false;
  return Math.abs(now.getTime() - at.getTime()) < READS_LAG_MS;
}

/** Most of these find nobody, and each costs two or three calls of the directory: a part of what else goes out in a minute. */
const SHARE = 1 / 4;

export interface AskAgainDeps {
  readonly ledger: Pick<Ledger, 'putOffHints' | 'forgetPutOff'>;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly hintsPerMinute: number;
}

/** Publishes what was put off, once a minute; answers how many. First the hints, then the ledger: a crash between repeats them. */
export async function askAgain({ ledger, bus, hintsPerMinute }: AskAgainDeps): Promise<number> {
  const putOff = await ledger.putOffHints(Math.ceil(hintsPerMinute * SHARE));
  if (putOff.length === 0) return 0;
  await bus.publishHints(putOff.map(({ hint }) => hint));
  await ledger.forgetPutOff(putOff.map(({ number }) => number));
  return putOff.length;
}
