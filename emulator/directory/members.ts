/**
 * `members.*`: https://developers.google.com/workspace/admin/directory/v1/guides/manage-group-members
 * Groups can be members of groups; a circle is refused.
 */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { readMessage, type Shape } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import { domainOf, parseAddress } from './addresses.ts';
import { addressOf, type Member } from './group-book.ts';
import { digestOf, type GroupParts } from './groups.ts';
import { booleanParameter, integerParameter } from './method.ts';
import { disturbedPage } from './page-token.ts';
import type { GroupRecord, MemberRecord } from './records.ts';
import { badRequest, conditionNotMet, invalidInput, resourceNotFound } from './refusals.ts';
import { etagOf } from './user-fields.ts';

const MEMBER = {
  delivery_settings: 'string',
  email: 'string',
  etag: 'string',
  id: 'string',
  kind: 'string',
  role: 'string',
  status: 'string',
  type: 'string',
} as const satisfies Shape;

export const MEMBER_SELECTABLE = {
  delivery_settings: 'leaf',
  email: 'leaf',
  etag: 'leaf',
  id: 'leaf',
  kind: 'leaf',
  role: 'leaf',
  status: 'leaf',
  type: 'leaf',
} as const;

const ROLES = ['OWNER', 'MANAGER', 'MEMBER'];
const DELIVERY = ['ALL_MAIL', 'DAILY', 'DIGEST', 'DISABLED', 'NONE'];

export class Members {
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  list(call: Call): unknown {
    const { tenant, book, tokens, faults } = this.#parts;
    const group = this.#group(call);
    const derived = booleanParameter(call, 'includeDerivedMembership');
    const maxResults = integerParameter(call, 'maxResults', { min: 1, max: 200, absent: 200 });
    const roles = (call.query.get('roles') ?? '').split(',').filter((role) => role !== '');
    if (roles.some((role) => !ROLES.includes(role))) throw invalidInput('roles');
    const found = (derived ? book.derivedMembers(group) : book.members(group)).filter(
      ({ record }) => roles.length === 0 || roles.includes(record.role),
    );
    const question = digestOf(['members', group.id, derived, roles]);
    const token = call.query.get('pageToken') ?? '';
    const after = token === '' ? undefined : tokens.read(token, question, tenant.nowMs)[0];
    const rest = after === undefined ? found : found.filter(({ id }) => id > after);
    const { entries, nextPageToken } = disturbedPage(rest, maxResults, faults, ({ id }) =>
      tokens.issue([id], question, tenant.nowMs),
    );
    const members = entries.map((member) => resource(member));
    return {
      kind: 'admin#directory#members',
      etag: etagOf(members),
      ...(members.length === 0 ? {} : { members }),
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    };
  }

  get(call: Call): unknown {
    const member = this.#direct(this.#group(call), call.params['memberKey'] ?? '');
    return { ...resource(member), delivery_settings: member.record.deliverySettings };
  }

  insert(call: Call, caller: Caller): unknown {
    const { tenant, book, changes } = this.#parts;
    const group = this.#group(call);
    const body = readMessage(call, MEMBER);
    const record = this.#newMember(body);
    if (Object.hasOwn(group.members, record.id)) {
      throw new GoogleError(409, 'duplicate', 'Member already exists.');
    }
    const inner = tenant.data.groups[record.id];
    if (inner !== undefined && (inner.id === group.id || book.holds(inner, group.id))) {
      throw conditionNotMet('Cyclic memberships not allowed.');
    }
    group.members[record.id] = record;
    tenant.changed();
    const member = this.#direct(group, record.id);
    changes.membership(caller, { group: group.email, member, action: 'ADD', role: record.role });
    return resource(member);
  }

