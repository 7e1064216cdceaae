/**
 * One JSON call to a Google REST API that needs no client of its own: the same HTTP library, errors and time limits as
 * Google's clients use, without their weight at a cold start.
 */
import { PassThroughClient } from 'google-auth-library';
import { withToken } from './rest-options.ts';
import type { RetrySettings } from './retry.ts';

export interface RestRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly body?: Readonly<Record<string, unknown>>;
}

const anonymous = new PassThroughClient();

/** Answers the JSON object, or an empty one for an answer that is none: its fields are then missed one by one. */
export async function restCall(
  request: RestRequest,
  accessToken: string,
  retry: RetrySettings,
): Promise<Readonly<Record<string, unknown>>> {
  const { data } = await anonymous.request<unknown>({
    url: request.url,
    method: request.method,
    ...(request.body === undefined ? {} : { data: request.body }),
    ...withToken(accessToken, retry),
  });
  return data !== null && typeof data === 'object' ? (data as Record<string, unknown>) : {};
}
