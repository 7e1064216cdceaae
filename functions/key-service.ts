/**
 * Public HTTPS: the key service. This file is its HTTP side only (paths, CORS, error bodies, audit line); what it does
 * is in `shared/kacls/endpoints.ts`.
 *
 * Callers are Gmail in a browser on Google's origin, Google's phone apps, which send no `Origin`, and our own reconciler.
 * Tokens travel in the body, so the function is deployed without IAM in front of it.
 */
import { randomBytes } from 'node:crypto';
import type { HttpFunction } from '@google-cloud/functions-framework';
import { invalidInput, isSealwrightError, permanent, type SealwrightError } from '../shared/errors.ts';
import { type AuditLine, auditLine, cleanText } from '../shared/kacls/audit.ts';
import type { KeyServiceContext, RandomBytes } from '../shared/kacls/context.ts';
import { assertImplicitRejection } from '../shared/kacls/decryption.ts';
import { ENDPOINTS, type Endpoint, MAX_BODY_BYTES } from '../shared/kacls/endpoints.ts';
import { keySets } from '../shared/kacls/key-sets.ts';
import { rateLimiter } from '../shared/kacls/rate-limits.ts';
import {
  DEFAULT_RATE_LIMITS,
  type KeyServiceSettings,
  withoutTrailingSlash,
} from '../shared/kacls/settings.ts';
import { assertKeyServiceSettings } from '../shared/kacls/settings-check.ts';
import type { AddressBook } from '../shared/ports/address-book.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { KeySetDocuments } from '../shared/ports/jwks.ts';
import type { KeyEncryptionKeys } from '../shared/ports/key-encryption-keys.ts';
import type { RewrappedKeys } from '../shared/ports/ledger/rewrapped-keys.ts';
import type { Log } from '../shared/ports/log.ts';
import type { OtherKeyServices } from '../shared/ports/other-key-services.ts';
import type { TokenSigningKeys } from '../shared/ports/token-signing-keys.ts';
import { commonHeaders, errorBody, newCorrelationId } from './key-service-answers.ts';
import {
  asHttpFunction,
  type EdgeOptions,
  type HttpAnswer,
  type HttpCall,
  type HttpHandler,
  httpStatusOf,
  parseJsonObject,
} from './wire/http.ts';

export interface KeyServiceDeps {
  readonly settings: KeyServiceSettings;
  readonly keyEncryptionKeys: KeyEncryptionKeys;
  readonly addressBook: AddressBook;
  readonly keySetDocuments: KeySetDocuments;
  readonly clock: Clock;
  readonly log: Log;
  /** For /status. */
  readonly version: string;
  /** Without it certs, delegate and rewrap are not served. */
  readonly tokenSigningKeys?: TokenSigningKeys;
  /** Without it a blob whose key-encryption key is gone stays shut, also after it was wrapped again. */
  readonly newerForms?: Pick<RewrappedKeys, 'newerWrappedKey'>;
  /** Without it rewrap is not served. */
  readonly otherKeyServices?: OtherKeyServices;
  /** Default: the runtime's own; tests may fix it. */
  readonly random?: RandomBytes;
}

const LONGEST_LOGGED_REASON = 200;

/** Ready for `http('key-service', …)`. */
export const keyServiceFunction = (deps: KeyServiceDeps): HttpFunction =>
  asHttpFunction(createKeyService(deps), keyServiceEdge(deps));

/**
 * The handler. It answers its own errors, because each carries the id of its log line. Throws at once
 * `settings-invalid` for settings that do not fit together, and a plain error on a runtime that cannot decrypt PKCS#1
 * v1.5 safely.
 */
export function createKeyService(deps: KeyServiceDeps): HttpHandler {
  assertKeyServiceSettings(deps.settings);
  assertImplicitRejection();
  const context: KeyServiceContext = {
    settings: deps.settings,
    keySets: keySets({ documents: deps.keySetDocuments, clock: deps.clock, log: deps.log }),
    keyEncryptionKeys: deps.keyEncryptionKeys,
    addressBook: deps.addressBook,
    newerForms: deps.newerForms,
    tokenSigningKeys: deps.tokenSigningKeys,
    otherKeyServices: deps.otherKeyServices,
    rateLimits: {
      users: rateLimiter(deps.settings.userRateLimit ?? DEFAULT_RATE_LIMITS.users, deps.clock),
      privileged: rateLimiter(
        deps.settings.privilegedRateLimit ?? DEFAULT_RATE_LIMITS.privileged,
        deps.clock,
      ),
    },
    clock: deps.clock,
    random: deps.random ?? randomBytes,
    version: deps.version,
  };

  return async (call) => {
    if (call.method === 'OPTIONS') return { status: 204 };
    const correlationId = newCorrelationId(context.random);
    const operation = operationOf(call, deps.settings);
    const line = auditLine();
    line.note({ correlationId, operation });
    try {
      const endpoint = requireEndpoint(operation, call, context);
      const body = await runEndpoint(endpoint, call, line, context);
      if (endpoint.auditEvent !== undefined) {
        deps.log.info(endpoint.auditEvent, { ...line.facts(), outcome: 'done' });
      }
      return { status: 200, headers: cachingHeaders(endpoint), body };
    } catch (error) {
      return refusal(error, operation, correlationId, line, deps.log);
    }
  };
}

