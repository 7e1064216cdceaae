/**
 * One failed call to Google, the same whichever client made it. googleapis, google-gax (REST and gRPC) and the
 * Cloud Storage client each throw errors of their own shape, which moreover carry requests, headers and bodies:
 * tokens and wrapped keys. So nothing of theirs is kept here but status, reasons, text and the wish to wait, and
 * the vendor's error is never attached as a cause.
 */

/** Did the request get there? `never`: certainly not. `maybe`: it may have had its effect. `answered`: it was refused or failed. */
export type Reached = 'never' | 'maybe' | 'answered';

export interface GoogleCallFailure {
  /** Google's method id, such as `gmail.users.settings.cse.keypairs.create`, or `oauth2.token`, `metadata.token`. */
  readonly method: string;
  readonly reached: Reached;
  /** HTTP status; a gRPC code is translated to the status Google's REST would have sent. */
  readonly httpStatus?: number;
  /** Canonical status, such as `FAILED_PRECONDITION`. */
  readonly status?: string;
  /** `errors[].reason`, `ErrorInfo.reason` and, from the token endpoint, the OAuth error code. */
  readonly reasons: readonly string[];
  /** Google's own text, shortened, without anything that looks like a token or a certificate. */
  readonly text: string;
  readonly retryAfterMs?: number;
  /** What an admin does about it, where the caller knows. */
  readonly advice?: string;
}

export class GoogleCallError extends Error {
  override readonly name = 'GoogleCallError';
  readonly failure: GoogleCallFailure;

  constructor(failure: GoogleCallFailure) {
    super(describe(failure));
    this.failure = failure;
  }
}

function describe(failure: GoogleCallFailure): string {
  const what = failure.reasons[0] ?? failure.status;
  const answer =
    failure.httpStatus === undefined
      ? failure.reached === 'answered'
        ? 'failed'
        : 'gave no answer'
      : `answered ${failure.httpStatus}${what === undefined ? '' : ` ${what}`}`;
  return `${failure.method} ${answer}${failure.text === '' ? '' : `: ${failure.text}`}`;
}

/** True for failures of getting a token, as against failures of the call the token was for. */
export const isCredentialFailure = (failure: GoogleCallFailure): boolean =>
  /^(metadata|oauth2|iamcredentials)\./.test(failure.method);

/**
 * Reads what a Google client threw. Undefined when it is no failed call at all (a bug in our code, a missing
 * parameter): the caller throws that on as it is. `now` is for a wait that is told as a date.
 */
export function readFailure(method: string, thrown: unknown, now: Date): GoogleCallFailure | undefined {
  if (!isRecord(thrown)) return undefined;
  const response = isRecord(thrown['response']) ? thrown['response'] : undefined;
  const rpc = rpcCode(thrown);
  const httpStatus =
    numberOf(response?.['status']) ??
    numberOf(response?.['statusCode']) ??
    (rpc === undefined ? undefined : RPC[rpc]?.http) ??
    httpCode(thrown['code']);
  const neverArrived = NEVER_SENT.has(networkCode(thrown) ?? '');
  const gotNoAnswer =
    neverArrived ||
    networkCode(thrown) !== undefined ||
    // gaxios wraps whatever fetch threw and always says which request it was.
    (response === undefined && rpc === undefined && isRecord(thrown['config']));
  if (gotNoAnswer && response === undefined) {
    return {
      method,
      reached: neverArrived ? 'never' : 'maybe',
      reasons: present(networkCode(thrown)),
      text: cleanText(textOf(thrown['message'])),
    };
  }
  if (httpStatus === undefined) return undefined;
  const body = errorBody(response);
  const reasons = [
    ...reasonsOf(body['errors']),
    ...reasonsOf(thrown['errors']),
    ...detailReasons(body['details']),
  ]
    .concat(present(thrown['reason']), present(body['oauthError']))
    .filter((reason, index, all) => all.indexOf(reason) === index);
  const status = present(body['status'])[0] ?? (rpc === undefined ? undefined : RPC[rpc]?.status);
  const text = textOf(body['message']) || textOf(thrown['details']) || textOf(thrown['message']);
  const retryAfterMs =
    retryAfter(headerOf(response?.['headers'], 'retry-after'), now) ??
    retryInfo(body['details']) ??
    retryInfo(thrown['statusDetails']) ??
    retryAfterInstant(text, now);
  return {
    method,
    reached: 'answered',
    httpStatus,
    ...(status === undefined ? {} : { status }),
    reasons,
    text: cleanText(text),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/**
 * `Retry-After` (RFC 9110 §10.2.3) in milliseconds: whole seconds, or the distance from `now` to an HTTP date,
 * never negative. Undefined when there is none or it is neither.
 */
export function retryAfter(value: string | undefined, now: Date): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse takes many things; an HTTP date always begins with the name of a day.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime());
}

/** The longest that a text is believed: Google counts nothing over more than a day. */
const LONGEST_TOLD_MS = 24 * 60 * 60 * 1000;

/**
 * Gmail says in words alone when a mailbox may be asked again ("User-rate limit exceeded.  Retry after 2023-03-07T18:18:23.688Z").
 * Undefined when the text names no instant, or one that has passed.
 */
function retryAfterInstant(text: string, now: Date): number | undefined {
  const instant = /\bretry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/i.exec(text)?.[1];
  const waitMs = instant === undefined ? Number.NaN : Date.parse(instant) - now.getTime();
  return waitMs > 0 ? Math.min(waitMs, LONGEST_TOLD_MS) : undefined;
}

