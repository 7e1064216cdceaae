/**
 * Acting for a user without a key file. The delegated service account is authorised in the Admin console for the
 * scopes below (domain-wide delegation); this function may sign JWTs as that account
 * (`roles/iam.serviceAccountTokenCreator`) and trades each for an access token of one user:
 * claims → IAM Credentials `signJwt` → token endpoint, RFC 7523 §2.1.
 * https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt ,
 * https://developers.google.com/identity/protocols/oauth2/service-account
 *
 * What this will not do: `generateAccessToken`. Its tokens have no user, and Gmail refuses them.
 */
import { type Bearer, callGoogle, repeatedly } from './call.ts';
import { GoogleCallError, type GoogleCallFailure } from './call-error.ts';
import { type GoogleEndpoints, tokenUrl } from './endpoints.ts';
import { restCall } from './rest.ts';
import type { RetrySettings } from './retry.ts';
import { type Token, TokenCache } from './token-cache.ts';

export interface DelegatedCredentials {
  /** Access tokens that act as this user. */
  forUser(address: string): Bearer;
  /** Access tokens of the service account itself, with the scopes but without a user (the directory's reader). */
  forAccount(): Bearer;
}

export interface DelegatedCredentialsOptions {
  /** E-mail address of the service account that is signed for. */
  readonly signerEmail: string;
  readonly scopes: readonly string[];
  /** Who asks for the signature. */
  readonly own: Bearer;
  readonly retry: RetrySettings;
  readonly endpoints: GoogleEndpoints;
  /** Tokens kept at most; 2000 unless told. */
  readonly capacity?: number;
}

const IAM = 'https://iamcredentials.googleapis.com/';
/** What the claims name as audience, also where the endpoint itself is elsewhere. */
const AUDIENCE = 'https://oauth2.googleapis.com/token';
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** The token endpoint takes no more than an hour. */
const LIFETIME_SECONDS = 3600;

export function delegatedCredentials(options: DelegatedCredentialsOptions): DelegatedCredentials {
  const { signerEmail, own, retry, endpoints } = options;
  const scope = options.scopes.join(' ');
  const cache = new TokenCache({
    clock: retry.clock,
    ...(options.capacity === undefined ? {} : { capacity: options.capacity }),
  });
  const signUrl = `${endpoints.rootUrl ?? IAM}v1/projects/-/serviceAccounts/${encodeURIComponent(signerEmail)}:signJwt`;

  async function sign(subject: string | undefined): Promise<string> {
    const issuedAt = Math.floor(retry.clock.now().getTime() / 1000);
    const payload = JSON.stringify({
      iss: signerEmail,
      ...(subject === undefined ? {} : { sub: subject }),
      scope,
      aud: AUDIENCE,
      iat: issuedAt,
      exp: issuedAt + LIFETIME_SECONDS,
    });
    const method = 'iamcredentials.projects.serviceAccounts.signJwt';
    const answer = await callGoogle({ method, repeatable: 'any-time', retry }, own, (accessToken) =>
      restCall({ method: 'POST', url: signUrl, body: { payload } }, accessToken, retry),
    );
    const { signedJwt } = answer;
    if (typeof signedJwt !== 'string' || signedJwt === '') throw unusable(method, 'no signed JWT');
    return signedJwt;
  }

  async function exchange(assertion: string): Promise<Token> {
    const method = 'oauth2.token';
    const askedAtMs = retry.clock.now().getTime();
    const body = new URLSearchParams({ grant_type: GRANT_TYPE, assertion });
    const fields: { readonly access_token?: unknown; readonly expires_in?: unknown } = await repeatedly(
      { method, repeatable: 'any-time', retry },
      () => restCall({ method: 'POST', url: tokenUrl(endpoints), body }, undefined, retry),
    );
    if (typeof fields.access_token !== 'string' || fields.access_token === '')
      throw unusable(method, 'no access token');
    const seconds = typeof fields.expires_in === 'number' ? fields.expires_in : 0;
    return { value: fields.access_token, expiresAt: new Date(askedAtMs + seconds * 1000) };
  }

  async function mint(subject: string | undefined): Promise<Token> {
    try {
      return await exchange(await sign(subject));
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const advice = adviceFor(error.failure, signerEmail, scope, subject);
      throw advice === undefined ? error : new GoogleCallError({ ...error.failure, advice });
    }
  }

  const bearer = (key: string, subject: string | undefined): Bearer => ({
    accessToken: () => cache.get(key, () => mint(subject)),
    forget: (accessToken) => cache.forget(key, accessToken),
  });

  return {
    forUser: (address) => bearer(`user ${address.toLowerCase()}`, address.toLowerCase()),
    forAccount: () => bearer('account', undefined),
  };
}

/** An answer with HTTP 200 that is not what the API promises. */
const unusable = (method: string, what: string): GoogleCallError =>
  new GoogleCallError({
    method,
    reached: 'answered',
    httpStatus: 502,
    reasons: [],
    text: `The answer holds ${what}.`,
  });

/** What each refusal on the way to a token means, and who can change it. */
function adviceFor(
  failure: GoogleCallFailure,
  signerEmail: string,
  scope: string,
  subject: string | undefined,
): string | undefined {
  if (failure.method.startsWith('iamcredentials.')) {
    if (failure.httpStatus === 403)
      return `Give this function's service account roles/iam.serviceAccountTokenCreator on ${signerEmail}.`;
    if (failure.httpStatus === 404)
      return `Create the service account ${signerEmail}, or correct its address in the settings.`;
    return undefined;
  }
  if (failure.method !== 'oauth2.token') return undefined;
  if (failure.reasons.includes('invalid_grant') && subject !== undefined)
    return `${subject} must be an active user of the domain; for a user created moments ago this passes by itself.`;
  if (failure.reasons.includes('unauthorized_client') || failure.reasons.includes('access_denied'))
    return `In the Admin console, under Security, API controls, Domain-wide delegation, authorise the numeric client ID of ${signerEmail} for the scope ${scope}.`;
  return undefined;
}