/** Options for `asHttpFunction`: CORS on every answer, and Google's structured error for what fails before the handler. */
export function keyServiceEdge(deps: Pick<KeyServiceDeps, 'settings' | 'log' | 'random'>): EdgeOptions {
  return {
    name: 'key-service',
    log: deps.log,
    maxBodyBytes: MAX_BODY_BYTES,
    commonHeaders: (call) => commonHeaders(call, operationOf(call, deps.settings)),
    errorBody: (failure) => {
      const correlationId = newCorrelationId(deps.random ?? randomBytes);
      deps.log.warning('key-service-request-refused', {
        correlationId,
        status: failure.httpStatus,
        code: failure.code,
      });
      return errorBody(failure.httpStatus, failure.message, correlationId);
    },
  };
}

async function runEndpoint(endpoint: Endpoint, call: HttpCall, line: AuditLine, context: KeyServiceContext) {
  if (call.body.length > endpoint.maxBodyBytes) {
    throw invalidInput(
      'request-too-large',
      `The request body has ${call.body.length} bytes; at most ${endpoint.maxBodyBytes} are taken.`,
    );
  }
  // The content type is not looked at: Google does not document what it sends.
  const body = endpoint.method === 'POST' ? parseJsonObject(call.body) : {};
  // Strings cannot be wiped in JavaScript, but the bytes they were read from can: one copy of a key less.
  call.body.fill(0);
  // Opaque text that anybody may have written; never parsed, never a reason to fail.
  const reason = body['reason'];
  if (typeof reason === 'string') line.note({ reason: cleanText(reason, LONGEST_LOGGED_REASON) });
  return endpoint.run({ body, note: line.note }, context);
}

/** What stands below the path of our base URL; undefined outside it. */
function operationOf(call: HttpCall, settings: KeyServiceSettings): string | undefined {
  const prefix = `${withoutTrailingSlash(new URL(settings.baseUrl).pathname)}/`;
  return call.path.startsWith(prefix) ? call.path.slice(prefix.length) : undefined;
}

function requireEndpoint(
  operation: string | undefined,
  call: HttpCall,
  context: KeyServiceContext,
): Endpoint {
  const endpoint = operation === undefined ? undefined : ENDPOINTS.get(operation);
  if (endpoint === undefined) throw permanent('not-found', 'This key service has no such operation.');
  if (!endpoint.isConfigured(context)) {
    throw permanent('not-found', `This key service is not configured for ${operation}.`);
  }
  if (call.method !== endpoint.method) {
    throw invalidInput('method-not-allowed', `${operation} is called with ${endpoint.method}.`);
  }
  return endpoint;
}

/** Codes whose message is meant for the caller; everything else is our own trouble and stays in the log. */
const CALLERS_BUSINESS: ReadonlySet<string> = new Set([
  'malformed-request',
  'request-too-large',
  'too-many-requests',
  'unauthenticated',
  'forbidden',
  'not-found',
  'method-not-allowed',
  'wrapped-key-unreadable',
]);

function refusal(
  error: unknown,
  operation: string | undefined,
  correlationId: string,
  line: AuditLine,
  log: Log,
): HttpAnswer {
  const known = isSealwrightError(error) ? error : undefined;
  const callers = known !== undefined && CALLERS_BUSINESS.has(known.code);
  const status = callers ? statusOf(known) : known?.kind === 'retryable' ? 503 : 500;
  const endpoint = operation === undefined ? undefined : ENDPOINTS.get(operation);
  const event = endpoint?.auditEvent ?? 'key-service-request-refused';
  const facts = {
    ...line.facts(),
    outcome: callers ? 'refused' : 'failed',
    status,
    code: known?.code ?? 'internal',
    message: error instanceof Error ? error.message : String(error),
    ...(known === undefined && error instanceof Error ? { bug: error.stack ?? error.message } : {}),
  };
  if (callers) log.warning(event, facts);
  else log.error(event, facts);

  const message = callers
    ? known.message
    : 'The key service cannot do this now; its log says why, under the id in details.';
  return {
    status,
    headers: {
      ...(status === 503 || status === 429
        ? { 'retry-after': String(Math.max(1, Math.ceil((known?.retryAfterMs ?? 1000) / 1000))) }
        : {}),
      ...(status === 405 && endpoint !== undefined ? { allow: `${endpoint.method}, OPTIONS` } : {}),
    },
    body: errorBody(status, message, correlationId),
  };
}

const statusOf = (error: SealwrightError): number =>
  error.code === 'too-many-requests' ? 429 : httpStatusOf(error);

/** Answers are not kept by anybody (see `commonHeaders`), except where the endpoint says so. */
const cachingHeaders = ({ maxAgeSeconds }: Endpoint): Readonly<Record<string, string>> =>
  maxAgeSeconds === undefined ? {} : { 'cache-control': `public, max-age=${maxAgeSeconds}` };
