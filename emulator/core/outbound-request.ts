/**
 * Calls the emulator makes itself, as Pub/Sub's push and Cloud Scheduler do: one HTTP request with, when asked for,
 * an ID token of a service account. What comes back is a status or a sentence, never a thrown error: a push that
 * finds nobody at home is everyday life.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { HostNames, IdTokens } from './rooms.ts';
import { serviceAccountId } from './service-account-id.ts';

export const GOOGLE_ISSUER = 'https://accounts.google.com';

export interface OidcIdentity {
  readonly serviceAccountEmail: string;
  /** `aud` of the token; the address that is called when absent. */
  readonly audience?: string;
}

export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly oidc: OidcIdentity | undefined;
  /** How long to wait for the status line, in milliseconds of real time. */
  readonly timeoutMs: number;
}

/** The status that was answered, or in words why there is none. 102 is an answer here, as it is for Google. */
export type OutboundOutcome =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'failed'; readonly why: string };

export interface OutboundParts {
  readonly idTokens: IdTokens;
  /** Where public names really are; addresses it does not know are called as they stand. */
  readonly hostNames?: HostNames;
}

/** Makes the call. Redirects are not followed: Google's push takes a 3xx for a refusal. */
export async function sendOutbound(
  parts: OutboundParts,
  request: OutboundRequest,
  signal: AbortSignal,
): Promise<OutboundOutcome> {
  try {
    const headers = { ...request.headers };
    if (request.oidc !== undefined) {
      headers['authorization'] = `Bearer ${await mintFor(parts.idTokens, request.oidc, request.url)}`;
    }
    const named = new URL(request.url);
    const target = parts.hostNames?.resolve(named) ?? named;
    if (target.host !== named.host) headers['host'] = named.host;
    return await exchange(target, { ...request, headers }, signal);
  } catch (error) {
    return { kind: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}

/** The ID token Google attaches for a service account: `aud`, `azp`, `sub`, `email`, `email_verified`. */
function mintFor(idTokens: IdTokens, oidc: OidcIdentity, url: string): Promise<string> {
  const id = serviceAccountId(oidc.serviceAccountEmail);
  return idTokens.mint(GOOGLE_ISSUER, {
    aud: oidc.audience ?? url,
    azp: id,
    sub: id,
    email: oidc.serviceAccountEmail,
    email_verified: true,
  });
}

function exchange(target: URL, request: OutboundRequest, signal: AbortSignal): Promise<OutboundOutcome> {
  return new Promise((resolve) => {
    const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = send(target, {
      method: request.method,
      headers: {
        ...request.headers,
        ...(request.body === undefined ? {} : { 'content-length': String(request.body.length) }),
      },
      signal,
    });
    const timer = setTimeout(() => {
      finish({ kind: 'failed', why: `no answer within ${request.timeoutMs / 1000} s` });
      outgoing.destroy();
    }, request.timeoutMs);
    const finish = (outcome: OutboundOutcome): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    outgoing.on('information', (information) => {
      if (information.statusCode !== 102) return;
      finish({ kind: 'answered', status: 102 });
      outgoing.destroy();
    });
    outgoing.on('response', (response: IncomingMessage) => {
      response.on('error', () => undefined);
      response.resume();
      finish({ kind: 'answered', status: response.statusCode ?? 0 });
    });
    // Also after the outcome is known: destroying a request makes it emit an error nobody else listens to.
    outgoing.on('error', (error) => finish({ kind: 'failed', why: error.message }));
    outgoing.end(request.body);
  });
}
