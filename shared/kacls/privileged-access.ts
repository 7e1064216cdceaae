/**
 * The gates for admins, for other key services and for our own service accounts. None of them takes a token of Google
 * on what may be done: the lists in the settings are the only permission, so each endpoint has a list of its own.
 */
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
import { perimeterAdmits } from './perimeters.ts';
import {
  GOOGLE_ID_TOKEN_ISSUER,
  GOOGLE_ID_TOKEN_KEY_SET,
  type KeyServiceSettings,
  MIGRATION_AUDIENCE,
  type PrivilegedEndpoint,
  withoutTrailingSlash,
} from './settings.ts';
import { type Claims, type TrustedIssuer, verifyToken } from './tokens.ts';

/** An admin on the list of the endpoint. */
export interface PrivilegedPerson {
  /** Lower case. */
  readonly address: string;
  readonly authentication: Claims;
}

/** Another key service, to which a customer moves. */
export interface RequestingKeyService {
  /** Its base address as it is configured. */
  readonly url: string;
}

export const forAdmin = (endpoint: PrivilegedEndpoint, operation: Operation<PrivilegedPerson>) => {
  const gated: GatedOperation = async (request, context) => {
    const issuers = (context.settings.privilegedIssuers ?? []).map(trusted);
    const authentication = await verifyToken(request.body, 'authentication', issuers, context);
    return operation(request, admit(endpoint, authentication, request, context), context);
  };
  return gated;
};

/** https://developers.google.com/workspace/cse/reference/authentication-tokens, "KACLS" */
export function forAdminOrKeyService(
  endpoint: PrivilegedEndpoint,
  operation: Operation<PrivilegedPerson | RequestingKeyService>,
): GatedOperation {
  return async (request, context) => {
    const { settings } = context;
    const services = (settings.migrationTargets ?? []).flatMap(keyServiceIssuers);
    const issuers = [...(settings.privilegedIssuers ?? []).map(trusted), ...services];
    const authentication = await verifyToken(request.body, 'authentication', issuers, context);
    const service = services.find(({ issuer }) => issuer === authentication.iss);
    const caller =
      service === undefined
        ? admit(endpoint, authentication, request, context)
        : admitKeyService(service, authentication, request, context);
    return operation(request, caller, context);
  };
}

/**
 * The caller brings, in `authentication`, an ID token that Google signed for a service account:
 * `iss` https://accounts.google.com, `aud` our base URL, `email` in the list `wrapCallers`, `email_verified` true.
 * https://cloud.google.com/run/docs/authenticating/service-to-service
 */
export const forWrapCaller = (operation: Operation<string>): GatedOperation =>
  forServiceAccount(({ wrapCallers }) => wrapCallers, 'wrapCallers', operation);

/** The same for `wrapCallers` and `rewrapCallers`. */
export const forRewrapCaller = (operation: Operation<string>): GatedOperation =>
  forServiceAccount(rewrapCallersOf, 'rewrapCallers', operation);

/** Whoever may have keys wrapped may have them wrapped again. */
export const rewrapCallersOf = ({ wrapCallers, rewrapCallers }: KeyServiceSettings): readonly string[] => [
  ...wrapCallers,
  ...(rewrapCallers ?? []),
];

function forServiceAccount(
  callersOf: (settings: KeyServiceSettings) => readonly string[],
  listName: string,
  operation: Operation<string>,
): GatedOperation {
  return async (request, context) => {
    const { settings } = context;
    const base = withoutTrailingSlash(settings.baseUrl);
    const google: TrustedIssuer = {
      issuer: GOOGLE_ID_TOKEN_ISSUER,
      keys: settings.wrapCallerKeySetUrl ?? GOOGLE_ID_TOKEN_KEY_SET,
      audiences: [base, `${base}/`],
    };
    const claims = await verifyToken(request.body, 'authentication', [google], context);
    const email = textClaim(claims, 'authentication', 'email');
    request.note({ authenticated: email });
    if (claims['email_verified'] !== true)
      throw forbidden('Google has not verified the address of the caller.');
    if (!callersOf(settings).some((caller) => sameIgnoringCase(caller, email))) {
      throw forbidden(
        `${email} may not wrap keys here; the list ${listName} of this key service does not name it.`,
      );
    }
    context.rateLimits.privileged.take(lowerCaseAscii(email));
    return operation(request, email, context);
  };
}

/** Perimeters bind admins too: whoever exports the board's files is let into the board's perimeter, in the settings. */
export function requirePerimeterOfPerson(
  person: PrivilegedPerson,
  perimeterId: string,
  { settings }: KeyServiceContext,
): void {
  const { address, authentication: claims } = person;
  if (perimeterAdmits(settings.perimeters, perimeterId, { address, claims })) return;
  throw forbidden('The perimeter of the key does not admit this user.');
}

function admit(
  endpoint: PrivilegedEndpoint,
  authentication: Claims,
  { note }: KeyServiceRequest,
  { settings, rateLimits }: KeyServiceContext,
): PrivilegedPerson {
  const email = textClaim(authentication, 'authentication', 'email');
  note({ authenticated: email });
  // Stricter than for users, whose second token repeats the address: here this claim alone opens the door.
  if (authentication['email_verified'] !== true) {
    throw forbidden('The identity provider does not say that the address of the caller is verified.');
  }
  if (authentication['delegated_to'] !== undefined) {
    throw forbidden('Delegated tokens are not accepted by this endpoint.');
  }
  if (!(settings.privilegedCallers?.[endpoint] ?? []).some((caller) => sameIgnoringCase(caller, email))) {
    throw forbidden(
      `${email} may not use ${endpoint}; the list privilegedCallers does not name this address.`,
    );
  }
  rateLimits.privileged.take(`${authentication.iss} ${lowerCaseAscii(email)}`);
  return { address: lowerCaseAscii(email), authentication };
}

function admitKeyService(
  service: TrustedIssuer,
  authentication: Claims,
  { body, note }: KeyServiceRequest,
  { settings, rateLimits }: KeyServiceContext,
): RequestingKeyService {
  const url = withoutTrailingSlash(service.issuer);
  note({ authenticated: url });
  const receiver = textClaim(authentication, 'authentication', 'kacls_url');
  if (withoutTrailingSlash(receiver) !== withoutTrailingSlash(settings.baseUrl)) {
    throw forbidden('The token of the key service was made for another one (its kacls_url is not ours).');
  }
  if (textClaim(authentication, 'authentication', 'resource_name') !== body['resource_name']) {
    throw forbidden('The token of the key service was made for another resource (resource_name).');
  }
  rateLimits.privileged.take(url);
  return { url };
}

/** Both spellings of the address, as ours are; the key set is at one place either way. */
function keyServiceIssuers(configured: string): readonly TrustedIssuer[] {
  const url = withoutTrailingSlash(configured);
  return [url, `${url}/`].map((issuer) => ({
    issuer,
    audiences: [MIGRATION_AUDIENCE],
    keys: `${url}/certs`,
  }));
}
