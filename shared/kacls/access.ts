/**
 * Who may call what. Each endpoint is composed with one of the gates below and is reached only through it.
 *
 * `forUser`: a person at a Gmail client, who brings two tokens: one of their identity provider (who they are) and one
 * of Google (what they may do with which key). `forWrapCaller`: a service account of ours, on a list. Gates for admins
 * and for other key services join here when their endpoints do.
 */
import { permanent } from '../errors.ts';
import { lowerCaseAscii, sameIgnoringCase } from './addresses.ts';
import type { Note } from './audit.ts';
import type { KeyServiceContext } from './context.ts';
import type { RequestBody } from './fields.ts';
import {
  AUTHORIZATION_AUDIENCE,
  AUTHORIZATION_ISSUERS,
  type AuthorizationIssuer,
  GOOGLE_ID_TOKEN_ISSUER,
  GOOGLE_ID_TOKEN_KEY_SET,
  GOOGLE_SERVICE_ACCOUNT_KEY_SETS,
  type KeyServiceSettings,
  withoutTrailingSlash,
} from './settings.ts';
import { type Claims, refuse, type TokenField, type TrustedIssuer, verifyToken } from './tokens.ts';

export interface KeyServiceRequest {
  readonly body: RequestBody;
  /** Adds facts to the audit line; only what has been verified goes in. */
  readonly note: Note;
}

export interface UserRequirement {
  /** Applications whose authorization tokens this endpoint listens to. */
  readonly issuers: readonly AuthorizationIssuer[];
  readonly roles: readonly string[];
  /** Tokens that pass somebody's right on to another; never with private keys. */
  readonly delegation: 'refused';
}

/** A person whose two tokens agree. */
export interface AuthorizedUser {
  /** Lower case. */
  readonly address: string;
  readonly authentication: Claims;
  readonly authorization: Claims;
}

export type Operation<Caller> = (
  request: KeyServiceRequest,
  caller: Caller,
  context: KeyServiceContext,
) => Promise<Readonly<Record<string, unknown>>>;

export type GatedOperation = (
  request: KeyServiceRequest,
  context: KeyServiceContext,
) => Promise<Readonly<Record<string, unknown>>>;

/**
 * Throws `unauthenticated` for what is wrong with the authentication token, `forbidden` for everything about the
 * authorization token, both permanent.
 */
export function forUser(requirement: UserRequirement, operation: Operation<AuthorizedUser>): GatedOperation {
  return async (request, context) => {
    const { settings } = context;
    const { body, note } = request;
    const authentication = await verifyToken(body, 'authentication', settings.authenticationIssuers, context);
    const person = addressOf(authentication);
    note({ authenticated: person });
    const issuers = requirement.issuers.map((name) => authorizationIssuer(name, settings));
    const authorization = await verifyToken(body, 'authorization', issuers, context);
    note({ messageId: authorization['message_id'], resourceName: authorization['resource_name'] });

    const delegated = [authentication, authorization].some((claims) => claims['delegated_to'] !== undefined);
    if (delegated && requirement.delegation === 'refused') {
      throw forbidden('Delegated tokens are not accepted by this endpoint.');
    }
    if (!requirement.roles.includes(textClaim(authorization, 'authorization', 'role'))) {
      throw forbidden(
        `The authorization token's role does not allow this; it takes ${requirement.roles.join(' or ')}.`,
      );
    }
    if (!sameIgnoringCase(person, textClaim(authorization, 'authorization', 'email'))) {
      throw forbidden('The two tokens name different users.');
    }
    const calledUrl = textClaim(authorization, 'authorization', 'kacls_url');
    if (withoutTrailingSlash(calledUrl) !== withoutTrailingSlash(settings.baseUrl)) {
      throw forbidden(
        'The authorization token was issued for another key service (its kacls_url is not ours).',
      );
    }
    requireOwnerDomain(authorization, settings);
    requireWelcomeEmailType(authorization, settings);
    return operation(request, { address: lowerCaseAscii(person), authentication, authorization }, context);
  };
}

