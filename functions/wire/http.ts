/**
 * The edge between the functions framework and our handlers. A handler gets one plain value and answers one plain
 * value; it never sees Express, and nothing it throws leaves the process as a stack trace.
 *
 * The framework parses JSON before our code runs and, for a malformed body, answers HTML and logs the whole body,
 * tokens included (docs/surprises.md). So `prepareFramework` hides the content type from it and we parse here.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpFunction, Request, Response } from '@google-cloud/functions-framework';
import { invalidInput, isSealwrightError, type SealwrightError } from '../../shared/errors.ts';
import type { Log } from '../../shared/ports/log.ts';
import { runRequestsWithoutDomains } from './request-scope.ts';

export interface HttpCall {
  readonly method: string;
  /** Path below the function's root as it was sent, percent-encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A `Uint8Array` is sent as it is; anything else as JSON; undefined sends no body. */
  readonly body?: unknown;
}

/** One that has its answer at once may give it without a promise. */
export type HttpHandler = (call: HttpCall) => Promise<HttpAnswer> | HttpAnswer;

const contentTypesHiddenFromFramework = new WeakMap<IncomingMessage, string>();
/** Express answers a target with a broken percent escape itself: HTML, and outside production a stack trace. */
const targetsHiddenFromExpress = new WeakMap<IncomingMessage, string>();
let receivingRaw = false;

/**
 * Once per process, before the first request: bodies reach our handlers as bytes, whatever their content type, and
 * paths as they were sent, whatever their escapes; and no request is run in a Domain.
 */
export function prepareFramework(): void {
  runRequestsWithoutDomains();
  if (receivingRaw) return;
  receivingRaw = true;
  subscribe('http.server.request.start', (message) => {
    const { request, server } = message as { request: IncomingMessage; server: Server };
    if (!isOfExpress(server)) return;
    if (request.url !== undefined && !isDecodable(request.url)) {
      targetsHiddenFromExpress.set(request, request.url);
      request.url = '/';
    }
    const contentType = request.headers['content-type'];
    if (contentType === undefined) return;
    contentTypesHiddenFromFramework.set(request, contentType);
    request.headers['content-type'] = 'application/octet-stream';
  });
}

const expressServers = new WeakMap<Server, boolean>();

/** The framework's servers have an Express application for a listener; to any other in this process nothing is done. */
function isOfExpress(server: Server): boolean {
  const known = expressServers.get(server);
  if (known !== undefined) return known;
  const isOne = server.listeners('request').some((listener) => 'mountpath' in listener);
  expressServers.set(server, isOne);
  return isOne;
}

function isDecodable(target: string): boolean {
  if (!target.includes('%')) return true;
  const queryAt = target.indexOf('?');
  try {
    decodeURIComponent(queryAt < 0 ? target : target.slice(0, queryAt));
    return true;
  } catch {
    return false;
  }
}

export interface EdgeOptions {
  readonly name: string;
  readonly log: Log;
  /** Larger bodies are answered 413 before the handler runs. */
  readonly maxBodyBytes: number;
  /** The body of an error answer; Google's shape unless a protocol (KACLS) has its own. */
  readonly errorBody?: (failure: EdgeFailure) => unknown;
  /** Headers on every answer, errors included (CORS). */
  readonly commonHeaders?: (call: HttpCall) => Readonly<Record<string, string>>;
}

