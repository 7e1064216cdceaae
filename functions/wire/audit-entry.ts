import type { Cause, Hint } from '../../shared/domain/hint.ts';
import type { ChangedUnit, Command } from './hint-message.ts';
import { optionalInstant } from './optional-instant.ts';

/**
 * Workspace admin audit entries as the organization log sink publishes them.
 * https://cloud.google.com/logging/docs/audit/gsuite-audit-logging
 *
 * An entry may carry several events, parameters come in any order, and none of it is believed: it only says whom to
 * look at. The entry names addresses, never immutable ids; of an org unit it names the path from before.
 */
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
]);

/** Their NEW_VALUE is an address too, and the one that answers now. */
const NEW_VALUE_IS_ADDRESS: ReadonlySet<string> = new Set(['RENAME_USER']);

export function parseAuditEntry(entry: Readonly<Record<string, unknown>>, messageId: string): Command {
  const payload = record(entry['protoPayload']);
  const eventId = text(entry['insertId']) ?? messageId;
  const actor = text(record(payload['authenticationInfo'])['principalEmail']);
  const metadata = record(payload['metadata']);
  const causeOf = (event: string): Cause => ({
    source: 'audit',
    eventId,
    event,
    ...(actor === undefined ? {} : { actor }),
    ...optionalInstant(entry['timestamp']),
  });
  const membership = parseMembership(metadata, causeOf('UpdateMembership'));
  if (membership !== undefined) return membership;
  const events = list(metadata['event']);
  const hints: Hint[] = [];
  const units: ChangedUnit[] = [];
  const ignored: string[] = [];
  for (const event of events) {
    const name = text(event['eventName']) ?? 'without a name';
    const cause = causeOf(name);
    const addresses = USER_EVENTS.has(name) ? addressesOf(name, event) : [];
    const orgUnitPath = changedUnit(name, event);
    if (orgUnitPath !== undefined) units.push({ orgUnitPath, cause });
    else if (addresses.length === 0) ignored.push(`Event ${name} names no user this product follows.`);
    hints.push(...addresses.map((address) => ({ address, cause })));
  }
  if (events.length === 0)
    ignored.push(`Method ${text(payload['methodName']) ?? 'without a name'} carries no events.`);
  return { hints, units, ignored };
}

/**
 * The Enterprise Groups stream: who came into or left a group, also where members did it themselves. A group that did
 * brings its own members along, and no event names them: then everybody is compared. Undefined for any other entry.
 */
function parseMembership(metadata: Readonly<Record<string, unknown>>, cause: Cause): Command | undefined {
  if (metadata['membershipDelta'] === undefined) return undefined;
  const member = text(record(metadata['membershipDelta'])['member']) ?? '';
  const [kind = '', address = ''] = member.split(/:(.*)/s);
  if (kind === 'user' && address.includes('@')) {
    return { hints: [{ address: address.toLowerCase(), cause }], units: [], ignored: [] };
  }
  if (kind === 'group' || kind === 'customer')
    return { hints: [], units: [{ orgUnitPath: '/', cause }], ignored: [] };
  return { hints: [], units: [], ignored: ['A membership changed that names neither a user nor a group.'] };
}

/**
 * Where the users of a unit that was moved, renamed or removed are now, as far as the entry says: ORG_UNIT_NAME is the
 * path from before, NEW_VALUE the new parent or the new name. A removed unit was empty; who was in it is near its
 * parent. A path that turns out wrong makes the sweep turn to the parent (`shared/sources/sweep/subtree.ts`).
 */
function changedUnit(name: string, event: Readonly<Record<string, unknown>>): string | undefined {
  const parameters = parametersOf(event);
  const before = parameters.get('ORG_UNIT_NAME');
  const value = parameters.get('NEW_VALUE');
  if (before === undefined || !before.startsWith('/')) return undefined;
  const parent = before.slice(0, before.lastIndexOf('/'));
  switch (name) {
    case 'MOVE_ORG_UNIT':
      return value?.startsWith('/') ? value : '/';
    case 'EDIT_ORG_UNIT_NAME':
      if (value === undefined || value === '') return parent || '/';
      return value.startsWith('/') ? value : `${parent}/${value}`;
    case 'REMOVE_ORG_UNIT':
      return parent || '/';
    default:
      return undefined;
  }
}

const parametersOf = (
  event: Readonly<Record<string, unknown>>,
): ReadonlyMap<string | undefined, string | undefined> =>
  new Map(list(event['parameter']).map((parameter) => [text(parameter['name']), text(parameter['value'])]));

function addressesOf(name: string, event: Readonly<Record<string, unknown>>): readonly string[] {
  const parameters = parametersOf(event);
  const wanted = NEW_VALUE_IS_ADDRESS.has(name) ? ['NEW_VALUE', 'USER_EMAIL'] : ['USER_EMAIL'];
  const found = wanted.map((key) => parameters.get(key)).find((value) => value?.includes('@'));
  return found === undefined ? [] : [found.toLowerCase()];
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};

const list = (value: unknown): readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? value.map(record) : [];

/** PostgreSQL takes every character but NUL; an entry that holds one somewhere still says whom to look at. */
const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : undefined;
