/**
 * Events of Workspace's admin audit log, whichever way they come: through the organization's log sink or from the Reports
 * API. They say whom or what to look at, and none of it is believed. Users are named by address, never by immutable id;
 * org units by the path from before.
 * https://developers.google.com/workspace/admin/reports/v1/appendix/activity/admin-event-names
 */
export interface AdminEvent {
  /** `MOVE_USER_TO_ORG_UNIT` */
  readonly name: string;
  /** By name, in no particular order. */
  readonly parameters: ReadonlyMap<string | undefined, string | undefined>;
}

/** What there is to look at; neither: the event is not one this product follows. */
export interface EventTarget {
  /** Lower case. */
  readonly address?: string;
  /** Of a rename: lower case too, and never without `address`. */
  readonly formerAddress?: string;
  /** Of a move the path of the new unit, of an alias that came or went that alias; never without `address`. */
  readonly detail?: string;
  /** A unit whose subtree is to be swept. */
  readonly orgUnitPath?: string;
}

const USER_EVENTS: ReadonlySet<string> = new Set([
  'CREATE_USER',
  'DELETE_USER',
  'UNDELETE_USER',
  'SUSPEND_USER',
  'UNSUSPEND_USER',
  'ARCHIVE_USER',
  'UNARCHIVE_USER',
  'RENAME_USER',
  'MOVE_USER_TO_ORG_UNIT',
  'ADD_NICKNAME',
  'REMOVE_NICKNAME',
  'GMAIL_RESET_USER',
  'USER_LICENSE_ASSIGNMENT',
  'USER_LICENSE_REVOKE',
  'ADD_GROUP_MEMBER',
  'REMOVE_GROUP_MEMBER',
  // A directory elsewhere that provisions users here, or here those of another product: Google does not say which.
  'CREATE_USER_WITH_AUTO_PROV',
  'UPDATE_AUTO_PROVISIONED_USER',
  'SUSPEND_AUTO_PROVISIONED_USER',
  'UNSUSPEND_AUTO_PROVISIONED_USER',
  'DELETE_AUTO_PROVISIONED_USER',
  'HARD_DELETED_AUTO_PROVISIONED_USER',
]);

/** Changes of which the directory's own notifications tell as well, each of them. */
export const NOTIFIED_EVENTS: ReadonlySet<string> = new Set([
  'CREATE_USER',
  'DELETE_USER',
  'UNDELETE_USER',
  'SUSPEND_USER',
  'UNSUSPEND_USER',
  'RENAME_USER',
  'MOVE_USER_TO_ORG_UNIT',
]);

/** Its members, those of the groups in it among them, are in the groups no longer that it was in, and no event names any of them. */
const GROUP_IS_GONE = 'DELETE_GROUP';

/** Its NEW_VALUE is an address too, and the one that answers once it has spread. */
const RENAME = 'RENAME_USER';

export function targetOf({ name, parameters }: AdminEvent): EventTarget {
  const orgUnitPath = name === GROUP_IS_GONE ? '/' : changedUnit(name, parameters);
  return {
    ...(USER_EVENTS.has(name) ? addressesIn(name, parameters) : {}),
    ...(orgUnitPath === undefined ? {} : { orgUnitPath }),
  };
}

/**
 * Where the users of a unit that was moved, renamed or removed are now, as far as the entry says: ORG_UNIT_NAME is the
 * path from before, NEW_VALUE the new parent or the new name. A removed unit was empty; who was in it is near its
 * parent. A path that turns out wrong makes the sweep turn to the parent (`sweep/subtree.ts`), and of a unit that stands
 * there by its name alone nobody can tell the parent: then everybody is compared.
 */
function changedUnit(name: string, parameters: AdminEvent['parameters']): string | undefined {
  const before = parameters.get('ORG_UNIT_NAME');
  const value = parameters.get('NEW_VALUE');
  if (before === undefined) return undefined;
  const hasPath = before.startsWith('/');
  const parent = hasPath ? before.slice(0, before.lastIndexOf('/')) : '';
  switch (name) {
    case 'MOVE_ORG_UNIT':
      return value?.startsWith('/') ? value : '/';
    case 'EDIT_ORG_UNIT_NAME':
      if (value === undefined || value === '') return parent || '/';
      if (value.startsWith('/')) return value;
      return hasPath ? `${parent}/${value}` : '/';
    case 'REMOVE_ORG_UNIT':
      return parent || '/';
    default:
      return undefined;
  }
}

function addressesIn(
  name: string,
  parameters: AdminEvent['parameters'],
): Pick<EventTarget, 'address' | 'formerAddress' | 'detail'> {
  const [address, formerAddress] = (name === RENAME ? ['NEW_VALUE', 'USER_EMAIL'] : ['USER_EMAIL'])
    .map((key) => parameters.get(key)?.toLowerCase())
    .filter((value) => value?.includes('@'));
  if (address === undefined) return {};
  const detail = detailIn(name, parameters);
  return {
    address,
    ...(formerAddress === undefined ? {} : { formerAddress }),
    ...(detail === undefined ? {} : { detail }),
  };
}

function detailIn(name: string, parameters: AdminEvent['parameters']): string | undefined {
  switch (name) {
    case 'MOVE_USER_TO_ORG_UNIT': {
      const path = parameters.get('NEW_VALUE');
      return path?.startsWith('/') ? path : undefined;
    }
    case 'ADD_NICKNAME':
    case 'REMOVE_NICKNAME': {
      const alias = parameters.get('USER_NICKNAME')?.toLowerCase();
      return alias?.includes('@') ? alias : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * The id that the log sink and the Reports API both give an entry: the instant, of which the one has microseconds and the other
 * milliseconds, and a number that tells it from others. That number is a signed 64-bit one; it is taken unsigned as well.
 */
export const entryKey = (timeMs: number, uniqueQualifier: string): string =>
  `${timeMs}:${/^-?\d{1,20}$/.test(uniqueQualifier) ? BigInt.asIntN(64, BigInt(uniqueQualifier)) : uniqueQualifier}`;
