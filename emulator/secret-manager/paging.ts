import { invalidArgument } from '../core/google-error.ts';
import type { Call } from '../core/route.ts';

const DEFAULT_PAGE_SIZE = 25;
const MAX_PAGE_SIZE = 25_000;

export interface Page<T> {
  readonly entries: readonly T[];
  readonly totalSize: number;
  readonly nextPageToken?: string;
}

/** One page as `pageSize` and `pageToken` ask; the token is opaque and goes with the same list only. */
export function page<T>(call: Call, entries: readonly T[]): Page<T> {
  const sizeText = call.query.get('pageSize') ?? '0';
  if (!/^\d{1,9}$/.test(sizeText)) throw invalidArgument('The page size must be a number, not negative.');
  const size = Number(sizeText) === 0 ? DEFAULT_PAGE_SIZE : Math.min(Number(sizeText), MAX_PAGE_SIZE);
  const start = startOf(call.query.get('pageToken') ?? '');
  const end = start + size;
  return {
    entries: entries.slice(start, end),
    totalSize: entries.length,
    ...(end < entries.length ? { nextPageToken: Buffer.from(`after ${end}`).toString('base64url') } : {}),
  };
}

function startOf(token: string): number {
  if (token === '') return 0;
  const start = /^after (\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString())?.[1];
  if (start === undefined) throw invalidArgument('The page token is not one this list gave out.');
  return Number(start);
}
