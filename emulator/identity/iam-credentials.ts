/**
 * IAM Credentials: a caller with `roles/iam.serviceAccountTokenCreator` on a service account signs or gets tokens as
 * that account. https://cloud.google.com/iam/docs/reference/credentials/rest
 */
import type { AccessTokens, Caller } from '../core/access-tokens.ts';
import { GoogleError, invalidArgument, notFound } from '../core/google-error.ts';
import { checkQuery, readMessage } from '../core/message.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import { type Answer, type Call, ok, type Route } from '../core/route.ts';
import type { TokenIssuers } from './id-tokens.ts';
import { signText } from './jws.ts';
import { type KeyRings, ring } from './key-rings.ts';
import { CLOUD_PLATFORM_SCOPE, IAM_SCOPE, isScope } from './scopes.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import type { ServiceAccount } from './settings.ts';
import type { Clocks } from './times.ts';

export interface IamCredentialsParts {
  readonly tokens: AccessTokens;
  readonly serviceAccounts: ServiceAccounts;
  readonly keys: KeyRings;
  readonly issuers: TokenIssuers;
  readonly clocks: Clocks;
}

const MAX_SIGNED_SECONDS = 12 * 3600;
const MAX_TOKEN_SECONDS = 3600;
const DELEGATES = { delegates: { repeated: 'string' } } as const;

export function iamCredentials(parts: IamCredentialsParts): readonly Route[] {
  const method = (
    name: 'signJwt' | 'generateIdToken' | 'generateAccessToken',
    permission: string,
    handle: (call: Call, target: (delegates?: readonly string[]) => ServiceAccount) => Promise<Answer>,
  ): Route => ({
    id: `iamcredentials.projects.serviceAccounts.${name}`,
    verb: 'POST',
    path: `/v1/projects/:project/serviceAccounts/:account\\:${name}`,
    scopes: [CLOUD_PLATFORM_SCOPE, IAM_SCOPE],
    handle: (call) => {
      checkQuery(call);
      return handle(call, (delegates = []) =>
        authorizedTarget(parts.serviceAccounts, call, delegates, permission),
      );
    },
  });
  return [
    method('signJwt', 'iam.serviceAccounts.signJwt', (call, target) => signJwt(parts, call, target)),
    method('generateIdToken', 'iam.serviceAccounts.getOpenIdToken', (call, target) =>
      generateIdToken(parts, call, target),
    ),
    method('generateAccessToken', 'iam.serviceAccounts.getAccessToken', (call, target) =>
      generateAccessToken(parts, call, target),
    ),
  ];
}

type Target = (delegates?: readonly string[]) => ServiceAccount;

async function signJwt(parts: IamCredentialsParts, call: Call, target: Target): Promise<Answer> {
  const request = readMessage(call, { ...DELEGATES, payload: 'string' });
  const account = target(request.delegates);
  const payload = request.payload ?? '';
  checkClaims(parts.clocks, payload);
  const key = await parts.keys.signing(ring.system(account.email));
  return ok({ keyId: key.kid, signedJwt: await signText(payload, key) });
}

/** `payload` is text holding a JSON object; its `exp`, if any, an integer not past and at most 12 h ahead. */
function checkClaims(clocks: Clocks, payload: string): void {
  let claims: unknown;
  try {
    claims = JSON.parse(payload);
  } catch {
    claims = undefined;
  }
  if (claims === null || typeof claims !== 'object' || Array.isArray(claims)) {
    throw invalidArgument(
      'Request contains an invalid argument: "payload" must be a serialized JSON object.',
    );
  }
  if (!('exp' in claims)) return;
  const { exp } = claims;
  if (typeof exp !== 'number' || !Number.isInteger(exp)) {
    throw invalidArgument('The "exp" claim of the payload must be an integer timestamp in seconds.');
  }
  if (clocks.holding({ exp }, MAX_SIGNED_SECONDS) === undefined) {
    throw invalidArgument(
      'The "exp" claim of the payload must not be in the past and not more than 12 hours in the future.',
    );
  }
}

