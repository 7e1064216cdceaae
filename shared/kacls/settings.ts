/**
 * What the key service has to be told. A plain interface; `shared/config` reads it from the environment and
 * `assertKeyServiceSettings` checks how its parts fit together. There is no switch that turns token validation off.
 */
import { permanent } from '../errors.ts';

/** One identity provider whose tokens say who is sitting at the browser. */
export interface AuthenticationIssuer {
  /** Compared byte for byte with the token's `iss`. */
  readonly issuer: string;
  /** The provider's key set, https (plain http only on loopback). */
  readonly jwksUrl: string;
  /** Any one of them must be in `aud`. Gmail's phone apps bring client ids of their own, so there are several. */
  readonly audiences: readonly string[];
}

export interface KeyServiceSettings {
  /**
   * The address registered in the Admin console, such as `https://kacls.acme.example/v1`, and so what `kacls_url` says
   * in Google's tokens. Wrong: every call is refused. A trailing slash makes no difference.
   */
  readonly baseUrl: string;
  /** Goes into what every wrapped key is bound to; changing it makes all existing wrapped keys unreadable. */
  readonly tenantId: string;
  /** Primary Workspace domain; compared with `kacls_owner_domain` where Google sends it. */
  readonly ownerDomain: string;
  readonly authenticationIssuers: readonly AuthenticationIssuer[];
  /**
   * Where the key sets of Google's authorization-token issuers are found: this, then the issuer's address.
   * Default `GOOGLE_SERVICE_ACCOUNT_KEY_SETS`; only an emulator needs another.
   */
  readonly authorizationKeySetRoot?: string;
  /** Addresses of the service accounts that may call wrapprivatekey. Empty: nobody may. */
  readonly wrapCallers: readonly string[];
  /** Key set of Google's own ID tokens. Default `GOOGLE_ID_TOKEN_KEY_SET`; only an emulator needs another. */
  readonly wrapCallerKeySetUrl?: string;
  /** Whether people without a Google account (`google-visitor`, `customer-idp`) are served. */
  readonly guests: 'refuse' | 'allow';
  /** Whether `SHA1withRSA` is served; off unless an old peer really needs it. */
  readonly sha1Signing: boolean;
  /**
   * Hash of MGF1 in RSAES-OAEP. `same` as the named hash, or `sha1`, which is what Java's default parameters mean by
   * the same names. Which of the two Gmail means is not documented.
   */
  readonly oaepMgf1: 'same' | 'sha1';
}

/** https://developers.google.com/workspace/cse/guides/configure-service */
export const GOOGLE_SERVICE_ACCOUNT_KEY_SETS = 'https://www.googleapis.com/service_accounts/v1/jwk/';
export const GOOGLE_ID_TOKEN_KEY_SET = 'https://www.googleapis.com/oauth2/v3/certs';
export const GOOGLE_ID_TOKEN_ISSUER = 'https://accounts.google.com';

/** `aud` of every authorization token, whichever application asked for it. */
export const AUTHORIZATION_AUDIENCE = 'cse-authorization';

/** Issuers of authorization tokens, by the application they speak for. Each endpoint names the ones it listens to. */
export const AUTHORIZATION_ISSUERS = {
  gmail: 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com',
} as const;

export type AuthorizationIssuer = keyof typeof AUTHORIZATION_ISSUERS;

/**
 * One trailing slash is no difference: operations are reached at base + `/` + name, so both spellings name the same
 * endpoints, no other service can stand under the other spelling, and people paste both. Nothing else is
 * normalised: case, port, escapes and scheme must match as written.
 */
export const withoutTrailingSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);

/** Throws `settings-invalid` (permanent) with a sentence that names the field. */
export function assertKeyServiceSettings(settings: KeyServiceSettings): void {
  requireSecureUrl('baseUrl', settings.baseUrl);
  const base = new URL(settings.baseUrl);
  if (base.search !== '' || base.hash !== '' || base.username !== '' || base.pathname.includes('//')) {
    throw invalid('baseUrl', 'must be a plain address without query, fragment, user or doubled slashes');
  }
  if (settings.tenantId === '' || Buffer.byteLength(settings.tenantId) > 255) {
    throw invalid('tenantId', 'must have 1 to 255 bytes');
  }
  if (settings.ownerDomain === '') throw invalid('ownerDomain', 'must not be empty');
  if (settings.authorizationKeySetRoot !== undefined) {
    requireSecureUrl('authorizationKeySetRoot', settings.authorizationKeySetRoot);
  }
  if (settings.wrapCallerKeySetUrl !== undefined) {
    requireSecureUrl('wrapCallerKeySetUrl', settings.wrapCallerKeySetUrl);
  }
  if (settings.authenticationIssuers.length === 0) {
    throw invalid('authenticationIssuers', 'must name at least one identity provider');
  }
  const seen = new Set<string>();
  for (const { issuer, jwksUrl, audiences } of settings.authenticationIssuers) {
    if (issuer === '') throw invalid('authenticationIssuers', 'has an entry without an issuer');
    if (seen.has(issuer))
      throw invalid('authenticationIssuers', `names ${issuer} twice; list its audiences once`);
    seen.add(issuer);
    requireSecureUrl(`authenticationIssuers (${issuer}).jwksUrl`, jwksUrl);
    if (audiences.length === 0 || audiences.includes('')) {
      throw invalid('authenticationIssuers', `needs at least one audience for ${issuer}, and no empty one`);
    }
    // A token made for another purpose of this service must not also say who sits at the browser.
    const ours = [AUTHORIZATION_AUDIENCE, withoutTrailingSlash(settings.baseUrl)];
    if (audiences.some((audience) => ours.includes(withoutTrailingSlash(audience)))) {
      throw invalid(
        'authenticationIssuers',
        `gives ${issuer} an audience that this service uses for other tokens`,
      );
    }
  }
}

function requireSecureUrl(field: string, text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return;
  throw invalid(field, `must be an https address (plain http only on loopback), and is "${text}"`);
}

const invalid = (field: string, complaint: string) =>
  permanent('settings-invalid', `Key service settings: ${field} ${complaint}.`, { details: { field } });
