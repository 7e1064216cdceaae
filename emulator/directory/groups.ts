/** `groups.*`: https://developers.google.com/workspace/admin/directory/v1/guides/manage-groups */
import { createHash } from 'node:crypto';
import type { Caller } from '../core/access-tokens.ts';
import type { FaultSwitches } from '../core/faults.ts';
import { readMessage, type Shape } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import { domainOf, nonEditableAlias, parseAddress } from './addresses.ts';
import type { AuditEvent } from './audit.ts';
import type { Changes } from './changes.ts';
import type { GroupBook } from './group-book.ts';
import { choice, integerParameter } from './method.ts';
import { disturbedPage, type PageTokens } from './page-token.ts';
import type { GroupRecord } from './records.ts';
import { badRequest, domainNotFound, duplicate, invalidInput, resourceNotFound } from './refusals.ts';
import { requireScope } from './scope.ts';
import type { Tenant } from './tenant.ts';
import { etagOf } from './user-fields.ts';

const GROUP = {
  adminCreated: 'bool',
  aliases: { repeated: 'string' },
  description: 'string',
  directMembersCount: 'int64',
  email: 'string',
  etag: 'string',
  id: 'string',
  kind: 'string',
  name: 'string',
  nonEditableAliases: { repeated: 'string' },
} as const satisfies Shape;

export const GROUP_SELECTABLE = {
  adminCreated: 'leaf',
  aliases: 'leaf',
  description: 'leaf',
  directMembersCount: 'leaf',
  email: 'leaf',
  etag: 'leaf',
  id: 'leaf',
  kind: 'leaf',
  name: 'leaf',
  nonEditableAliases: 'leaf',
} as const;

const MAX_DESCRIPTION = 4096;

export interface GroupParts {
  readonly tenant: Tenant;
  readonly book: GroupBook;
  readonly changes: Changes;
  readonly tokens: PageTokens;
  readonly faults: FaultSwitches;
}

export class Groups {
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** Of the customer, of one domain, or those a user is directly in. */
  list(call: Call): unknown {
    const { tenant, book, tokens, faults } = this.#parts;
    choice(call, 'orderBy', ['email']);
    const descending = choice(call, 'sortOrder', ['ASCENDING', 'DESCENDING']) === 'DESCENDING';
    const maxResults = integerParameter(call, 'maxResults', { min: 1, max: 200, absent: 200 });
    const userKey = call.query.get('userKey');
    const customer = call.query.get('customer');
    const query = call.query.get('query') ?? '';
    if (userKey !== null && customer !== null) throw badRequest();
    const domain = userKey === null ? requireScope(call, tenant) : call.query.get('domain')?.toLowerCase();
    const member = userKey === null ? undefined : tenant.userByKey(userKey);
    if (userKey !== null && member === undefined) throw resourceNotFound('userKey');
    const test = query.trim() === '' ? () => true : this.#test(query);
    const found = (member === undefined ? book.all() : book.groupsOf(member.id))
      .filter((group) => (domain === undefined || domainOf(group.email) === domain) && test(group))
      .toSorted((a, b) => (a.email < b.email ? -1 : 1) * (descending ? -1 : 1));
    const question = digestOf(['groups', domain, member?.id, descending, query]);
    const token = call.query.get('pageToken') ?? '';
    const after = token === '' ? undefined : tokens.read(token, question, tenant.nowMs)[0];
    const start =
      after === undefined ? 0 : found.findIndex(({ email }) => (descending ? email < after : email > after));
    const rest = start === -1 ? [] : found.slice(start);
    const { entries, nextPageToken } = disturbedPage(rest, maxResults, faults, ({ email }) =>
      tokens.issue([email], question, tenant.nowMs),
    );
    const groups = entries.map((group) => this.#resource(group));
    return {
      kind: 'admin#directory#groups',
      etag: etagOf(groups),
      ...(groups.length === 0 ? {} : { groups }),
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    };
  }

  get(call: Call): unknown {
    return this.#resource(this.#find(call));
  }

  insert(call: Call, caller: Caller): unknown {
    const { tenant, book, changes } = this.#parts;
    const body = readMessage(call, GROUP);
    const email = this.#freeAddress(body.email, undefined);
    const group: GroupRecord = {
      id: book.newId(),
      email,
      aliases: [],
      name: body.name?.trim() || email.slice(0, email.indexOf('@')),
      description: checkDescription(body.description ?? ''),
      adminCreated: true,
      members: {},
    };
    tenant.data.groups[group.id] = group;
    tenant.changed();
    changes.group(caller, groupEvent('CREATE_GROUP', email));
    return this.#resource(group);
  }

  /** PUT and PATCH alike: what is absent stays. After a change of address the old one is an alias. */
  update(call: Call, caller: Caller): unknown {
    const { tenant, changes } = this.#parts;
    const group = this.#find(call);
    const body = readMessage(call, GROUP);
    const before = group.email;
    const email = body.email === undefined ? before : this.#freeAddress(body.email, group);
    const name = body.name?.trim() || group.name;
    const description =
      body.description === undefined ? group.description : checkDescription(body.description);
    const events = [
      ...(email === before ? [] : [groupEvent('CHANGE_GROUP_EMAIL', before, { NEW_VALUE: email })]),
      ...(name === group.name ? [] : [groupEvent('CHANGE_GROUP_NAME', before, { NEW_VALUE: name })]),
      ...(description === group.description ? [] : [groupEvent('CHANGE_GROUP_DESCRIPTION', before)]),
    ];
    const aliases = [...group.aliases, before].filter((address) => address !== email);
    Object.assign(group, { email, name, description, aliases: [...new Set(aliases)] });
    tenant.changed();
    if (events.length > 0) changes.group(caller, ...events);
    return this.#resource(group);
  }

  delete(call: Call, caller: Caller): undefined {
    const { tenant, book, changes } = this.#parts;
    const group = this.#find(call);
    book.forget(group);
    tenant.changed();
    changes.group(caller, groupEvent('DELETE_GROUP', group.email));
    return undefined;
  }

  #find(call: Call): GroupRecord {
    const group = this.#parts.book.byKey(call.params['groupKey'] ?? '');
    if (group === undefined) throw resourceNotFound('groupKey');
    return group;
  }

