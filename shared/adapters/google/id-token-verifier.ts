import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { permanent, retryable } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { IdTokenVerifier } from '../../ports/id-tokens.ts';
import type { GoogleEndpoints } from './endpoints.ts';

const ISSUERS = ['https://accounts.google.com', 'accounts.google.com'];
const SKEW_SECONDS = 60;

/** Verifies against Google's published keys, which jose keeps and refreshes when a new key id appears. */
export function googleIdTokenVerifier(endpoints: GoogleEndpoints, clock: Clock): IdTokenVerifier {
  const root = endpoints.rootUrl ?? 'https://www.googleapis.com/';
  const keys = createRemoteJWKSet(new URL('oauth2/v3/certs', root));
  return {
    async verify(token, audiences) {
      const { payload } = await jwtVerify(token, keys, {
        issuer: ISSUERS,
        audience: [...audiences],
        algorithms: ['RS256'],
        requiredClaims: ['exp', 'iat', 'sub', 'email'],
        clockTolerance: SKEW_SECONDS,
        currentDate: clock.now(),
      }).catch((error: unknown) => {
        throw refusal(error);
      });
      if (typeof payload['email'] !== 'string' || payload['email_verified'] !== true) {
        throw permanent('unauthenticated', 'The token names no verified address.');
      }
      return {
        email: payload['email'],
        subject: payload.sub ?? '',
        ...(typeof payload['hd'] === 'string' ? { hostedDomain: payload['hd'] } : {}),
      };
    },
  };
}

function refusal(error: unknown) {
  // jose throws its plain base class when the keys' address answers badly; only its subclasses are about the token.
  const keysFailed =
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    !(error instanceof errors.JOSEError) ||
    error.code === 'ERR_JOSE_GENERIC';
  if (keysFailed) {
    return retryable('tokens-unavailable', "Google's public keys could not be fetched.", { cause: error });
  }
  if (error instanceof errors.JWTExpired)
    return permanent('unauthenticated', 'The token has expired; get a fresh one.');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return permanent('unauthenticated', `The token's claim "${error.claim}" is not what it must be.`);
  }
  return permanent('unauthenticated', 'The token is no ID token that Google signed.');
}
