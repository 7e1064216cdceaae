export interface VerifiedIdToken {
  readonly email: string;
  readonly subject: string;
  /** The Workspace domain the account belongs to, where Google says so. */
  readonly hostedDomain?: string;
}

/**
 * Google's ID tokens, checked fully: signature against Google's published keys, issuer, audience, times,
 * `email_verified`. https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
 */
export interface IdTokenVerifier {
  /** Throws `unauthenticated`, saying which check failed, without the token. */
  verify(token: string, audiences: readonly string[]): Promise<VerifiedIdToken>;
}
