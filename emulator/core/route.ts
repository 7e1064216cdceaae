/**
 * Vocabulary of the emulator's HTTP side. A *route* is one Google API method: its id as Google's discovery
 * documents name it (faults and the call log use that name), its verb, its path and who may call it. A room
 * (`directory/`, `gmail/`, …) is a list of routes over a section of the state.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from './access-tokens.ts';
import { invalidArgument } from './google-error.ts';

export interface Call {
  readonly verb: string;
  readonly url: URL;
  /** Path parameters, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Present on every route that asks for scopes. */
  readonly caller: Caller | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes are sent as they are, undefined sends none, anything else goes out as JSON. */
  readonly body?: unknown;
}

export interface Route {
  /** `gmail.users.settings.cse.keypairs.create`, `directory.users.list`, `kacls.privatekeysign`, … */
  readonly id: string;
  readonly verb: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | '*';
  /** `URLPattern` pathname, such as `/v1/projects/:project/secrets/:secret/versions/:version\\:access`. */
  readonly path: string;
  /** Any one of these scopes on a bearer access token; `'none'` for public endpoints. */
  readonly scopes: readonly string[] | 'none';
  /** Controls of the emulator itself: never disturbed by faults and not in the call log. */
  readonly control?: boolean;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

export const ok = (body?: unknown, headers?: Readonly<Record<string, string>>): Answer =>
  headers === undefined ? { status: 200, body } : { status: 200, body, headers };

/** The JSON object a request carries; an empty body is an empty object, as Google's front ends take it. */
export function jsonBody(call: Call): Record<string, unknown> {
  if (call.body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(call.body.toString('utf8'));
  } catch {
    throw invalidArgument('Invalid JSON payload received. Expected an object.', { location: 'body' });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidArgument('Invalid JSON payload received. Expected an object.', { location: 'body' });
  }
  return value as Record<string, unknown>;
}
