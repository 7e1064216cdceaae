/** The gate for people. What the two tokens must say together is decided here, for every endpoint that takes both. */
import {
  forbidden,
  type GatedOperation,
  type KeyServiceRequest,
  type Operation,
  textClaim,
  trusted,
} from './access.ts';
import { lowerCaseAscii, sameIgnoringCase } from './addresses.ts';
import type { KeyServiceContext } from './context.ts';
import {
  authorizationIssuers,
  perimeterOf,
  requireOurUrl,
  requireOwnerDomain,
  requireRole,
  requireWelcomeEmailType,
} from './google-tokens.ts';
import { ownDelegationIssuer } from './own-tokens.ts';
import { perimeterAdmits } from './perimeters.ts';
import type { AuthorizationIssuer } from './settings.ts';
import { type Claims, refuse, verifyToken } from './tokens.ts';

export interface UserRequirement {
  /** Applications whose authorization tokens this endpoint listens to. */
  readonly issuers: readonly AuthorizationIssuer[];
  /** Undefined where Google's page names none, which is delegate alone. */
  readonly roles?: readonly string[];
  /**
   * Tokens that pass somebody's right on: `refused` with private keys, `accepted` for content keys when both tokens
   * name the same delegate and resource, `granted` where such a token is made, so that none can beget another.
   */
  readonly delegation: 'refused' | 'accepted' | 'granted';
}

/** A person whose two tokens agree. */
export interface AuthorizedUser {
  /** Lower case. */
  readonly address: string;
  readonly authentication: Claims;
  readonly authorization: Claims;
}

export function forUser(requirement: UserRequirement, operation: Operation<AuthorizedUser>): GatedOperation {
  return async (request, context) => {
    const { settings } = context;
    const authentication = await authenticate(request, requirement, context);
    const person = addressOf(authentication);
    request.note({ authenticated: person });
    context.rateLimits.users.take(`${authentication.iss} ${lowerCaseAscii(person)}`);

    const issuers = authorizationIssuers(requirement.issuers, settings);
    const authorization = await verifyToken(request.body, 'authorization', issuers, context);
    request.note({ messageId: authorization['message_id'], resourceName: authorization['resource_name'] });

    requireDelegation(requirement, authentication, authorization);
    if (requirement.roles !== undefined) requireRole(authorization, requirement.roles);
    if (!sameIgnoringCase(person, textClaim(authorization, 'authorization', 'email'))) {
      throw forbidden('The two tokens name different users.');
    }
    requireOurUrl(authorization, settings);
    requireOwnerDomain(authorization, settings);
    const guest = requireWelcomeEmailType(authorization, settings);
    if (guest) request.note({ guest });
    return operation(request, { address: lowerCaseAscii(person), authentication, authorization }, context);
  };
}

/**
 * The token must name no other perimeter than the key, and the perimeter must admit the person. `wrappedWith` is what
 * the key carries, which is what counts; the token's own for a key that is being wrapped. Throws `forbidden`.
 */
export function requirePerimeter(
  user: AuthorizedUser,
  wrappedWith: string,
  { settings }: KeyServiceContext,
): void {
  const perimeterId = perimeterOf(user.authorization);
  if (perimeterId !== '' && perimeterId !== wrappedWith) {
    throw forbidden('The authorization token names another perimeter than the wrapped key.');
  }
  const person = { address: user.address, claims: user.authentication };
  if (perimeterAdmits(settings.perimeters, wrappedWith, person)) return;
  throw forbidden('The perimeter of the key does not admit this user.');
}

async function authenticate(
  { body }: KeyServiceRequest,
  { delegation }: UserRequirement,
  context: KeyServiceContext,
): Promise<Claims> {
  const providers = context.settings.authenticationIssuers.map(trusted);
  const ours = delegation === 'accepted' ? ownDelegationIssuer(context) : undefined;
  const issuers = ours === undefined ? providers : [...providers, ours];
  return verifyToken(body, 'authentication', issuers, context);
}

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

/** https://developers.google.com/workspace/cse/guides/encrypt-and-decrypt-data, on `delegated_to` */
function requireDelegation(
  { delegation }: UserRequirement,
  authentication: Claims,
  authorization: Claims,
): void {
  const authenticated = authentication['delegated_to'] !== undefined;
  const authorized = authorization['delegated_to'] !== undefined;
  if (delegation === 'refused' && (authenticated || authorized)) {
    throw forbidden('Delegated tokens are not accepted by this endpoint.');
  }
  if (delegation === 'granted') {
    if (authenticated) throw forbidden('A delegated token cannot be delegated further.');
    textClaim(authorization, 'authorization', 'delegated_to');
  }
  if (delegation !== 'accepted' || !(authenticated || authorized)) return;
  // One that only one of the two tokens carries is a mismatch too.
  const delegate = textClaim(authentication, 'authentication', 'delegated_to');
  if (!sameIgnoringCase(delegate, textClaim(authorization, 'authorization', 'delegated_to'))) {
    throw forbidden('The two tokens name different delegates (delegated_to).');
  }
  const resource = textClaim(authentication, 'authentication', 'resource_name');
  if (resource !== textClaim(authorization, 'authorization', 'resource_name')) {
    throw forbidden('The delegated token was issued for another resource (resource_name).');
  }
}
