import { invalidInput } from '../../shared/errors.ts';

const DEFAULT_PAGE = 500;
const MAX_PAGE = 5_000;

/** `limit` of a listing's query; 500 when there is none. Throws `malformed-request`. */
export function pageSize(query: URLSearchParams): number {
  const text = query.get('limit');
  if (text === null) return DEFAULT_PAGE;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_PAGE) {
    throw invalidInput('malformed-request', `"limit" must be a whole number from 1 to ${MAX_PAGE}.`);
  }
  return limit;
}
