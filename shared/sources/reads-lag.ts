/**
 * Google says that a rename takes up to ten minutes to spread, and nothing of how soon anything else can be read. An event may
 * therefore be ahead of what the directory shows: that nobody is found, or somebody as they were, proves nothing so soon.
 * https://developers.google.com/workspace/admin/directory/v1/guides/manage-users
 *
 * What it will not do: wait for what an event does not tell. A notification says of a change that there was one, and not which.
 */
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { Cause, Hint } from '../domain/hint.ts';
import type { Bus } from '../ports/bus.ts';
import type { Ledger } from '../ports/ledger.ts';

export const READS_LAG_MS = 10 * 60_000;

/** Google writes down a deletion and its event by different clocks. */
const CLOCKS_APART_MS = 60_000;

/** What an event says has become of a user. */
export type Told =
  /** Somebody is there who was not, or has an address that they had not. */
  | 'there'
  | 'gone'
  | 'suspended'
  | 'restored'
  | 'archived'
  | 'unarchived'
  | 'moved'
  | 'alias-added'
  | 'alias-removed';

/** Not of users that are provisioned elsewhere: Google does not say in which of two directories something has become of them. */
const TOLD: Readonly<Partial<Record<Cause['source'], ReadonlyMap<string, Told>>>> = {
  watch: new Map([
    ['add', 'there'],
    ['undelete', 'there'],
    ['delete', 'gone'],
  ]),
  audit: new Map([
    ['CREATE_USER', 'there'],
    ['CREATE_USER_WITH_AUTO_PROV', 'there'],
    ['UNDELETE_USER', 'there'],
    ['RENAME_USER', 'there'],
    ['DELETE_USER', 'gone'],
    ['SUSPEND_USER', 'suspended'],
    ['UNSUSPEND_USER', 'restored'],
    ['ARCHIVE_USER', 'archived'],
    ['UNARCHIVE_USER', 'unarchived'],
    ['MOVE_USER_TO_ORG_UNIT', 'moved'],
    ['ADD_NICKNAME', 'alias-added'],
    ['REMOVE_NICKNAME', 'alias-removed'],
  ]),
};

/**
 * What the directory has to show and may not show yet. Undefined for an event without a time, or with one far from ours: nobody
 * could say when to stop asking.
 */
export function toldOf({ source, event, at }: Cause, now: Date): Told | undefined {
  if (at === undefined || Math.abs(now.getTime() - at.getTime()) >= READS_LAG_MS) return undefined;
  return TOLD[source]?.get(event);
}

/** What the looks that a hint led to were shown. */
export interface Shown {
  /** Who has the hint's address now, or whom its id names. */
  readonly holder: string | undefined;
  /** By user id; undefined where the directory would not say, and a look is due without us. */
  readonly presences: ReadonlyMap<string, DirectoryPresence | undefined>;
}

/**
 * Whether the directory shows what the event tells, or what excludes it. An event that a later one has undone is taken for one
 * that is not shown yet, until it is old.
 */
export function isShown(told: Told, hint: Hint, { holder, presences }: Shown): boolean {
  if (told === 'gone') return [...presences.values()].some(isDeletedBy(hint)) || !isThere(hint, presences);
  if (holder === undefined) return told !== 'there';
  const presence = presences.get(holder);
  if (presence === undefined) return true;
  if (told === 'there') return presence.kind === 'present' || isDeletedSince(hint.cause, presence);
  return presence.kind !== 'present' || isAsTold(told, hint, presence.user);
}

type User = Extract<DirectoryPresence, { kind: 'present' }>['user'];

function isAsTold(told: Exclude<Told, 'there' | 'gone'>, hint: Hint, user: User): boolean {
  const detail = 'detail' in hint ? hint.detail?.toLowerCase() : undefined;
  switch (told) {
    case 'suspended':
      return user.suspended;
    case 'restored':
      return !user.suspended;
    case 'archived':
      return user.archived;
    case 'unarchived':
      return !user.archived;
    case 'moved':
      return detail === undefined || user.orgUnitPath.toLowerCase() === detail;
    case 'alias-added':
      return detail === undefined || addressesOf(user).includes(detail);
    case 'alias-removed':
      return detail === undefined || !addressesOf(user).includes(detail);
    default:
      return told satisfies never;
  }
}

const addressesOf = ({ primaryEmail, aliases }: User): readonly string[] => [primaryEmail, ...aliases];

/** Deleted after they came to be there. */
function isDeletedSince({ source, event, at }: Cause, presence: DirectoryPresence): boolean {
  if (presence.kind !== 'deleted') return false;
  // A notification of a new user names the id, which nobody had before; any other deletion may be one from before the event.
  if (source === 'watch' && event === 'add') return true;
  return at !== undefined && presence.deletedAt !== undefined && presence.deletedAt >= at;
}

/** Of an address there may be several, and somebody who was deleted long ago is not meant. */
const isDeletedBy =
  ({ cause: { at } }: Hint) =>
  (presence: DirectoryPresence | undefined): boolean =>
    presence?.kind === 'deleted' &&
    at !== undefined &&
    presence.deletedAt !== undefined &&
    presence.deletedAt.getTime() >= at.getTime() - CLOCKS_APART_MS;

/** Whether somebody is there whom the event may mean. */
const isThere = (hint: Hint, presences: Shown['presences']): boolean =>
  [...presences.values()].some(
    (presence) =>
      presence?.kind === 'present' && ('userId' in hint || addressesOf(presence.user).includes(hint.address)),
  );

/** Most of these find nothing new, and each costs two or three calls of the directory: a part of what else goes out in a minute. */
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
