/**
 * Who this function is: the service account it runs as. Tokens come from the metadata server, so that there is no
 * key file anywhere. https://docs.cloud.google.com/run/docs/securing/service-identity
 */
import { Compute, GoogleAuth } from 'google-auth-library';
import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Bearer } from './call.ts';
import { cleanText, GoogleCallError, readFailure } from './call-error.ts';
import { isTransient } from './retry.ts';
import { type Token, TokenCache } from './token-cache.ts';

export interface OwnIdentity extends Bearer {
  /** For Google's own clients. */
  readonly auth: GoogleAuth;
  /**
   * A Google-signed ID token for this audience, for calling a private function. Kept until shortly before it
   * expires by the injected clock. Throws `tokens-unavailable`: retryable where it may pass, else permanent.
   */
  fetchIdToken(audience: string): Promise<string>;
}

export interface OwnIdentityOptions {
  readonly clock: Clock;
  /**
   * Which of the metadata server's accounts; `default` unless told. In the cloud there is only that one; on a
   * developer's machine several functions share a process and each acts as its own account.
   */
  readonly serviceAccountEmail?: string;
  /** Scopes to ask for; the metadata server gives cloud-platform when none are named. */
  readonly scopes?: readonly string[];
  /**
   * `metadata-server` (default) never looks elsewhere. `application-default` takes Google's usual search, for an
   * admin's own machine: a key file or gcloud's login may then answer, which is why it has to be asked for.
   */
  readonly source?: 'metadata-server' | 'application-default';
}

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

export function ownIdentity(options: OwnIdentityOptions): OwnIdentity {
  const { clock } = options;
  const compute =
    options.source === 'application-default'
      ? undefined
      : new Compute({
          serviceAccountEmail: options.serviceAccountEmail ?? 'default',
          scopes: [...(options.scopes ?? [])],
        });
  const auth =
    compute === undefined
      ? new GoogleAuth({ scopes: [...(options.scopes ?? [CLOUD_PLATFORM])] })
      : // The library's types want a JSON client where any AuthClient works, Compute among them.
        new GoogleAuth({ authClient: compute as never });
  const idTokens = new TokenCache({ clock });

  const asFailure = (method: string, thrown: unknown): GoogleCallError => {
    if (!(thrown instanceof Error)) throw thrown;
    return new GoogleCallError({
      // Whatever the library throws here is about credentials, also what has no HTTP answer behind it.
      ...(readFailure(method, thrown, clock.now()) ?? {
        method,
        reached: 'answered',
        reasons: [],
        text: cleanText(thrown.message),
      }),
      advice: adviceFor(options),
    });
  };

  return {
    auth,
    async accessToken() {
      try {
        const token = await auth.getAccessToken();
        if (typeof token !== 'string' || token === '') throw new Error('The answer holds no access token.');
        return token;
      } catch (thrown) {
        throw asFailure('metadata.token', thrown);
      }
    },
    forget() {
      // What a new Compute starts with: expired, to be fetched at the next use. Other kinds renew themselves.
      compute?.setCredentials({ expiry_date: 1, refresh_token: 'compute-placeholder' });
    },
    async fetchIdToken(audience) {
      return await idTokens.get(audience, async () => {
        try {
          const client = await auth.getIdTokenClient(audience);
          return idToken(await client.idTokenProvider.fetchIdToken(audience));
        } catch (thrown) {
          throw noIdToken(asFailure('metadata.identity', thrown), audience);
        }
      });
    },
  };
}

/** Callers of private functions are no adapters of Google's, so here the failure is put into our words at once. */
function noIdToken(error: GoogleCallError, audience: string): SealwrightError {
  const said = `No ID token for ${audience} could be had: ${error.message}`;
  return isTransient(error.failure)
    ? retryable('tokens-unavailable', said, { cause: error })
    : permanent('tokens-unavailable', `${said} ${error.failure.advice ?? ''}`.trim(), { cause: error });
}

const adviceFor = (options: OwnIdentityOptions): string =>
  options.source === 'application-default'
    ? 'Run "gcloud auth application-default login", or set GOOGLE_APPLICATION_CREDENTIALS.'
    : `Tokens come from the metadata server, for the service account "${options.serviceAccountEmail ?? 'default'}"; check that it runs here (GCE_METADATA_HOST) and knows that account.`;

/** Reads `exp` (RFC 7519 §4.1.4); a token without one is used once and not kept. */
function idToken(value: string): Token {
  const payload = value.split('.')[1] ?? '';
  let expiresAtMs = 0;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const exp = claims !== null && typeof claims === 'object' && 'exp' in claims ? claims.exp : undefined;
    if (typeof exp === 'number') expiresAtMs = exp * 1000;
  } catch {
    throw new Error('The answer holds no ID token.');
  }
  return { value, expiresAt: new Date(expiresAtMs) };
}
