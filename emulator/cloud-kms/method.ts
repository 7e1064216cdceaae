import { invalidArgument } from '../core/google-error.ts';
import { checkQuery } from '../core/message.ts';
import { type Call, ok, type Route } from '../core/route.ts';

const SCOPES = [
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/cloudkms',
] as const;

export const LOCATION = '/v1/projects/:project/locations/:location';
export const RING = `${LOCATION}/keyRings/:ring`;
export const KEY = `${RING}/cryptoKeys/:key`;
export const VERSION = `${KEY}/cryptoKeyVersions/:version`;

/** One method of `projects.locations.keyRings…`. */
export function method(
  id: string,
  verb: Route['verb'],
  path: string,
  handle: (call: Call) => unknown | Promise<unknown>,
  query: readonly string[] = [],
): Route {
  return {
    id: `cloudkms.projects.locations.keyRings.${id}`,
    verb,
    path,
    scopes: SCOPES,
    handle: async (call) => {
      checkQuery(call, query);
      return ok(await handle(call));
    },
  };
}

export const PAGING = ['pageSize', 'pageToken'] as const;

/** One page of a list under the field's name, 100 at a time unless told. */
export function pageOf<T>(call: Call, field: string, entries: readonly T[]): Record<string, unknown> {
  const sizeText = call.query.get('pageSize') ?? '0';
  if (!/^\d{1,9}$/.test(sizeText)) throw invalidArgument('The page size must be a number, not negative.');
  const size = Number(sizeText) === 0 ? 100 : Math.min(Number(sizeText), 1000);
  const token = call.query.get('pageToken') ?? '';
  const start =
    token === '' ? '0' : /^after (\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString())?.[1];
  if (start === undefined) throw invalidArgument('The page token is not one this list gave out.');
  const end = Number(start) + size;
  return {
    ...(entries.length === 0 ? {} : { [field]: entries.slice(Number(start), end) }),
    ...(end < entries.length ? { nextPageToken: Buffer.from(`after ${end}`).toString('base64url') } : {}),
    totalSize: entries.length,
  };
}

/** Throws 400 for an id that Google would not take. */
export function idFrom(call: Call, parameter: string): string {
  const id = call.query.get(parameter) ?? '';
  if (!/^[a-zA-Z0-9_-]{1,63}$/.test(id))
    throw invalidArgument(
      `The ${parameter} "${id}" must be 1 to 63 letters, digits, hyphens and underscores.`,
    );
  return id;
}