  #freeAddress(value: string | undefined, own: GroupRecord | undefined): string {
    const { tenant } = this.#parts;
    const email = parseAddress(value);
    if (email === undefined) throw invalidInput('email');
    if (!tenant.domains.includes(domainOf(email))) throw domainNotFound();
    const holder = tenant.groupByAddress(email);
    if (tenant.userByAddress(email) !== undefined || (holder !== undefined && holder.id !== own?.id)) {
      throw duplicate();
    }
    return email;
  }

  /** `email=`, `name=` and `memberKey=`, with `:` and a star at the end for a prefix; several are ANDed. */
  #test(query: string): (group: GroupRecord) => boolean {
    const { tenant, book } = this.#parts;
    const clauses = [...query.matchAll(/(\w+)([=:])(?:'((?:[^'\\]|\\.)*)'|(\S+))(?:\s+|$)/gy)];
    if (clauses.map(([text]) => text).join('') !== query.trimStart()) throw invalidInput('query');
    const tests = clauses.map(([, field = '', operator, quoted, bare]) => {
      const wanted = (quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '').toLowerCase();
      if (field === 'memberKey' && operator === '=') {
        const id = tenant.userByKey(wanted)?.id ?? book.byKey(wanted)?.id;
        return (group: GroupRecord) => id !== undefined && Object.hasOwn(group.members, id);
      }
      if (field !== 'email' && field !== 'name') throw invalidInput('query');
      const value = (group: GroupRecord) => group[field].toLowerCase();
      if (operator === '=') return (group: GroupRecord) => value(group) === wanted;
      if (!wanted.endsWith('*')) throw invalidInput('query');
      return (group: GroupRecord) => value(group).startsWith(wanted.slice(0, -1));
    });
    return (group) => tests.every((test) => test(group));
  }

  #resource(group: GroupRecord): unknown {
    const people = this.#parts.book.members(group).filter(({ type }) => type !== 'GROUP');
    const content = {
      id: group.id,
      email: group.email,
      name: group.name,
      description: group.description,
      directMembersCount: String(people.length),
      adminCreated: group.adminCreated,
      ...(group.aliases.length === 0 ? {} : { aliases: [...group.aliases] }),
      nonEditableAliases: [group.email, ...group.aliases].map(nonEditableAlias),
    };
    return { kind: 'admin#directory#group', etag: etagOf(content), ...content };
  }
}

/** Page tokens are good for one question only. */
export const digestOf = (question: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(question)).digest('base64url');

function checkDescription(text: string): string {
  if (text.length > MAX_DESCRIPTION) throw invalidInput('description');
  return text;
}

const groupEvent = (
  name: string,
  email: string,
  parameters: Readonly<Record<string, string>> = {},
): AuditEvent => ({ type: 'GROUP_SETTINGS', name, parameters: { GROUP_EMAIL: email, ...parameters } });
