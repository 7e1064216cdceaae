/**
 * One HTTP server that answers Google's paths. For each request: find the route, let the faults have their way,
 * check the token, run the handler, answer in Google's shape, write one line into the call log.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AccessTokens, Caller } from './access-tokens.ts';
import type { CallLog } from './call-log.ts';
import type { EmulatorClock } from './clock.ts';
import type { CallFault, FaultSwitches } from './faults.ts';
import { GoogleError, invalidArgument, notFound } from './google-error.ts';
import type { Answer, Call, Route } from './route.ts';

export interface ServerParts {
  readonly clock: EmulatorClock;
  readonly tokens: AccessTokens;
  readonly faults: FaultSwitches;
  readonly calls: CallLog;
  readonly routes: readonly Route[];
  /** Larger request bodies are answered 413. Google's largest here is a Pub/Sub publish of 10 MB. */
  readonly maxBodyBytes?: number;
}

interface CompiledRoute {
  readonly route: Route;
  readonly pattern: URLPattern;
  /** What every path begins with that the pattern matches: most routes are ruled out by it, and a pattern costs microseconds. */
  readonly prefix: string;
}

interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Outcome {
  readonly answer: Answer;
  readonly caller: Caller | undefined;
  readonly reason?: string;
  readonly cut?: 'before' | 'after';
}

/** Addresses whose route is remembered: the same mailboxes and users are asked about again and again. */
const MOST_REMEMBERED = 10_000;
/** Longer than any client keeps an idle connection, so that none is closed under a request. */
export const KEEP_ALIVE_MS = 620_000;
const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;

