import type { Cause, Hint } from '../../shared/domain/hint.ts';
import { type AdminEvent, entryKey, NOTIFIED_EVENTS, targetOf } from '../../shared/sources/admin-event.ts';
import { type MembershipChange, membershipKey, memberTarget } from '../../shared/sources/membership-event.ts';
import type { ChangedUnit, Command, Ignored } from './hint-message.ts';
import { optionalInstant } from './optional-instant.ts';

/**
 * Workspace admin audit entries as the organization log sink publishes them.
 * https://cloud.google.com/logging/docs/audit/gsuite-audit-logging
 *
 * An entry may carry several events, parameters come in any order, and none of it is believed: it only says whom to
 * look at. The entry names addresses, never immutable ids; of an org unit it names the path from before.
 */
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
  const events = eventsOf(metadata);
  const hints: Hint[] = [];
  const units: ChangedUnit[] = [];
  const ignored: Ignored[] = [];
  for (const event of events) {
    const cause = causeOf(event.name);
    const { orgUnitPath, ...whom } = targetOf(event);
    if (orgUnitPath !== undefined) units.push({ orgUnitPath, cause });
    else if (whom.address === undefined) {
      const reason = `Event ${event.name} names no user this product follows.`;
      ignored.push({ event: event.name, reason });
    }
    if (whom.address !== undefined) hints.push({ ...whom, address: whom.address, cause });
  }
  const method = text(payload['methodName']) ?? 'without a name';
  if (events.length === 0) ignored.push({ event: method, reason: `Method ${method} carries no events.` });
  return { hints, units, ignored };
}

/**
 * The Enterprise Groups stream: who came into or left a group, also where members did it themselves. A group that did
 * brings its own members along, and no event names them: then everybody is compared. Undefined for any other entry.
 */
function parseMembership(metadata: Readonly<Record<string, unknown>>, cause: Cause): Command | undefined {
  if (metadata['membershipDelta'] === undefined) return undefined;
  const { kind, member } = memberOf(metadata);
  const target = kind === '' ? undefined : memberTarget(member, kind);
  if (target === undefined) {
    const reason = 'A membership changed that names neither a user nor a group.';
    return { hints: [], units: [], ignored: [{ event: cause.event, reason }] };
  }
  return 'orgUnitPath' in target
    ? { hints: [], units: [{ ...target, cause }], ignored: [] }
    : { hints: [{ ...target, cause }], units: [], ignored: [] };
}

/** `user:ana@acme.example` */
function memberOf(metadata: Readonly<Record<string, unknown>>): { kind: string; member: string } {
  const [kind = '', member = ''] = (text(record(metadata['membershipDelta'])['member']) ?? '').split(
    /:(.*)/s,
  );
  return { kind, member };
}

/** What an entry says about itself, for the books: none of it decides whom to look at. */
export interface EntryFacts {
  /** Two entries with one key are one. Absent where it has no id. */
  readonly key?: string;
  readonly happenedAt?: Date;
  /** Number of the organization in whose log it is. */
  readonly organization?: string;
  /** The directory's notifications must have told of it as well. */
  readonly isNotified: boolean;
}

export function readEntryFacts(entry: Readonly<Record<string, unknown>>): EntryFacts {
  const metadata = record(record(entry['protoPayload'])['metadata']);
  const events = eventsOf(metadata);
  const { at } = optionalInstant(entry['timestamp']);
  const organization = /^organizations\/([^/]+)\//.exec(text(entry['logName']) ?? '')?.[1];
  const key = keyOf(entry, metadata, at);
  return {
    ...(key === undefined ? {} : { key }),
    ...(at === undefined ? {} : { happenedAt: at }),
    ...(organization === undefined ? {} : { organization }),
    isNotified: events.some(({ name }) => NOTIFIED_EVENTS.has(name)),
  };
}

/** The activity's own id, which the Reports API gives too, or what it says; else Cloud Logging's, unique with its timestamp. */
function keyOf(
  entry: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>>,
  at: Date | undefined,
): string | undefined {
  const activityId = record(metadata['activityId']);
  const timeUsec = text(activityId['timeUsec']) ?? '';
  const qualifier = text(activityId['uniqQualifier']);
  if (/^\d{4,16}$/.test(timeUsec) && qualifier !== undefined)
    return entryKey(Math.floor(Number(timeUsec) / 1000), qualifier);
  const change = membershipIn(metadata);
  if (change !== undefined && at !== undefined) return membershipKey(at.getTime(), change);
  const [insertId, timestamp] = [text(entry['insertId']), text(entry['timestamp'])];
  return insertId === undefined || timestamp === undefined ? undefined : `${insertId}@${timestamp}`;
}

/** Undefined where roles changed and nobody came or went, or the entry does not say. */
function membershipIn(metadata: Readonly<Record<string, unknown>>): MembershipChange | undefined {
  const delta = record(metadata['membershipDelta']);
  const action = list(delta['roleDeltas'])
    .filter((role) => role['role'] === 'MEMBER')
    .map((role) => role['action'])[0];
  const group = (text(metadata['group']) ?? '').replace(/^group:/, '');
  if (action !== 'ADD' && action !== 'REMOVE') return undefined;
  return { group, member: memberOf(metadata).member, action };
}

const eventsOf = (metadata: Readonly<Record<string, unknown>>): readonly AdminEvent[] =>
  list(metadata['event']).map((event) => ({
    name: text(event['eventName']) ?? 'without a name',
    parameters: new Map(
      list(event['parameter']).map((parameter) => [text(parameter['name']), text(parameter['value'])]),
    ),
  }));

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};

const list = (value: unknown): readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? value.map(record) : [];

/** PostgreSQL takes every character but NUL; an entry that holds one somewhere still says whom to look at. */
const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : undefined;
