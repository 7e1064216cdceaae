/**
 * `POST /token` with a service account's signed assertion (RFC 7523), as
 * https://developers.google.com/identity/protocols/oauth2/service-account describes it. With `sub` this is
 * domain-wide delegation. Errors are OAuth's (`error`, `error_description`), not Google's error object.
 */
import type { AccessTokens } from '../core/access-tokens.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import type { Accounts } from '../core/rooms.ts';
import type { Answer, Call, Route } from '../core/route.ts';
import type { TokenIssuers } from './id-tokens.ts';
import { isSignedBy, keyIdOf, type ParsedJws, parseJws } from './jws.ts';
import { type KeyRings, ring } from './key-rings.ts';
import { isScope } from './scopes.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import type { ServiceAccount } from './settings.ts';
import type { Clock, Clocks } from './times.ts';

export interface TokenEndpointParts {
  readonly tokens: AccessTokens;
  readonly accounts: Accounts;
  readonly serviceAccounts: ServiceAccounts;
  readonly keys: KeyRings;
  readonly issuers: TokenIssuers;
  readonly clocks: Clocks;
  readonly rootUrl: () => string;
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';
const MAX_LIFETIME_SECONDS = 3600;

/** An answer in OAuth's error form (RFC 6749 section 5.2). */
class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly httpStatus: number;
  readonly code: string;

  constructor(httpStatus: number, code: string, description: string) {
    super(description);
    this.httpStatus = httpStatus;
    this.code = code;
  }

  answer(): Answer {
    return {
      status: this.httpStatus,
      headers: NOT_CACHED,
      body: { error: this.code, error_description: this.message },
    };
  }
}

const NOT_CACHED = { 'cache-control': 'no-cache, no-store, max-age=0, must-revalidate', pragma: 'no-cache' };

interface Assertion {
  readonly account: ServiceAccount;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
}

export function tokenEndpoint(parts: TokenEndpointParts): Route {
  return {
    id: 'oauth2.token',
    verb: 'POST',
    path: '/token',
    scopes: 'none',
    handle: async (call) => {
      try {
        return await exchange(parts, formOf(call));
      } catch (error) {
        if (error instanceof OAuthError) return error.answer();
        throw error;
      }
    },
  };
}

async function exchange(parts: TokenEndpointParts, form: URLSearchParams): Promise<Answer> {
  const grantType = single(form, 'grant_type');
  if (grantType !== GRANT_TYPE) {
    throw new OAuthError(400, 'unsupported_grant_type', `Invalid grant_type: ${grantType}`);
  }
  const assertion = verifyAssertion(parts, single(form, 'assertion'));
  const body =
    assertion.claims['target_audience'] === undefined
      ? accessToken(parts, assertion)
      : await idToken(parts, assertion);
  return { status: 200, headers: NOT_CACHED, body };
}

function verifyAssertion(parts: TokenEndpointParts, assertion: string): Assertion {
  const jws = parseJws(assertion);
  if (jws === undefined) throw invalidGrant('Invalid JWT: the assertion is no signed JWT.');
  const { iss, aud, iat, exp } = jws.claims;
  const account = typeof iss === 'string' ? parts.serviceAccounts.find(iss) : undefined;
  if (account === undefined || account.email !== iss)
    throw invalidGrant('Invalid JWT: No valid verifier found for issuer.');
  checkSignature(parts.keys, account, jws);
  if (aud !== GOOGLE_TOKEN_URL && aud !== `${parts.rootUrl()}token`) {
    throw invalidGrant(`Invalid JWT: Failed audience check. The right audience is ${GOOGLE_TOKEN_URL}`);
  }
  if (typeof iat !== 'number' || typeof exp !== 'number' || exp - iat > MAX_LIFETIME_SECONDS || exp <= iat) {
    throw unreasonableTimes();
  }
  const clock = parts.clocks.holding({ iat, exp }, MAX_LIFETIME_SECONDS);
  if (clock === undefined) throw unreasonableTimes();
  return { account, claims: jws.claims, clock };
}

