/**
 * What an authorization token, Google's word on what a caller may do, must say besides being genuine.
 * https://developers.google.com/workspace/cse/reference/authorization-tokens
 */
import { forbidden, textClaim } from './access.ts';
import { sameIgnoringCase } from './addresses.ts';
import {
  APPLICATIONS,
  AUTHORIZATION_AUDIENCE,
  AUTHORIZATION_ISSUERS,
  type AuthorizationIssuer,
  GOOGLE_SERVICE_ACCOUNT_KEY_SETS,
  type KeyServiceSettings,
  withoutTrailingSlash,
} from './settings.ts';
import type { Claims, TrustedIssuer } from './tokens.ts';

/** The issuers an endpoint listens to, less those of applications that are not served. */
export function authorizationIssuers(
  names: readonly AuthorizationIssuer[],
  settings: KeyServiceSettings,
): readonly TrustedIssuer[] {
  const served: readonly AuthorizationIssuer[] = [...(settings.applications ?? APPLICATIONS), 'migration'];
  const root = withoutTrailingSlash(settings.authorizationKeySetRoot ?? GOOGLE_SERVICE_ACCOUNT_KEY_SETS);
  return names
    .filter((name) => served.includes(name))
    .map((name) => AUTHORIZATION_ISSUERS[name])
    .map((issuer) => ({ issuer, audiences: [AUTHORIZATION_AUDIENCE], keys: `${root}/${issuer}` }));
}

export function requireRole(authorization: Claims, roles: readonly string[]): void {
  if (roles.includes(textClaim(authorization, 'authorization', 'role'))) return;
  throw forbidden(`The authorization token's role does not allow this; it takes ${roles.join(' or ')}.`);
}

/** Detects a proxy that stands between the client and us, and a token for somebody else's key service. */
export function requireOurUrl(authorization: Claims, settings: KeyServiceSettings): void {
  const calledUrl = textClaim(authorization, 'authorization', 'kacls_url');
  if (withoutTrailingSlash(calledUrl) === withoutTrailingSlash(settings.baseUrl)) return;
  throw forbidden('The authorization token was issued for another key service (its kacls_url is not ours).');
}

/** Keeps strangers from registering this key service for their own domain. */
export function requireOwnerDomain(authorization: Claims, settings: KeyServiceSettings): void {
  const domain = authorization['kacls_owner_domain'];
  if (domain === undefined) return;
  if (typeof domain === 'string' && sameIgnoringCase(domain, settings.ownerDomain)) return;
  throw forbidden(
    'The authorization token says that this key service belongs to another domain (kacls_owner_domain).',
  );
}

/** Answers whether the person is a guest, somebody without a Google account. */
export function requireWelcomeEmailType(authorization: Claims, settings: KeyServiceSettings): boolean {
  const type = authorization['email_type'] ?? 'google';
  if (type === 'google') return false;
  const guest = type === 'google-visitor' || type === 'customer-idp';
  if (guest && settings.guests === 'allow') return true;
  throw forbidden(
    guest
      ? 'People without a Google account are not served by this key service (guests).'
      : 'The authorization token has an email_type this key service does not know.',
  );
}

const LONGEST_PERIMETER = 128;

/** Gmail's real tokens carry an empty `perimeter_id`; empty and absent are the same. */
export function perimeterOf(authorization: Claims): string {
  const perimeterId = authorization['perimeter_id'] ?? '';
  if (
    typeof perimeterId === 'string' &&
    perimeterId.isWellFormed() &&
    Buffer.byteLength(perimeterId) <= LONGEST_PERIMETER
  ) {
    return perimeterId;
  }
  throw forbidden(
    `In the authorization token, perimeter_id is no text of at most ${LONGEST_PERIMETER} bytes.`,
  );
}