/** One line, at most 400 characters, with addresses of requests, certificates, tokens and long runs of base64 taken out. */
export function cleanText(text: string): string {
  const cleaned = text
    .replace(/\brequest to \S+ failed, reason: /g, '')
    .replace(/-----BEGIN [^-]+-----[\s\S]*?(?:-----END [^-]+-----|$)/g, '(PEM)')
    .replace(/\bey[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, '(token)')
    .replace(/\bya29\.[\w.-]+/g, '(token)')
    .replace(/[A-Za-z0-9+/_=-]{100,}/g, '(data)')
    .replace(/\s+/g, ' ')
    .trim();
  return cleaned.length > 400 ? `${cleaned.slice(0, 399)}…` : cleaned;
}

/** gRPC codes and what Google's REST says for them. https://google.aip.dev/193 , google/rpc/code.proto */
const RPC: Readonly<Record<number, { readonly status: string; readonly http: number }>> = {
  1: { status: 'CANCELLED', http: 499 },
  2: { status: 'UNKNOWN', http: 500 },
  3: { status: 'INVALID_ARGUMENT', http: 400 },
  4: { status: 'DEADLINE_EXCEEDED', http: 504 },
  5: { status: 'NOT_FOUND', http: 404 },
  6: { status: 'ALREADY_EXISTS', http: 409 },
  7: { status: 'PERMISSION_DENIED', http: 403 },
  8: { status: 'RESOURCE_EXHAUSTED', http: 429 },
  9: { status: 'FAILED_PRECONDITION', http: 400 },
  10: { status: 'ABORTED', http: 409 },
  11: { status: 'OUT_OF_RANGE', http: 400 },
  12: { status: 'UNIMPLEMENTED', http: 501 },
  13: { status: 'INTERNAL', http: 500 },
  14: { status: 'UNAVAILABLE', http: 503 },
  15: { status: 'DATA_LOSS', http: 500 },
  16: { status: 'UNAUTHENTICATED', http: 401 },
};

/** The connection was never made, so nothing was sent. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Ways of losing a connection or an answer. Other codes (`ERR_INVALID_ARG_TYPE`) are bugs and stay what they are. */
const NETWORK_CODES = new Set([
  ...NEVER_SENT,
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ENETDOWN',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_SOCKET_CLOSED',
  'TimeoutError',
  'AbortError',
]);

const rpcCode = (thrown: Readonly<Record<string, unknown>>): number | undefined => {
  const code = numberOf(thrown['code']);
  return code !== undefined && code in RPC ? code : undefined;
};

const httpCode = (code: unknown): number | undefined => {
  const number = typeof code === 'string' && /^\d{3}$/.test(code) ? Number(code) : numberOf(code);
  return number !== undefined && number >= 400 && number < 600 ? number : undefined;
};

/** `ECONNRESET`, `TimeoutError`, …: of the error itself, or of the one that google-gax and fetch wrapped. */
function networkCode(thrown: Readonly<Record<string, unknown>>): string | undefined {
  const seen: unknown[] = [];
  let error: unknown = thrown;
  while (isRecord(error) && !seen.includes(error)) {
    seen.push(error);
    for (const code of [error['code'], error['name']]) {
      if (typeof code === 'string' && NETWORK_CODES.has(code)) return code;
    }
    error = error['cause'];
  }
  return undefined;
}

/** The members of Google's error object, or of an OAuth error, wherever the client put the answer's body. */
function errorBody(
  response: Readonly<Record<string, unknown>> | undefined,
): Readonly<Record<string, unknown>> {
  const body = parsed(response?.['data']) ?? parsed(response?.['body']);
  if (body === undefined) return {};
  const error = body['error'];
  if (isRecord(error)) return error;
  if (typeof error === 'string')
    return { oauthError: error, message: textOf(body['error_description']) || error };
  return {};
}

function parsed(value: unknown): Readonly<Record<string, unknown>> | undefined {
  // A failure has the form in which its answer was asked for.
  const body = value instanceof ArrayBuffer ? Buffer.from(value).toString('utf8') : value;
  if (isRecord(body) && !ArrayBuffer.isView(body)) return body;
  if (typeof body !== 'string') return undefined;
  try {
    const json: unknown = JSON.parse(body);
    return isRecord(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

const reasonsOf = (errors: unknown): readonly string[] =>
  Array.isArray(errors) ? errors.flatMap((entry) => (isRecord(entry) ? present(entry['reason']) : [])) : [];

const detailReasons = (details: unknown): readonly string[] => reasonsOf(details);

/** google.rpc.RetryInfo, as JSON (`"3.5s"`) or decoded (`{seconds, nanos}`). */
function retryInfo(details: unknown): number | undefined {
  if (!Array.isArray(details)) return undefined;
  for (const detail of details) {
    const delay: unknown = isRecord(detail) ? detail['retryDelay'] : undefined;
    if (typeof delay === 'string' && /^\d+(\.\d+)?s$/.test(delay))
      return Math.ceil(Number.parseFloat(delay) * 1000);
    if (isRecord(delay)) {
      const milliseconds = Number(delay['seconds'] ?? 0) * 1000 + Number(delay['nanos'] ?? 0) / 1e6;
      if (Number.isFinite(milliseconds)) return Math.ceil(milliseconds);
    }
  }
  return undefined;
}

function headerOf(headers: unknown, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  if (!isRecord(headers)) return undefined;
  if (typeof headers['get'] === 'function') {
    const value: unknown = headers['get'](name);
    return typeof value === 'string' ? value : undefined;
  }
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object';

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const present = (value: unknown): readonly string[] =>
  typeof value === 'string' && value !== '' ? [value] : [];
