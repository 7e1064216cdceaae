/** `users.list`: pages over the whole customer or one domain, living users or recently deleted ones. */
import { createHash } from 'node:crypto';
import type { FaultSwitches } from '../core/faults.ts';
import type { Call } from '../core/route.ts';
import { domainOf } from './addresses.ts';
import type { LaggingReads } from './lagging-reads.ts';
import { booleanParameter, choice, integerParameter, optionalChoice } from './method.ts';
import { disturbedPage, type PageTokens } from './page-token.ts';
import { parseUserQuery } from './query.ts';
import type { UserRecord } from './records.ts';
import { requireScope } from './scope.ts';
import { compareKeys, type Order, sortKey, type Tenant } from './tenant.ts';
import { etagOf, userResource } from './user-fields.ts';
import { checkProjection } from './users.ts';

interface Entry {
  readonly key: readonly [string, string];
  readonly shown: unknown;
}

export class UserList {
  readonly #tenant: Tenant;
  readonly #reads: LaggingReads;
  readonly #tokens: PageTokens;
  readonly #faults: FaultSwitches;

  constructor(tenant: Tenant, reads: LaggingReads, tokens: PageTokens, faults: FaultSwitches) {
    this.#tenant = tenant;
    this.#reads = reads;
    this.#tokens = tokens;
    this.#faults = faults;
  }

  list(call: Call): unknown {
    checkProjection(call);
    optionalChoice(call, 'event', ['add', 'delete', 'makeAdmin', 'undelete', 'update']);
    const tenant = this.#tenant;
    const domain = requireScope(call, tenant);
    const adminView = choice(call, 'viewType', ['admin_view', 'domain_public']) === 'admin_view';
    const order: Order = choice(call, 'orderBy', ['email', 'familyName', 'givenName']);
    const direction = choice(call, 'sortOrder', ['ASCENDING', 'DESCENDING']) === 'ASCENDING' ? 1 : -1;
    const showDeleted = booleanParameter(call, 'showDeleted');
    const maxResults = integerParameter(call, 'maxResults', { min: 1, max: 500, absent: 100 });
    const query = call.query.get('query') ?? '';
    const test = query.trim() === '' ? undefined : parseUserQuery(query, tenant, adminView);
    const wanted = (user: UserRecord) =>
      (domain === undefined || domainOf(user.primaryEmail) === domain) &&
      (adminView || user.includeInGlobalAddressList) &&
      (test === undefined || test(user));

    const question = createHash('sha256')
      .update(JSON.stringify([domain, adminView, order, direction, showDeleted, query]))
      .digest('base64url');
    const token = call.query.get('pageToken');
    const after =
      token === null || token === '' ? undefined : this.#tokens.read(token, question, tenant.nowMs);

    const found = showDeleted
      ? this.#deleted(wanted, order, direction, after)
      : this.#living(wanted, order, direction, after, maxResults + 1, adminView);
    const { entries, nextPageToken } = disturbedPage(found, maxResults, this.#faults, ({ key }) =>
      this.#tokens.issue(key, question, tenant.nowMs),
    );
    const users = entries.map((entry) => entry.shown);
    return {
      kind: 'admin#directory#users',
      etag: etagOf(users),
      ...(users.length === 0 ? {} : { users }),
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    };
  }

  #living(
    wanted: (user: UserRecord) => boolean,
    order: Order,
    direction: 1 | -1,
    after: readonly string[] | undefined,
    limit: number,
    adminView: boolean,
  ): readonly Entry[] {
    const ascending = this.#reads.users(order);
    const people = direction === 1 ? ascending : ascending.toReversed();
    const start = after === undefined ? 0 : firstAfter(people, after, order, direction);
    const found: Entry[] = [];
    for (let index = start; index < people.length && found.length < limit; index += 1) {
      const user = people[index];
      if (user === undefined || !wanted(user)) continue;
      const shown = userResource(user, this.#tenant, adminView ? 'admin' : 'public');
      found.push({ key: sortKey(user, order), shown });
    }
    return found;
  }

  /** Only id, address and time of deletion are told of a deleted user. */
  #deleted(
    wanted: (user: UserRecord) => boolean,
    order: Order,
    direction: 1 | -1,
    after: readonly string[] | undefined,
  ): readonly Entry[] {
    return this.#reads
      .deletedUsers()
      .filter((record) => wanted(record.user))
      .map(({ user, deletedAtMs }) => ({
        key: sortKey(user, order),
        shown: {
          id: user.id,
          primaryEmail: user.primaryEmail,
          deletionTime: new Date(deletedAtMs).toISOString(),
        },
      }))
      .filter((entry) => after === undefined || compareKeys(entry.key, after) * direction > 0)
      .toSorted((a, b) => compareKeys(a.key, b.key) * direction);
  }
}

/** Index of the first user behind the key, by halving. */
function firstAfter(
  people: readonly UserRecord[],
  after: readonly string[],
  order: Order,
  direction: 1 | -1,
): number {
  let low = 0;
  let high = people.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const user = people[middle];
    if (user !== undefined && compareKeys(sortKey(user, order), after) * direction <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
