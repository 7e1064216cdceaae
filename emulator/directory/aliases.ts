/** `users.aliases.list`, `insert`, `delete`: the addresses of a user beside the primary one. */
import type { Caller } from '../core/access-tokens.ts';
import { GoogleError } from '../core/google-error.ts';
import { readMessage, type Shape } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import { domainOf, parseAddress } from './addresses.ts';
import type { Changes } from './changes.ts';
import type { LaggingReads } from './lagging-reads.ts';
import { optionalChoice } from './method.ts';
import type { UserRecord } from './records.ts';
import { domainNotFound, duplicate, invalidInput, resourceNotFound } from './refusals.ts';
import type { Tenant } from './tenant.ts';
import { etagOf } from './user-fields.ts';
import { userEvent } from './users.ts';

/** https://support.google.com/a/answer/33327 */
const MAX_ALIASES = 30;

const ALIAS = {
  alias: 'string',
  etag: 'string',
  id: 'string',
  kind: 'string',
  primaryEmail: 'string',
} as const satisfies Shape;

export const ALIAS_SELECTABLE = {
  alias: 'leaf',
  etag: 'leaf',
  id: 'leaf',
  kind: 'leaf',
  primaryEmail: 'leaf',
} as const;

export class Aliases {
  readonly #tenant: Tenant;
  readonly #changes: Changes;
  readonly #reads: LaggingReads;

  constructor(tenant: Tenant, changes: Changes, reads: LaggingReads) {
    this.#tenant = tenant;
    this.#changes = changes;
    this.#reads = reads;
  }

  list(call: Call): unknown {
    optionalChoice(call, 'event', ['add', 'delete']);
    const user = this.#user(call);
    const aliases = user.aliases.map((alias) => aliasResource(user, alias));
    return {
      kind: 'admin#directory#aliases',
      etag: etagOf(aliases),
      ...(aliases.length === 0 ? {} : { aliases }),
    };
  }

  insert(call: Call, caller: Caller): unknown {
    const user = this.#user(call);
    const alias = parseAddress(readMessage(call, ALIAS).alias);
    if (alias === undefined) throw invalidInput('alias');
    if (!this.#tenant.domains.includes(domainOf(alias))) throw domainNotFound();
    if (this.#tenant.userByAddress(alias) !== undefined || this.#tenant.groupByAddress(alias) !== undefined) {
      throw duplicate();
    }
    if (user.aliases.length >= MAX_ALIASES) {
      throw new GoogleError(412, 'limitExceeded', `A user can have ${MAX_ALIASES} aliases at most.`);
    }
    this.#reads.changing(user.id, { living: user });
    user.aliases.push(alias);
    this.#tenant.changed(user);
    this.#changes.alias(user, caller, userEvent('ADD_NICKNAME', user.primaryEmail, { USER_NICKNAME: alias }));
    const { kind, id, etag, primaryEmail } = aliasResource(user, alias);
    return { kind, id, etag, alias, primaryEmail };
  }

  delete(call: Call, caller: Caller): undefined {
    const user = this.#user(call);
    const alias = (call.params['alias'] ?? '').toLowerCase();
    if (!user.aliases.includes(alias)) throw invalidInput('resource');
    this.#reads.changing(user.id, { living: user });
    user.aliases = user.aliases.filter((entry) => entry !== alias);
    this.#tenant.changed(user);
    const event = userEvent('REMOVE_NICKNAME', user.primaryEmail, { USER_NICKNAME: alias });
    this.#changes.alias(user, caller, event);
    return undefined;
  }

  #user(call: Call): UserRecord {
    const user = this.#tenant.userByKey(call.params['userKey'] ?? '');
    if (user === undefined) throw resourceNotFound('userKey');
    return user;
  }
}

function aliasResource(user: UserRecord, alias: string) {
  return {
    kind: 'admin#directory#alias',
    id: user.id,
    etag: etagOf([user.id, alias, user.primaryEmail]),
    primaryEmail: user.primaryEmail,
    alias,
  };
}