export function createEmulatorServer(parts: ServerParts): Server {
  const compiled = parts.routes.map((route) => ({
    route,
    pattern: new URLPattern({ pathname: route.path }),
    prefix: literalPrefix(route.path),
  }));
  const find = remembered((verb: string, path: string) => findRoute(compiled, verb, path));
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    serve(parts, find, request, response).catch((error: unknown) => {
      // Nothing above this line may throw; if it does, the client must still get an answer.
      process.stderr.write(`emulator: ${error instanceof Error ? error.stack : String(error)}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
}

async function serve(
  parts: ServerParts,
  find: (verb: string, path: string) => Found | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedMs = performance.now();
  const verb = request.method ?? 'GET';
  const url = addressOf(request);
  if (url === undefined) {
    send(response, { status: 400, body: invalidArgument('The address of the request is malformed.').body() });
    return;
  }
  const found = find(verb, url.pathname);
  const body = await readBody(request, parts.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES);
  if (body === 'gone') return;
  const outcome = await run(parts, found, { request, response, verb, url, body });
  if (found?.route.control !== true) {
    const caller = outcome.caller === undefined ? undefined : callerName(outcome.caller);
    parts.calls.add({
      at: parts.clock.now().toISOString(),
      method: found?.route.id ?? 'unknown',
      verb,
      path: url.pathname,
      caller,
      status: outcome.answer.status,
      ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
      ...(outcome.cut === undefined ? {} : { cut: outcome.cut }),
      durationMs: Math.round(performance.now() - startedMs),
    });
  }
  if (outcome.cut !== undefined) request.socket.destroy();
  else send(response, outcome.answer);
}

async function run(
  parts: ServerParts,
  found: Found | undefined,
  context: {
    request: IncomingMessage;
    response: ServerResponse;
    verb: string;
    url: URL;
    body: Buffer | 'too-large';
  },
): Promise<Outcome> {
  let caller: Caller | undefined;
  let cutAfter = false;
  try {
    if (found === undefined) throw notFound(`No method answers ${context.verb} ${context.url.pathname}.`);
    if (context.body === 'too-large') throw new GoogleError(413, 'uploadTooLarge', 'Request is too large.');
    const { route, params } = found;
    const faults = route.control === true ? [] : parts.faults.forCall(route.id);
    await delay(faults);
    if (faults.some((fault) => fault.cut === 'before'))
      return { answer: { status: 499 }, caller, cut: 'before' };
    if (route.scopes !== 'none')
      caller = parts.tokens.authorize(context.request.headers.authorization, route.scopes);
    const refusal = faults.find((fault) => fault.status !== undefined);
    if (refusal !== undefined) throw faultError(refusal);
    const rubbish = faults.find((fault) => fault.body !== undefined);
    if (rubbish?.body !== undefined) {
      const headers = { 'content-type': 'text/html; charset=UTF-8' };
      return { answer: { status: 200, headers, body: Buffer.from(rubbish.body) }, caller };
    }
    const aborted = new AbortController();
    context.response.on('close', () => {
      // After an answer nobody is left who could be told, and the error that an abort makes costs more than a small answer.
      if (!context.response.writableFinished) aborted.abort();
    });
    const call: Call = {
      verb: context.verb,
      url: context.url,
      params,
      query: context.url.searchParams,
      headers: context.request.headers,
      body: context.body,
      caller,
      signal: aborted.signal,
    };
    cutAfter = faults.some((fault) => fault.cut === 'after');
    const answer = await route.handle(call);
    return cutAfter ? { answer, caller, cut: 'after' } : { answer, caller };
  } catch (error) {
    if (!(error instanceof GoogleError)) {
      process.stderr.write(`emulator: ${error instanceof Error ? error.stack : String(error)}\n`);
    }
    const shown =
      error instanceof GoogleError
        ? error
        : new GoogleError(500, 'backendError', 'Internal error encountered.');
    const headers = shown.options.headers === undefined ? {} : { headers: shown.options.headers };
    return {
      answer: { status: shown.httpStatus, body: shown.body(), ...headers },
      caller,
      reason: shown.reason,
      // The effect may be that of a refusal; the client does not get to see it either way.
      ...(cutAfter ? { cut: 'after' as const } : {}),
    };
  }
}

function findRoute(compiled: readonly CompiledRoute[], verb: string, path: string): Found | undefined {
  for (const { route, pattern, prefix } of compiled) {
    if (route.verb !== '*' && route.verb !== verb) continue;
    if (!path.startsWith(prefix)) continue;
    const groups = pattern.exec({ pathname: path })?.pathname.groups;
    if (groups === undefined) continue;
    const params: Record<string, string> = {};
    for (const [name, value] of Object.entries(groups)) {
      if (value !== undefined) params[name] = safeDecode(value);
    }
    return { route, params };
  }
  return undefined;
}

/** Which route an address has never changes. */
function remembered(find: (verb: string, path: string) => Found | undefined) {
  const known = new Map<string, Found>();
  return (verb: string, path: string): Found | undefined => {
    const name = `${verb} ${path}`;
    const found = known.get(name) ?? find(verb, path);
    if (known.size >= MOST_REMEMBERED) known.clear();
    if (found !== undefined) known.set(name, found);
    return found;
  };
}

/** Of a pattern, without the slash before a group, which may be optional together with it. */
const literalPrefix = (path: string): string => {
  const [literal = ''] = /^[\w/.-]*/.exec(path) ?? [];
  return literal === path ? literal : literal.replace(/\/$/, '');
};

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function faultError(fault: CallFault): GoogleError {
  const status = fault.status ?? 503;
  const reason =
    fault.reason ?? (status === 429 ? 'rateLimitExceeded' : status >= 500 ? 'backendError' : 'badRequest');
  const usageLimit = /^(userRateLimitExceeded|rateLimitExceeded|quotaExceeded|dailyLimitExceeded)$/.test(
    reason,
  );
  return new GoogleError(status, reason, fault.message ?? `Injected fault: ${reason}.`, {
    ...(usageLimit ? { domain: 'usageLimits', status: 'RESOURCE_EXHAUSTED' } : {}),
    ...(reason === 'failedPrecondition' ? { status: 'FAILED_PRECONDITION' } : {}),
    ...(reason === 'aborted' ? { status: 'ABORTED' } : {}),
    ...(fault.retryAfterSeconds === undefined
      ? {}
      : { headers: { 'retry-after': String(fault.retryAfterSeconds) } }),
  });
}

async function delay(faults: readonly CallFault[]): Promise<void> {
  const latencyMs = faults.reduce((sum, fault) => sum + (fault.latencyMs ?? 0), 0);
  if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
}

/** Undefined when what the client sent is no address, such as `//`. */
function addressOf(request: IncomingMessage): URL | undefined {
  try {
    return new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
  } catch {
    return undefined;
  }
}

/** `gone`: the client went away before the end. By events, because an iterator over a body that is empty, as most are, costs as much as its answer. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | 'too-large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) chunks.push(chunk);
    });
    request.on('end', () => resolve(length > maxBytes ? 'too-large' : Buffer.concat(chunks)));
    request.on('error', () => resolve('gone'));
    request.on('close', () => resolve('gone'));
  });
}

export function callerName(caller: Caller): string {
  return caller.kind === 'user' ? `${caller.email} (through ${caller.serviceAccount})` : caller.email;
}

function send(response: ServerResponse, answer: Answer): void {
  const headers: Record<string, string> = { ...answer.headers };
  if (answer.body === undefined) {
    response.writeHead(answer.status, headers).end();
    return;
  }
  const bytes = answer.body instanceof Uint8Array ? answer.body : Buffer.from(JSON.stringify(answer.body));
  headers['content-type'] ??= 'application/json; charset=UTF-8';
  headers['content-length'] = String(bytes.length);
  response.writeHead(answer.status, headers).end(bytes);
}