async function generateIdToken(parts: IamCredentialsParts, call: Call, target: Target): Promise<Answer> {
  const request = readMessage(call, {
    ...DELEGATES,
    audience: 'string',
    includeEmail: 'bool',
    organizationNumberIncluded: 'bool',
  });
  const account = target(request.delegates);
  if (request.audience === undefined || request.audience === '')
    throw invalidArgument('"audience" is required.');
  if (request.organizationNumberIncluded === true) {
    throw new GoogleError(
      501,
      'notImplemented',
      'The emulator puts no organization number into ID tokens; leave organizationNumberIncluded out.',
    );
  }
  const token = await parts.issuers.mint(
    GOOGLE_ISSUER,
    {
      aud: request.audience,
      azp: account.uniqueId,
      sub: account.uniqueId,
      ...(request.includeEmail === true ? { email: account.email, email_verified: true } : {}),
    },
    // Google's client libraries keep such tokens until `exp` by the machine's clock.
    { clock: 'machine' },
  );
  return ok({ token });
}

async function generateAccessToken(parts: IamCredentialsParts, call: Call, target: Target): Promise<Answer> {
  const request = readMessage(call, {
    ...DELEGATES,
    scope: { repeated: 'string' },
    lifetime: 'string',
  });
  const account = target(request.delegates);
  const scopes = request.scope ?? [];
  if (scopes.length === 0) throw invalidArgument('"scope" is required: name at least one OAuth scope.');
  const wrong = scopes.find((scope) => !isScope(scope));
  if (wrong !== undefined) throw invalidArgument(`"${wrong}" is no OAuth scope of Google's.`);
  const lifetimeMs = lifetimeOf(request.lifetime) * 1000;
  const { accessToken } = parts.tokens.mint(
    { kind: 'service-account', email: account.email, scopes },
    { byRealClock: true, lifetimeMs },
  );
  const expireTime = new Date(parts.clocks.seconds('machine') * 1000 + lifetimeMs);
  return ok({ accessToken, expireTime: expireTime.toISOString().replace(/\.\d+Z$/, 'Z') });
}

function lifetimeOf(lifetime: string | undefined): number {
  if (lifetime === undefined) return MAX_TOKEN_SECONDS;
  const seconds = /^(\d{1,9})(\.\d{1,9})?s$/.exec(lifetime)?.[1];
  if (seconds === undefined || Number(seconds) === 0 || Number(seconds) > MAX_TOKEN_SECONDS) {
    throw invalidArgument(
      '"lifetime" must be a duration such as "3600s", more than zero and at most an hour.',
    );
  }
  return Number(seconds);
}

/** The account of the path, once the caller (or the last of the delegates) may create tokens for it. */
function authorizedTarget(
  serviceAccounts: ServiceAccounts,
  call: Call,
  delegates: readonly string[],
  permission: string,
): ServiceAccount {
  if (call.params['project'] !== '-') {
    throw invalidArgument(
      'The project of the resource name must be the wildcard "-": projects/-/serviceAccounts/ACCOUNT.',
    );
  }
  const path = [...delegates.map(delegateName), call.params['account'] ?? ''];
  let actor = callerEmail(call.caller);
  let reached: ServiceAccount | undefined;
  for (const name of path) {
    reached = serviceAccounts.find(name);
    if (reached === undefined) throw notFound(`Not found; Gaia id not found for email ${name}`);
    if (!reached.tokenCreators.includes(actor)) throw denied(permission);
    actor = reached.email;
  }
  if (reached === undefined) throw denied(permission);
  return reached;
}

function delegateName(resource: string): string {
  const name = /^projects\/-\/serviceAccounts\/([^/]+)$/.exec(resource)?.[1];
  if (name === undefined) {
    throw invalidArgument('Each of "delegates" must be written projects/-/serviceAccounts/ACCOUNT.');
  }
  return name;
}

const callerEmail = (caller: Caller | undefined): string => caller?.email.toLowerCase() ?? '';

function denied(permission: string): GoogleError {
  return new GoogleError(
    403,
    'forbidden',
    `Permission '${permission}' denied on resource (or it may not exist).`,
    {
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission },
        },
      ],
    },
  );
}
