import { notFound } from '../core/google-error.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import { ok, type Route } from '../core/route.ts';
import type { TokenIssuers } from './id-tokens.ts';

const GOOGLE_CACHING = { 'cache-control': 'public, max-age=21600, must-revalidate, no-transform' };
/** A company's own provider: its keys must be readable from any origin, and soon after they change. */
const PROVIDER_CACHING = { 'cache-control': 'public, max-age=300', 'access-control-allow-origin': '*' };

/**
 * Public keys of token issuers. `/oauth2/v3/certs` and `/service_accounts/v1/jwk/ISSUER` are Google's paths on
 * www.googleapis.com; `/_idp/` stands for the host of the company's own identity provider, which is not Google.
 */
export function keySets(parts: {
  readonly issuers: TokenIssuers;
  readonly identityProvider: string;
  readonly rootUrl: () => string;
}): readonly Route[] {
  const { issuers, identityProvider } = parts;
  return [
    {
      id: 'oauth2.certs',
      verb: 'GET',
      path: '/oauth2/v3/certs',
      scopes: 'none',
      handle: async () => ok(await issuers.keySet(GOOGLE_ISSUER), GOOGLE_CACHING),
    },
    {
      id: 'serviceaccounts.jwk',
      verb: 'GET',
      path: '/service_accounts/v1/jwk/:account',
      scopes: 'none',
      handle: async (call) => {
        const account = call.params['account'] ?? '';
        const keys = account.includes('@') ? await issuers.keySet(account) : undefined;
        if (keys === undefined) throw notFound(`There is no service account ${account}.`);
        return ok(keys, GOOGLE_CACHING);
      },
    },
    {
      id: 'idp.jwks',
      verb: 'GET',
      path: '/_idp/jwks',
      scopes: 'none',
      handle: async () => ok(await issuers.keySet(identityProvider), PROVIDER_CACHING),
    },
    {
      id: 'idp.configuration',
      verb: 'GET',
      path: '/_idp/.well-known/openid-configuration',
      scopes: 'none',
      handle: () => {
        const base = `${parts.rootUrl()}_idp`;
        return ok(
          {
            issuer: identityProvider,
            authorization_endpoint: `${base}/authorize`,
            token_endpoint: `${base}/token`,
            jwks_uri: `${base}/jwks`,
            response_types_supported: ['code', 'id_token'],
            grant_types_supported: ['authorization_code'],
            subject_types_supported: ['public'],
            id_token_signing_alg_values_supported: ['RS256'],
            scopes_supported: ['openid', 'email'],
            claims_supported: ['iss', 'aud', 'sub', 'email', 'email_verified', 'nonce', 'iat', 'exp'],
          },
          PROVIDER_CACHING,
        );
      },
    },
  ];
}
