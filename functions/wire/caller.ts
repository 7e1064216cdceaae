import type { IncomingHttpHeaders } from 'node:http';
import { decodeJwt } from 'jose';
import { permanent } from '../../shared/errors.ts';
import type { IdTokenVerifier } from '../../shared/ports/id-tokens.ts';

/**
 * Who may call a private function.
 *
 * Cloud Run verifies a caller's token and replaces its signature before our code sees it, so where the deployment
 * declares `behindIam` only `aud`, `email` and `email_verified` are read. Anywhere else the token is verified whole.
 * https://cloud.google.com/run/docs/authenticating/service-to-service
 */
export interface CallerRule {
  readonly behindIam: boolean;
  readonly audience: string;
  /** Service accounts that may call, lower case. */
  readonly emails: readonly string[];
}

/** Answers the caller's address. Throws `unauthenticated` without a token for us, `forbidden` for somebody else. */
export async function authenticateCaller(
  headers: IncomingHttpHeaders,
  rule: CallerRule,
  verifier: IdTokenVerifier,
): Promise<string> {
  const token = bearerToken(headers['x-serverless-authorization'] ?? headers.authorization);
  const email = rule.behindIam
    ? readVerifiedByCloudRun(token, rule)
    : (await verifier.verify(token, [rule.audience])).email;
  if (!rule.emails.includes(email.toLowerCase())) {
    throw permanent('forbidden', `${email} may not call this function.`);
  }
  return email;
}

/** The token of an `Authorization: Bearer` header. Throws `unauthenticated`. */
export function bearerToken(header: string | readonly string[] | undefined): string {
  const match = /^Bearer\s+(\S+)$/i.exec(typeof header === 'string' ? header : '');
  if (match?.[1] === undefined) {
    throw permanent('unauthenticated', 'The request carries no "Authorization: Bearer" token.');
  }
  return match[1];
}

function readVerifiedByCloudRun(token: string, rule: CallerRule): string {
  let claims: Record<string, unknown>;
  try {
    claims = decodeJwt(token);
  } catch (error) {
    throw permanent('unauthenticated', 'The bearer token is no JWT.', { cause: error });
  }
  const audiences = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
  if (!audiences.includes(rule.audience)) {
    throw permanent('unauthenticated', `The bearer token is for another audience than ${rule.audience}.`);
  }
  if (typeof claims['email'] !== 'string' || claims['email_verified'] !== true) {
    throw permanent('unauthenticated', 'The bearer token names no verified address.');
  }
  return claims['email'];
}
