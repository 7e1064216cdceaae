/**
 * Cloud Run's IAM check: https://cloud.google.com/run/docs/securing/authenticating. The token is in
 * `X-Serverless-Authorization` or, when that is absent, in `Authorization`. It reaches the function with its signature
 * replaced, so that the function can read who called but cannot use the token elsewhere.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { GoogleError } from '../core/google-error.ts';
import type { IdTokens } from '../core/rooms.ts';
import { refusal } from './refusal.ts';
import type { IamAccess } from './service.ts';

export interface Admitted {
  /** The caller's address. */
  readonly email: string;
  /** The one header that carried the token, as the function is to see it. */
  readonly header: Readonly<Record<string, string>>;
}

const REMOVED_SIGNATURE = 'SIGNATURE_REMOVED_BY_GOOGLE';

/** Throws 403 without a token or for somebody who is no invoker, 401 for a token that is no good here. */
export async function admit(request: {
  readonly headers: IncomingHttpHeaders;
  readonly idTokens: IdTokens;
  readonly service: string;
  /** The service's own address, without a slash at its end. */
  readonly origin: string;
  readonly access: IamAccess;
}): Promise<Admitted> {
  const { headers, access } = request;
  const name =
    headers['x-serverless-authorization'] === undefined ? 'authorization' : 'x-serverless-authorization';
  const value = headers[name];
  if (value === undefined) throw refusal.noToken();
  const token = /^Bearer\s+(\S+)$/i.exec(String(value))?.[1];
  if (token === undefined) throw refusal.badToken(`The ${name} header holds no bearer token.`);
  const audiences = [request.origin, `${request.origin}/`, ...(access.audiences ?? [])];
  const claims = await verified(request.idTokens, token, audiences);
  const email = claims['email_verified'] === true ? String(claims['email'] ?? '').toLowerCase() : '';
  if (!access.invokers.some((invoker) => invoker.toLowerCase() === email)) {
    throw refusal.notInvoker(email === '' ? 'a caller without a verified address' : email, request.service);
  }
  return {
    email,
    header: { [name]: `Bearer ${token.slice(0, token.lastIndexOf('.') + 1)}${REMOVED_SIGNATURE}` },
  };
}

async function verified(
  idTokens: IdTokens,
  token: string,
  audiences: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  // Read before it is verified only to know which of the audiences to verify it for.
  const audience = audiences.find((candidate) => candidate === claimedAudience(token));
  if (audience === undefined) throw refusal.badToken("The token's audience is not this service.");
  try {
    return await idTokens.verifyGoogle(token, audience);
  } catch (error) {
    if (error instanceof GoogleError) throw refusal.badToken(error.message);
    throw error;
  }
}

function claimedAudience(token: string): unknown {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return claims !== null && typeof claims === 'object' && 'aud' in claims ? claims.aud : undefined;
  } catch {
    return undefined;
  }
}