export interface EdgeFailure {
  readonly httpStatus: number;
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Wraps a handler for `http(name, …)` of the functions framework. */
export function asHttpFunction(handler: HttpHandler, options: EdgeOptions): HttpFunction {
  prepareFramework();
  return (request: Request, response: Response) => {
    const answer = answerAtEdge(toCall(request), handler, options);
    if (!(answer instanceof Promise)) return send(response, answer);
    return answer.then((late) => send(response, late));
  };
}

/**
 * The edge without a server around it: limits, the handler, and what becomes of its errors. Never throws or rejects; the
 * answer has the common headers in it, and is there at once where the handler's is.
 */
export function answerAtEdge(
  call: HttpCall,
  handler: HttpHandler,
  options: EdgeOptions,
): Promise<HttpAnswer> | HttpAnswer {
  const common = (answer: HttpAnswer): HttpAnswer =>
    options.commonHeaders === undefined
      ? answer
      : { ...answer, headers: { ...options.commonHeaders(call), ...answer.headers } };
  try {
    if (call.body.length > options.maxBodyBytes) {
      throw invalidInput(
        'request-too-large',
        `The request body has ${call.body.length} bytes; at most ${options.maxBodyBytes} are taken.`,
      );
    }
    const answer = handler(call);
    if (!(answer instanceof Promise)) return common(answer);
    return answer.catch((error: unknown) => failureAnswer(error, call, options)).then(common);
  } catch (error) {
    return common(failureAnswer(error, call, options));
  }
}

/** Logs what a handler, or the server around it, could not answer, and answers the caller. */
function failureAnswer(error: unknown, call: HttpCall, options: EdgeOptions): HttpAnswer {
  const failure = describeFailure(error);
  const severity = failure.httpStatus >= 500 ? 'error' : 'warning';
  options.log[severity]('request-failed', {
    function: options.name,
    method: call.method,
    path: call.path,
    status: failure.httpStatus,
    code: failure.code,
    message: failure.message,
    // A bug's own text goes to the log, where an engineer needs it, and never into an answer.
    ...(isSealwrightError(error)
      ? {}
      : { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  });
  return {
    status: failure.httpStatus,
    headers: retryAfterHeader(error),
    body: (options.errorBody ?? googleErrorBody)(failure),
  };
}

function toCall(request: Request): HttpCall {
  // Not parsed as a URL: a target such as `//host/path` would be one with another host, or none at all.
  const target = targetsHiddenFromExpress.get(request) ?? request.url;
  const raw = (request as Request & { rawBody?: Buffer }).rawBody;
  const { headers } = request;
  // The framework has read the body by now and looks at the content type no more.
  const original = contentTypesHiddenFromFramework.get(request);
  if (original !== undefined) headers['content-type'] = original;
  return new TargetedCall(
    target,
    request.method,
    headers,
    Buffer.isBuffer(raw) ? raw : Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  );
}

/** A call whose query is parsed when somebody asks for it: most functions never do, and parsing costs as much as an answer. */
class TargetedCall implements HttpCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly #query: string;
  #parsed: URLSearchParams | undefined;

  constructor(target: string, method: string, headers: IncomingHttpHeaders, body: Buffer) {
    const queryAt = target.indexOf('?');
    this.path = queryAt < 0 ? target : target.slice(0, queryAt);
    this.#query = queryAt < 0 ? '' : target.slice(queryAt + 1);
    this.method = method;
    this.headers = headers;
    this.body = body;
  }

  get query(): URLSearchParams {
    this.#parsed ??= new URLSearchParams(this.#query);
    return this.#parsed;
  }
}

/** Path and query of a request target, the path as it was sent. */
export function splitTarget(target: string): Pick<HttpCall, 'path' | 'query'> {
  const [path = '/', query = ''] = target.split(/\?(.*)/s, 2);
  return { path, query: new URLSearchParams(query) };
}

/** Writes an answer as it is. */
export function send(response: ServerResponse, { status, headers, body }: HttpAnswer): void {
  if (body === undefined || body instanceof Uint8Array) {
    // All headers at once, which node writes as they are; one by one it would check and keep each first.
    response.writeHead(status, headers).end(body);
    return;
  }
  const json = { 'content-type': 'application/json; charset=utf-8', ...headers };
  response.writeHead(status, json).end(JSON.stringify(body));
}

/** Parses a JSON object body; a body that is none is the caller's mistake and says where it goes wrong. */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw invalidInput('malformed-request', 'The request body is not JSON.', { cause: error });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidInput('malformed-request', 'The request body must be a JSON object.');
  }
  return value as Record<string, unknown>;
}

const HTTP_STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'request-too-large': 413,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'lint-failed': 422,
  'guard-refused': 409,
  'held-set-changed': 409,
  'held-set-decided': 409,
  'same-admin': 409,
};

export function httpStatusOf(error: SealwrightError): number {
  const byCode = HTTP_STATUS_OF_CODE[error.code];
  if (byCode !== undefined) return byCode;
  if (error.kind === 'invalid-input') return 400;
  return error.kind === 'permanent' ? 422 : 503;
}

function describeFailure(error: unknown): EdgeFailure {
  if (!isSealwrightError(error)) {
    return {
      httpStatus: 500,
      code: 'internal',
      message: 'Something went wrong here; the log of this function says what.',
    };
  }
  return {
    httpStatus: httpStatusOf(error),
    code: error.code,
    message: error.message,
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  409: 'ABORTED',
  413: 'INVALID_ARGUMENT',
  422: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

function googleErrorBody(failure: EdgeFailure): unknown {
  return {
    error: {
      code: failure.httpStatus,
      status: STATUS_NAMES[failure.httpStatus] ?? 'UNKNOWN',
      message: failure.message,
      details: [{ reason: failure.code, ...failure.details }],
    },
  };
}

function retryAfterHeader(error: unknown): Readonly<Record<string, string>> {
  if (!isSealwrightError(error) || error.retryAfterMs === undefined) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) };
}
