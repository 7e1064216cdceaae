import { admin } from 'googleapis/build/src/apis/admin/index.js';
import { type Bearer, callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { type GoogleEndpoints, restRoot } from '../google/endpoints.ts';
import { type Pace, unpaced } from '../google/pace.ts';
import { restAnswer } from '../google/rest.ts';
import { type RestCallOptions, withToken } from '../google/rest-options.ts';
import type { Repeatable, RetrySettings } from '../google/retry.ts';
import { directoryFailure } from './failure.ts';
import { incomplete } from './wire.ts';

export interface GoogleDirectoryOptions {
  readonly bearer: Bearer;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
  /** What all instances may ask together; no limit unless told. */
  readonly pace?: Pace;
}

const GOOGLE = 'https://admin.googleapis.com/';

export type DirectoryApi = ReturnType<typeof directoryCaller>;

/** Google's own client, and one way to call it. */
export function directoryCaller({ bearer, endpoints, retry, pace = unpaced }: GoogleDirectoryOptions) {
  const api = admin({ version: 'directory_v1', retry: false, ...restRoot(endpoints) });

  /** `whenRefused` gives the meaning of the statuses that are an answer; any other is a failure, and throws. */
  async function call<T>(
    request: { method: string; repeatable: Repeatable; doing: string },
    attempt: (callOptions: RestCallOptions, token: string) => Promise<{ data: T }>,
    whenRefused: { readonly [status: number]: () => T } = {},
  ): Promise<T> {
    try {
      const answer = await callGoogle({ ...request, retry, pace }, bearer, (token) =>
        attempt(withToken(token, retry), token),
      );
      return answer.data;
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const { method, httpStatus } = error.failure;
      const meaning =
        method === request.method && httpStatus !== undefined ? whenRefused[httpStatus] : undefined;
      if (meaning !== undefined) return meaning();
      throw directoryFailure(error, request.doing);
    }
  }

  /** Every page of a list, each checked to be one: a page that says it has a successor and holds nothing is an error. */
  async function* pages<Page extends { nextPageToken?: string | null }, T>(
    what: string,
    read: (page: { pageToken?: string }) => Promise<Page>,
    entries: (page: Page) => readonly T[] | null | undefined,
  ): AsyncGenerator<readonly T[]> {
    const asked = new Set<string>();
    let pageToken: string | undefined;
    do {
      const page = await read(pageToken === undefined ? {} : { pageToken });
      if (page === null || typeof page !== 'object') throw incomplete(`a page of ${what} is no JSON object`);
      pageToken = page.nextPageToken || undefined;
      const found = entries(page);
      if (!Array.isArray(found) && pageToken !== undefined)
        throw incomplete(`a page of ${what} that is not the last one holds no ${what}`);
      if (pageToken !== undefined && asked.has(pageToken))
        throw incomplete(`the pages of ${what} go round in a circle`);
      if (pageToken !== undefined) asked.add(pageToken);
      yield found ?? [];
    } while (pageToken !== undefined);
  }

  /** What every look asks goes without the client, whose work is several times the request's. The path is escaped already. */
  const rest = async <T>(path: string, query: Readonly<Record<string, string>>, token: string) => {
    const url = `${endpoints.rootUrl ?? GOOGLE}admin/directory/v1/${path}`;
    return { data: (await restAnswer({ method: 'GET', url, query }, token, retry)) as T };
  };

  return { api, call, pages, rest };
}
