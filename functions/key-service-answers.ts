/**
 * What every answer of the key service has in common, also of one that could not be built: CORS headers, and errors of Google's
 * structured form. Apart from the key service itself, because the answer for a failed build must not need what failed.
 */
import { randomBytes } from 'node:crypto';
import type { RandomBytes } from '../shared/kacls/context.ts';
import type { NotStartedAnswer } from './built-once.ts';
import type { HttpCall } from './wire/http.ts';

/** Where Gmail's code runs. https://developers.google.com/workspace/cse/guides/configure-service */
const GMAIL_ORIGIN = 'https://client-side-encryption.google.com';
/** Where the Admin console's connection test runs. */
const ADMIN_CONSOLE_ORIGIN = 'https://admin.google.com';
/** Browsers cap it at two hours or a day; every preflight saved is a round trip less for the user. */
const PREFLIGHT_MAX_AGE_SECONDS = 86_400;
/** How soon a caller may try again to whom nothing could be said. */
const NOT_STARTED_RETRY_SECONDS = 5;

/** https://developers.google.com/workspace/cse/reference/structured-errors */
export const errorBody = (status: number, message: string, correlationId: string) => ({
  code: status,
  message,
  details: correlationId,
});

export const newCorrelationId = (random: RandomBytes): string => Buffer.from(random(16)).toString('hex');

/** `operation` is what stands below the base address; undefined outside it. */
export function commonHeaders(
  call: Pick<HttpCall, 'method' | 'headers'>,
  operation: string | undefined,
): Readonly<Record<string, string>> {
  const origin = call.headers.origin;
  const allowed =
    origin === GMAIL_ORIGIN || (origin === ADMIN_CONSOLE_ORIGIN && operation === 'status')
      ? origin
      : undefined;
  return {
    vary: 'Origin',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(allowed === undefined ? {} : { 'access-control-allow-origin': allowed }),
    ...(allowed === undefined || call.method !== 'OPTIONS'
      ? {}
      : {
          'access-control-allow-methods': 'GET, POST, OPTIONS',
          'access-control-allow-headers': 'Content-Type',
          'access-control-max-age': String(PREFLIGHT_MAX_AGE_SECONDS),
        }),
  };
}

/**
 * For a key service that cannot be built. Preflights are answered as ever, since without them the browser never gets to see
 * the error. The base address may be what is wrong, so the operation is the last part of the path.
 */
export const keyServiceNotStarted: NotStartedAnswer = (call) => {
  const headers = commonHeaders(call, call.path.slice(call.path.lastIndexOf('/') + 1));
  if (call.method === 'OPTIONS') return { answer: { status: 204, headers } };
  const correlationId = newCorrelationId(randomBytes);
  const message = 'The key service cannot do this now; its log says why, under the id in details.';
  return {
    answer: {
      status: 503,
      headers: { ...headers, 'retry-after': String(NOT_STARTED_RETRY_SECONDS) },
      body: errorBody(503, message, correlationId),
    },
    correlationId,
  };
};
