/**
 * Who came into a group or left it, as the Enterprise Groups log tells it in its two forms: entries of Cloud Logging and
 * activities of the Reports API. Unlike those of the admin log the two share no id, so an entry is known by what it says and when:
 * where the clocks of the two differ by a millisecond somebody is looked at twice, which harms nobody.
 * https://developers.google.com/workspace/admin/reports/v1/appendix/activity/groups-enterprise
 */
import type { AdminEvent } from './admin-event.ts';

export interface MembershipChange {
  readonly group: string;
  readonly member: string;
  readonly action: 'ADD' | 'REMOVE';
}

/** What there is to look at after somebody came or went. A group brings its own members along, and no event names them. */
export type MemberTarget =
  | { readonly address: string; readonly formerAddress?: string; readonly detail?: string }
  | { readonly userId: string }
  | { readonly orgUnitPath: string };

const ADDED: ReadonlySet<string> = new Set([
  'add_member',
  'accept_invitation',
  'approve_join_request',
  'join',
]);
const REMOVED: ReadonlySet<string> = new Set(['remove_member', 'ban_member_with_moderation']);

/** Undefined for an event that changes no membership. An event without a member is about whoever did it. */
export function membershipOf({ name, parameters }: AdminEvent, actor?: string): MembershipChange | undefined {
  const isAdded = ADDED.has(name);
  const member = parameters.get('member_id') ?? actor;
  if ((!isAdded && !REMOVED.has(name)) || member === undefined) return undefined;
  return { group: parameters.get('group_id') ?? '', member, action: isAdded ? 'ADD' : 'REMOVE' };
}

/**
 * `kind` is `user`, `group`, `customer` or another, where the event says it. A user who cannot be told from the event makes
 * everybody be compared, as a group does. Undefined for whoever is of no interest: service accounts, nobody.
 */
export function memberTarget(member: string, kind = 'user'): MemberTarget | undefined {
  if (member === '' || /^service.?account$/i.test(kind)) return undefined;
  if (kind !== 'user') return { orgUnitPath: '/' };
  if (member.includes('@')) return { address: member.toLowerCase() };
  return /^\d{1,32}$/.test(member) ? { userId: member } : { orgUnitPath: '/' };
}

export const membershipKey = (timeMs: number, { group, member, action }: MembershipChange): string =>
  `membership:${timeMs}:${action}:${member.toLowerCase()}:${group.toLowerCase()}`;