  /** PUT and PATCH alike: role and delivery are all that can change. */
  update(call: Call): unknown {
    const member = this.#direct(this.#group(call), call.params['memberKey'] ?? '');
    const body = readMessage(call, MEMBER);
    member.record.role = checkRole(body.role, member.record.role);
    member.record.deliverySettings = checkDelivery(body.delivery_settings, member.record.deliverySettings);
    this.#parts.tenant.changed();
    return { ...resource(member), delivery_settings: member.record.deliverySettings };
  }

  delete(call: Call, caller: Caller): undefined {
    const group = this.#group(call);
    const member = this.#direct(group, call.params['memberKey'] ?? '');
    delete group.members[member.id];
    this.#parts.tenant.changed();
    this.#parts.changes.membership(caller, {
      group: group.email,
      member,
      action: 'REMOVE',
      role: member.record.role,
    });
    return undefined;
  }

  /** Direct or nested; nested only where group and member are of one domain, as Google has it. */
  hasMember(call: Call): unknown {
    const { tenant, book } = this.#parts;
    const group = this.#group(call);
    const user = tenant.userByKey(call.params['memberKey'] ?? '');
    if (user === undefined) throw resourceNotFound('memberKey');
    if (Object.hasOwn(group.members, user.id)) return { isMember: true };
    if (domainOf(user.primaryEmail) !== domainOf(group.email)) throw invalidInput('memberKey');
    return { isMember: book.holds(group, user.id) };
  }

  #group(call: Call): GroupRecord {
    const group = this.#parts.book.byKey(call.params['groupKey'] ?? '');
    if (group === undefined) throw resourceNotFound('groupKey');
    return group;
  }

  /** Throws 404 `memberKey` for whoever is no direct member. */
  #direct(group: GroupRecord, key: string): Member {
    const { tenant, book } = this.#parts;
    const id = tenant.userByKey(key)?.id ?? book.byKey(key)?.id ?? key.toLowerCase();
    const member = book
      .members(group)
      .find((candidate) => candidate.id === id || candidate.id === key || addressOf(candidate) === id);
    if (member === undefined) throw resourceNotFound('memberKey');
    return member;
  }

  #newMember(body: {
    email?: string;
    id?: string;
    role?: string;
    type?: string;
    delivery_settings?: string;
  }): MemberRecord {
    const { tenant, book } = this.#parts;
    const common = {
      role: checkRole(body.role, 'MEMBER'),
      deliverySettings: checkDelivery(body.delivery_settings, 'ALL_MAIL'),
    };
    if (body.type === 'CUSTOMER' || body.id === tenant.customerId) {
      return { id: tenant.customerId, type: 'CUSTOMER', ...common };
    }
    const key = body.email ?? body.id;
    if (key === undefined) throw badRequest('Required parameter: email');
    const user = tenant.userByKey(key);
    if (user !== undefined) return { id: user.id, type: 'USER', ...common };
    const group = book.byKey(key);
    if (group !== undefined) return { id: group.id, type: 'GROUP', ...common };
    const email = parseAddress(key);
    if (email === undefined || tenant.domains.includes(domainOf(email))) throw resourceNotFound('memberKey');
    return { id: `external-${digestOf([email]).slice(0, 16)}`, type: 'EXTERNAL', email, ...common };
  }
}

function resource(member: Member) {
  const email = addressOf(member);
  const content = {
    id: member.id,
    ...(email === undefined ? {} : { email }),
    role: member.record.role,
    type: member.type === 'EXTERNAL' ? 'USER' : member.type,
    ...(member.type === 'USER' ? { status: member.user.suspended ? 'SUSPENDED' : 'ACTIVE' } : {}),
  };
  return { kind: 'admin#directory#member', etag: etagOf(content), ...content };
}

function checkRole(role: string | undefined, absent: string): string {
  if (role === undefined) return absent;
  if (!ROLES.includes(role)) throw invalidInput('role');
  return role;
}

function checkDelivery(setting: string | undefined, absent: string): string {
  if (setting === undefined) return absent;
  if (!DELIVERY.includes(setting)) throw invalidInput('delivery_settings');
  return setting;
}