function checkSignature(keys: KeyRings, account: ServiceAccount, jws: ParsedJws): void {
  const kid = keyIdOf(jws);
  const candidates = [ring.system(account.email), ring.user(account.email)].flatMap((name) =>
    keys.verifying(name, kid),
  );
  if (!isSignedBy(jws, candidates)) throw invalidGrant('Invalid JWT Signature.');
}

function accessToken(parts: TokenEndpointParts, { account, claims, clock }: Assertion): unknown {
  const scopes = scopesOf(claims['scope']);
  const subject = subjectOf(parts.accounts, account, claims['sub'], scopes);
  const minted = parts.tokens.mint(
    subject === undefined
      ? { kind: 'service-account', email: account.email, scopes }
      : { kind: 'user', email: subject, scopes, serviceAccount: account.email },
    { byRealClock: clock === 'machine' },
  );
  return { access_token: minted.accessToken, expires_in: minted.expiresInSeconds, token_type: 'Bearer' };
}

async function idToken(parts: TokenEndpointParts, { account, claims, clock }: Assertion): Promise<unknown> {
  const audience = claims['target_audience'];
  if (typeof audience !== 'string' || audience === '') {
    throw new OAuthError(400, 'invalid_scope', 'Invalid OAuth scope or ID token audience provided.');
  }
  if (claims['sub'] !== undefined && claims['sub'] !== account.email) {
    throw new OAuthError(400, 'invalid_request', 'An ID token is only for the service account itself.');
  }
  const token = await parts.issuers.mint(
    GOOGLE_ISSUER,
    {
      aud: audience,
      azp: account.email,
      sub: account.uniqueId,
      email: account.email,
      email_verified: true,
    },
    { clock },
  );
  return { id_token: token };
}

function scopesOf(scope: unknown): readonly string[] {
  const scopes = typeof scope === 'string' ? scope.split(' ').filter((part) => part !== '') : [];
  if (scopes.length === 0) throw new OAuthError(400, 'invalid_scope', 'Empty or missing scope not allowed.');
  if (!scopes.every(isScope)) {
    throw new OAuthError(400, 'invalid_scope', 'Invalid OAuth scope or ID token audience provided.');
  }
  return [...new Set(scopes)];
}

/** The user a token is for, by primary address; undefined when the service account asks for itself. */
function subjectOf(
  accounts: Accounts,
  account: ServiceAccount,
  sub: unknown,
  scopes: readonly string[],
): string | undefined {
  if (sub === undefined || sub === account.email) return undefined;
  if (typeof sub !== 'string' || !/^[^\s@]+@[^\s@]+$/.test(sub)) {
    throw invalidGrant('Not a valid email or user ID.');
  }
  if (!scopes.every((scope) => account.delegatedScopes.includes(scope))) {
    throw new OAuthError(
      401,
      'unauthorized_client',
      'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
    );
  }
  const address = sub.toLowerCase();
  const user = accounts.byAddress(address);
  if (user === undefined) {
    throw invalidGrant(
      accounts.deletedByAddress(address) === undefined
        ? 'Invalid email or User ID'
        : 'The account has been deleted',
    );
  }
  // Whether Google takes an alias here is not known, so the stricter reading holds.
  if (user.primaryEmail !== address) throw invalidGrant('Invalid email or User ID');
  if (user.suspended) throw invalidGrant('The account has been suspended');
  return user.primaryEmail;
}

function formOf(call: Call): URLSearchParams {
  const type = call.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') {
    throw new OAuthError(
      400,
      'invalid_request',
      'The request body must be application/x-www-form-urlencoded.',
    );
  }
  return new URLSearchParams(call.body.toString('utf8'));
}

/** RFC 6749 section 3.2: parameters must not be repeated, and an empty one counts as missing. */
function single(form: URLSearchParams, name: string): string {
  const values = form.getAll(name);
  if (values.length > 1)
    throw new OAuthError(400, 'invalid_request', `Parameter ${name} is given more than once.`);
  const value = values[0] ?? '';
  if (value === '') throw new OAuthError(400, 'invalid_request', `Missing required parameter: ${name}`);
  return value;
}

const invalidGrant = (description: string) => new OAuthError(400, 'invalid_grant', description);

const unreasonableTimes = () =>
  invalidGrant(
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
  );
