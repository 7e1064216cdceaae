/**
 * One call to a Google REST API without a client of its own: for the few methods that every look makes, of which the general client
 * costs more than the request, and for APIs whose client is heavy at a cold start.
 */
import { leanFetch } from './lean-fetch.ts';
import type { RetrySettings } from './retry.ts';

export interface RestRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Undefined values are left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON, or as a form. */
  readonly body?: Readonly<Record<string, unknown>> | URLSearchParams;
}

/** The token's header, where the request takes one. */
const authorization = (accessToken: string | undefined): Record<string, string> =>
  accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };

/**
 * Answers what the JSON says, whatever its content type; what is no JSON stays text, which is never taken for an empty list. Throws, for
 * `readFailure`, a refusal with status, headers and data, or the error of a connection.
 */
export async function restAnswer(
  { url, method, query = {}, body }: RestRequest,
  accessToken: string | undefined,
  retry: RetrySettings,
): Promise<unknown> {
  const isForm = body instanceof URLSearchParams;
  const response = await leanFetch(retry.attemptTimeoutMs)(withQuery(url, query), {
    method,
    headers: {
      accept: 'application/json',
      ...authorization(accessToken),
      ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
  const data = parsed(await response.text());
  if (response.ok) return data;
  throw new RestRefusal(response, data);
}

/** Answers the JSON object, or an empty one for an answer that is none: its fields are then missed one by one. */
export async function restCall(
  request: RestRequest,
  accessToken: string | undefined,
  retry: RetrySettings,
): Promise<Readonly<Record<string, unknown>>> {
  const data = await restAnswer(request, accessToken, retry);
  return data !== null && typeof data === 'object' ? (data as Record<string, unknown>) : {};
}

/** What `readFailure` reads; it says nothing of the request, which carries tokens. */
class RestRefusal extends Error {
  readonly response: { readonly status: number; readonly headers: Headers; readonly data: unknown };

  constructor({ status, headers }: Response, data: unknown) {
    super(`HTTP ${status}`);
    this.response = { status, headers, data };
  }
}

function withQuery(url: string, query: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? url : `${url}?${pairs.join('&')}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
