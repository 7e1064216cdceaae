import { invalidArgument } from '../core/google-error.ts';
import type { Call } from '../core/route.ts';

const DEFAULT_PAGE_SIZE = 20;
const MAX_INT32 = 2_147_483_647;

interface Listed {
  readonly sequence: number;
}

/** A list of one account; a page token of one list is refused by every other. */
export interface ListScope {
  readonly kind: 'keypairs' | 'identities';
  readonly accountId: string;
}

/**
 * The page of `entries` that `pageSize` (20 unless given; Google names no maximum) and `pageToken` ask for, and the
 * token of the next one. Entries come in the order of their sequence numbers. Throws 400 for a token made elsewhere.
 */
export function pageOf<T extends Listed>(
  call: Call,
  entries: readonly T[],
  scope: ListScope,
): { readonly page: readonly T[]; readonly nextPageToken?: string } {
  const size = pageSize(call.query.get('pageSize'));
  const after = sequenceIn(call.query.get('pageToken'), scope);
  const rest = entries.filter((entry) => entry.sequence > after);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  if (last === undefined || rest.length <= size) return { page };
  return { page, nextPageToken: tokenAfter(last.sequence, scope) };
}

function pageSize(text: string | null): number {
  if (text === null || text === '0') return DEFAULT_PAGE_SIZE;
  if (!/^-?\d{1,10}$/.test(text) || Math.abs(Number(text)) > MAX_INT32) {
    throw invalidArgument("Invalid value at 'pageSize' (TYPE_INT32): it is no whole number of 32 bits.");
  }
  if (Number(text) < 0) throw invalidArgument('Invalid pageSize: it must not be negative.');
  return Number(text);
}

const tokenAfter = (sequence: number, scope: ListScope): string =>
  Buffer.from(JSON.stringify([scope.kind, scope.accountId, sequence])).toString('base64url');

function sequenceIn(token: string | null, scope: ListScope): number {
  if (token === null || token === '') return 0;
  const text = Buffer.from(token, 'base64url').toString('utf8');
  const match = /^\["([^"]*)","([^"]*)",(\d{1,15})\]$/.exec(text);
  if (match === null || match[1] !== scope.kind || match[2] !== scope.accountId) {
    throw invalidArgument('Invalid pageToken: it was not made for this list.');
  }
  return Number(match[3]);
}
