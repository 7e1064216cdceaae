/**
 * Admin HTTP → a wish in the ledger, then a hint. Nothing here changes a mailbox or a certificate: it writes down who
 * wants what, and the one loop does it.
 * The calls are the table in admin/routes.ts.
 */
import { nearest } from '../shared/config/nearest.ts';
import { invalidInput, permanent } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import { type AdminRoute, type AdminRouteDeps, findPath } from './admin/routes.ts';
import { bearerToken } from './wire/caller.ts';
import { type HttpCall, type HttpHandler, parseJsonObject } from './wire/http.ts';

export interface AdminDeps extends AdminRouteDeps {
  readonly idTokens: IdTokenVerifier;
  /** Audiences an admin's ID token may carry. */
  readonly audiences: readonly string[];
  /** Addresses of the admins, lower case. */
  readonly admins: readonly string[];
}

export function createAdmin(deps: AdminDeps): HttpHandler {
  return async (call) => {
    const admin = await authenticateAdmin(deps, call);
    const segments = call.path.split('/').map(decoded);
    for (const value of call.query.values()) refuseNul(value);
    if (segments[1] !== 'v1') throw permanent('not-found', 'The admin API lives under /v1.');
    const found = findPath(segments);
    if (found === undefined) throw permanent('not-found', `The admin API has no ${call.path}.`);
    const route = routeOf(found.routes, call);
    refuseUnknownQuery(route, call.query);
    return await route.handle(deps, {
      admin,
      id: found.id,
      query: call.query,
      body: () => parseJsonObject(call.body),
    });
  };
}

function routeOf(routes: readonly AdminRoute[], { method, path }: HttpCall): AdminRoute {
  const route = routes.find((one) => one.method === method);
  if (route !== undefined) return route;
  const methods = routes.map((one) => one.method).join(' and ');
  throw permanent('method-not-allowed', `${path} takes ${methods}.`);
}

/** A filter that is misspelt and ignored would answer with everybody. */
function refuseUnknownQuery({ method, path, takes }: AdminRoute, query: URLSearchParams): void {
  const seen = new Set<string>();
  for (const name of query.keys()) {
    if (!takes.includes(name)) {
      const close = nearest(name, takes);
      const known = takes.length === 0 ? 'nothing after a "?"' : takes.map((one) => `"${one}"`).join(', ');
      throw invalidInput(
        'malformed-request',
        `${method} ${path} does not know "${name}"${close === undefined ? '.' : `: did you mean "${close}"?`} It takes ${known}.`,
      );
    }
    if (seen.has(name)) throw invalidInput('malformed-request', `"${name}" may be said once.`);
    seen.add(name);
  }
}

/**
 * The admin's own ID token, verified whole. In front of Cloud Run's IAM, Google's token travels in
 * `X-Serverless-Authorization`, so that this one arrives with its signature.
 */
async function authenticateAdmin(deps: AdminDeps, call: HttpCall): Promise<string> {
  const token = await deps.idTokens.verify(bearerToken(call.headers.authorization), deps.audiences);
  const email = token.email.toLowerCase();
  if (!deps.admins.includes(email) || !isAuthoritative(email, token.hostedDomain)) {
    deps.log.warning('admin-refused', { email, path: call.path });
    throw permanent('forbidden', `${email} is not one of the admins of this service.`);
  }
  return email;
}

/**
 * Google vouches for an address only where it runs the domain (`hd`) or the service account; a private account that
 * once confirmed the same address carries `email_verified` as well.
 * https://developers.google.com/identity/gsi/web/guides/verify-google-id-token
 */
function isAuthoritative(email: string, hostedDomain: string | undefined): boolean {
  return hostedDomain !== undefined || email.endsWith('.iam.gserviceaccount.com');
}

function decoded(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (error) {
    throw invalidInput('malformed-request', 'The path holds a broken percent escape.', { cause: error });
  }
  refuseNul(text);
  return text;
}

/** The one character that PostgreSQL does not take. */
function refuseNul(text: string): void {
  if (text.includes('\0')) {
    throw invalidInput('malformed-request', 'The address holds a NUL character, which no name has.');
  }
}
