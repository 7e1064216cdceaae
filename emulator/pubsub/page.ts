import { invalidArgument } from '../core/google-error.ts';
import type { Call } from '../core/route.ts';

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1000;

export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly nextPageToken?: string;
}

/**
 * One page by the query's `pageSize` and `pageToken`, ordered by name. A token names the last item before the page,
 * so that changes in between neither repeat nor skip the others. Throws 400 for a bad size or token.
 */
export function pageOf<T>(call: Call, all: readonly T[], nameOf: (item: T) => string): Page<T> {
  const size = pageSize(call.query.get('pageSize'));
  const after = tokenName(call.query.get('pageToken') ?? '');
  const rest = all
    .filter((item) => nameOf(item) > after)
    .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
  const items = rest.slice(0, size);
  const last = items.at(-1);
  return rest.length > items.length && last !== undefined
    ? { items, nextPageToken: Buffer.from(nameOf(last)).toString('base64url') }
    : { items };
}

function pageSize(text: string | null): number {
  if (text === null || text === '0' || text === '') return DEFAULT_SIZE;
  if (!/^\d{1,9}$/.test(text)) throw invalidArgument(`Invalid page size (page_size=${text}).`);
  return Math.min(Number(text), MAX_SIZE);
}

function tokenName(token: string): string {
  const name = Buffer.from(token, 'base64url').toString('utf8');
  if (token !== '' && !name.startsWith('projects/'))
    throw invalidArgument(`Invalid page token (page_token=${token}).`);
  return name;
}
