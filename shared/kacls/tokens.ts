/**
 * Verifies the two tokens of a request. Both are RS256 JWTs (RFC 7519). The issuer is chosen by the token's own `iss`
 * among those the endpoint listens to; key set and audiences are that issuer's. Keys named inside a token (`jwk`,
 * `jku`, `x5c`) are ignored. https://developers.google.com/workspace/cse/reference/authentication-tokens and
 * https://developers.google.com/workspace/cse/reference/authorization-tokens
 */
import type { KeyObject } from 'node:crypto';
import { decodeJwt, type JWTPayload, errors as jose, jwtVerify } from 'jose';
import { invalidInput, isSealwrightError, permanent, type SealwrightError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import { duplicateMember } from './duplicate-members.ts';
import type { RequestBody } from './fields.ts';
import type { KeySets } from './key-sets.ts';

/** Where a token stands in the body; also decides how its absence is answered (401 or 403). */
export type TokenField = 'authentication' | 'authorization';

export interface TrustedIssuer {
  /** Compared byte for byte with `iss`. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Where its key set is fetched; for tokens of our own, how the key with an id is had. */
  readonly keys: string | ((keyId: string) => Promise<KeyObject | undefined>);
}

export type Claims = Readonly<JWTPayload>;

/** How far the clocks of an issuer and ours may be apart, in seconds. Google states none; RFC 7519 says "a few minutes" at most. */
export const CLOCK_SKEW_SECONDS = 60;

/**
 * Answers the claims of a token that is genuine and valid now. Throws `unauthenticated` (authentication) or `forbidden`
 * (authorization), both permanent, with a message that names the claim and never quotes the token;
 * `malformed-request` for a field that is no string; `key-service-unavailable` when the keys cannot be had.
 */
export async function verifyToken(
  body: RequestBody,
  field: TokenField,
  trusted: readonly TrustedIssuer[],
  deps: { readonly keySets: KeySets; readonly clock: Clock },
): Promise<Claims> {
  const token = readToken(body, field);
  const claimed = unverifiedIssuer(token, field);
  const issuer = trusted.find((candidate) => candidate.issuer === claimed);
  if (issuer === undefined) {
    throw refuse(field, `The ${field} token comes from an issuer that this endpoint does not listen to.`);
  }
  const now = deps.clock.now();
  try {
    const { payload } = await jwtVerify(token, (header) => keyOf(header.kid, issuer, field, deps.keySets), {
      algorithms: ['RS256'],
      issuer: issuer.issuer,
      audience: [...issuer.audiences],
      requiredClaims: ['exp', 'iat'],
      clockTolerance: CLOCK_SKEW_SECONDS,
      currentDate: now,
    });
    // jose looks at `iat` only together with a maximum age, which Google does not promise.
    if (typeof payload.iat !== 'number' || payload.iat > now.getTime() / 1000 + CLOCK_SKEW_SECONDS) {
      throw refuse(field, `The ${field} token was issued in the future ("iat"); compare the clocks.`);
    }
    return payload;
  } catch (error) {
    if (isSealwrightError(error)) throw error;
    throw refuse(field, describe(error, field));
  }
}

function readToken(body: RequestBody, field: TokenField): string {
  const token = body[field];
  if (token === undefined || token === null || token === '') {
    throw refuse(field, `The request carries no "${field}" token.`);
  }
  if (typeof token !== 'string') throw invalidInput('malformed-request', `"${field}" must be a string.`);
  return token;
}

/** Only to choose the key set; nothing else is believed before the signature holds. */
function unverifiedIssuer(token: string, field: TokenField): string | undefined {
  let issuer: string | undefined;
  try {
    issuer = decodeJwt(token).iss;
  } catch {
    throw refuse(field, `The "${field}" field holds no JSON Web Token.`);
  }
  const [, claims = ''] = token.split('.');
  if (duplicateMember(Buffer.from(claims, 'base64url').toString('utf8')) !== undefined) {
    throw refuse(field, `The ${field} token has a claim twice.`);
  }
  return issuer;
}

async function keyOf(keyId: string | undefined, issuer: TrustedIssuer, field: TokenField, keySets: KeySets) {
  if (keyId === undefined) throw refuse(field, `The ${field} token names no key ("kid").`);
  const key = await (typeof issuer.keys === 'string' ? keySets.key(issuer.keys, keyId) : issuer.keys(keyId));
  if (key === undefined)
    throw refuse(field, `The ${field} token is signed with a key its issuer does not publish.`);
  return key;
}

function describe(error: unknown, field: TokenField): string {
  if (error instanceof jose.JWTExpired) return `The ${field} token has expired.`;
  if (error instanceof jose.JWTClaimValidationFailed) {
    const what = error.reason === 'missing' ? 'is missing' : 'is not what this service expects';
    return `The claim "${error.claim}" of the ${field} token ${what}.`;
  }
  if (error instanceof jose.JWSSignatureVerificationFailed) {
    return `The signature of the ${field} token does not hold.`;
  }
  if (error instanceof jose.JOSEAlgNotAllowed) return `The ${field} token is not signed with RS256.`;
  if (error instanceof jose.JOSEError) return `The "${field}" field holds no token this service can read.`;
  throw error;
}

export const refuse = (field: TokenField, message: string): SealwrightError =>
  permanent(field === 'authentication' ? 'unauthenticated' : 'forbidden', message);
