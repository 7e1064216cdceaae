/**
 * Tokens this service signs itself, RS256: for delegates, who bring them back to us, and for other key services, which
 * find our keys at `certs`. https://developers.google.com/workspace/cse/reference/authentication-tokens
 */
import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import type { PublishedSigningKey, TokenSigningKeys } from '../ports/token-signing-keys.ts';
import type { KeyServiceContext } from './context.ts';
import { DELEGATION_AUDIENCE, MIGRATION_AUDIENCE, withoutTrailingSlash } from './settings.ts';
import type { TrustedIssuer } from './tokens.ts';

/** As Google recommends. */
export const DELEGATED_TOKEN_SECONDS = 15 * 60;
/** Long enough for one call and two clocks. */
const MIGRATION_TOKEN_SECONDS = 5 * 60;

/** Only wrap and unwrap listen to this issuer. Undefined where no signing key is configured. */
export function ownDelegationIssuer(context: KeyServiceContext): TrustedIssuer | undefined {
  const { tokenSigningKeys, settings } = context;
  if (tokenSigningKeys === undefined) return undefined;
  return {
    issuer: withoutTrailingSlash(settings.baseUrl),
    audiences: [DELEGATION_AUDIENCE],
    keys: async (keyId): Promise<KeyObject | undefined> =>
      (await tokenSigningKeys.published()).find((key) => key.keyId === keyId)?.publicKey,
  };
}

/** A token that says who delegated what to whom; `claims` are copied into it. */
export const signDelegatedToken = (
  claims: Readonly<Record<string, unknown>>,
  context: KeyServiceContext,
): Promise<string> => sign(claims, DELEGATION_AUDIENCE, DELEGATED_TOKEN_SECONDS, context);

/** A token for the key service at `receiverUrl`, for one resource. */
export const signMigrationToken = (
  receiverUrl: string,
  resourceName: string,
  context: KeyServiceContext,
): Promise<string> =>
  sign(
    { kacls_url: receiverUrl, resource_name: resourceName },
    MIGRATION_AUDIENCE,
    MIGRATION_TOKEN_SECONDS,
    context,
  );

/** The answer of certs, a JSON Web Key Set (RFC 7517 section 5). */
export async function ownKeySet(context: KeyServiceContext): Promise<{ readonly keys: readonly unknown[] }> {
  const published = await signingKeys(context).published();
  return { keys: published.map(jwkOf) };
}

function jwkOf({ keyId, publicKey }: PublishedSigningKey): Readonly<Record<string, unknown>> {
  const { kty, n, e } = publicKey.export({ format: 'jwk' });
  return { kty, n, e, kid: keyId, alg: 'RS256', use: 'sig' };
}

async function sign(
  claims: Readonly<Record<string, unknown>>,
  audience: string,
  seconds: number,
  context: KeyServiceContext,
): Promise<string> {
  const { keyId, privateKey } = await signingKeys(context).current();
  const now = Math.floor(context.clock.now().getTime() / 1000);
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyId })
    .setIssuer(withoutTrailingSlash(context.settings.baseUrl))
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + seconds)
    .sign(privateKey);
}

/** Endpoints that sign are not reached without keys; asking all the same is a bug. */
function signingKeys({ tokenSigningKeys }: KeyServiceContext): TokenSigningKeys {
  if (tokenSigningKeys === undefined) throw new Error('This key service has no key for signing tokens.');
  return tokenSigningKeys;
}