/**
 * The caller of wrapprivatekey brings, in `authentication`, an ID token that Google signed for a service account:
 * `iss` https://accounts.google.com, `aud` our base URL, `email` in the list `wrapCallers`, `email_verified` true.
 * https://cloud.google.com/run/docs/authenticating/service-to-service
 */
export function forWrapCaller(operation: Operation<string>): GatedOperation {
  return async (request, context) => {
    const { settings } = context;
    const base = withoutTrailingSlash(settings.baseUrl);
    const google: TrustedIssuer = {
      issuer: GOOGLE_ID_TOKEN_ISSUER,
      jwksUrl: settings.wrapCallerKeySetUrl ?? GOOGLE_ID_TOKEN_KEY_SET,
      audiences: [base, `${base}/`],
    };
    const claims = await verifyToken(request.body, 'authentication', [google], context);
    const email = textClaim(claims, 'authentication', 'email');
    request.note({ authenticated: email });
    if (claims['email_verified'] !== true)
      throw forbidden('Google has not verified the address of the caller.');
    if (!settings.wrapCallers.some((caller) => sameIgnoringCase(caller, email))) {
      throw forbidden(
        `${email} may not wrap keys here; the list wrapCallers of this key service does not name it.`,
      );
    }
    return operation(request, email, context);
  };
}

/** Everybody; /status and nothing else. */
export const forAnybody = (operation: (context: KeyServiceContext) => Readonly<Record<string, unknown>>) => {
  const gated: GatedOperation = async (_request, context) => operation(context);
  return gated;
};

/**
 * `google_email` where the token has it, else `email`; never the second because the first does not fit.
 * https://developers.google.com/workspace/cse/guides/encrypt-and-decrypt-data
 */
function addressOf(authentication: Claims): string {
  if (authentication['google_email'] !== undefined) {
    return textClaim(authentication, 'authentication', 'google_email');
  }
  if ([false, 'false'].some((unverified) => authentication['email_verified'] === unverified)) {
    throw refuse(
      'authentication',
      'The identity provider says that the address of the user is not verified.',
    );
  }
  return textClaim(authentication, 'authentication', 'email');
}

function authorizationIssuer(name: AuthorizationIssuer, settings: KeyServiceSettings): TrustedIssuer {
  const issuer = AUTHORIZATION_ISSUERS[name];
  const root = withoutTrailingSlash(settings.authorizationKeySetRoot ?? GOOGLE_SERVICE_ACCOUNT_KEY_SETS);
  return { issuer, jwksUrl: `${root}/${issuer}`, audiences: [AUTHORIZATION_AUDIENCE] };
}

/** Keeps strangers from registering this key service for their own domain. */
function requireOwnerDomain(authorization: Claims, settings: KeyServiceSettings): void {
  const domain = authorization['kacls_owner_domain'];
  if (domain === undefined) return;
  if (typeof domain === 'string' && sameIgnoringCase(domain, settings.ownerDomain)) return;
  throw forbidden(
    'The authorization token says that this key service belongs to another domain (kacls_owner_domain).',
  );
}

function requireWelcomeEmailType(authorization: Claims, settings: KeyServiceSettings): void {
  const type = authorization['email_type'] ?? 'google';
  if (type === 'google') return;
  const guest = type === 'google-visitor' || type === 'customer-idp';
  if (guest && settings.guests === 'allow') return;
  throw forbidden(
    guest
      ? 'People without a Google account are not served by this key service (guests).'
      : 'The authorization token has an email_type this key service does not know.',
  );
}

/** A claim that must be a non-empty string. */
export function textClaim(claims: Claims, field: TokenField, name: string): string {
  const value = claims[name];
  if (typeof value === 'string' && value !== '') return value;
  throw refuse(field, `The ${field} token needs the claim "${name}", a non-empty string.`);
}

const forbidden = (message: string) => permanent('forbidden', message);
