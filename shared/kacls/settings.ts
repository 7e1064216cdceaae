/**
 * What the key service has to be told. A plain interface; `shared/config` reads it from the environment and
 * `settings-check.ts` checks how its parts fit together. There is no switch that turns token validation off.
 */
import type { Perimeter } from './perimeters.ts';
import type { RateLimit } from './rate-limits.ts';

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
  /** Addresses of the service accounts that may call rewrapprivatekey besides those. Default nobody. */
  readonly rewrapCallers?: readonly string[];
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
  /**
   * Google's applications whose authorization tokens are listened to. Default all of them. A customer who has CSE for
   * mail alone names `gmail` and so switches wrap, unwrap and delegate off.
   */
  readonly applications?: readonly Application[];
  /**
   * Identity providers, or clients of them, for the privileged endpoints alone. An admin's token for Gmail must not
   * open an export, so no issuer may stand here and above with the same audience. Default none.
   */
  readonly privilegedIssuers?: readonly AuthenticationIssuer[];
  /** Addresses that may use each privileged endpoint. Default nobody, and then the endpoint does not exist. */
  readonly privilegedCallers?: Readonly<Partial<Record<PrivilegedEndpoint, readonly string[]>>>;
  /**
   * Base addresses of key services we move away from: rewrap calls their privilegedunwrap. Exactly these are called.
   * Default none, and then rewrap does not exist.
   */
  readonly migrationSources?: readonly string[];
  /** Base addresses of key services that may have our content keys unwrapped, to move away from us. Default none. */
  readonly migrationTargets?: readonly string[];
  /** What a `perimeter_id` means. Default: nothing beyond being the same at wrap and use. */
  readonly perimeters?: readonly Perimeter[];
  /** For each person and instance. Default `DEFAULT_RATE_LIMITS.users`. */
  readonly userRateLimit?: RateLimit;
  /** For each admin, service account or other key service and instance. Default `DEFAULT_RATE_LIMITS.privileged`. */
  readonly privilegedRateLimit?: RateLimit;
}

export const PRIVILEGED_ENDPOINTS = [
  'privilegedwrap',
  'privilegedunwrap',
  'privilegedprivatekeydecrypt',
] as const;
export type PrivilegedEndpoint = (typeof PRIVILEGED_ENDPOINTS)[number];

/**
 * A person opens a folder of a few hundred mails at once and then reads on; ten keys a second for hours is no person.
 * An export runs for days and is let through faster.
 */
export const DEFAULT_RATE_LIMITS = {
  users: { burst: 300, perSecond: 10 },
  privileged: { burst: 1000, perSecond: 100 },
} as const satisfies Record<string, RateLimit>;

/** https://developers.google.com/workspace/cse/guides/configure-service */
export const GOOGLE_SERVICE_ACCOUNT_KEY_SETS = 'https://www.googleapis.com/service_accounts/v1/jwk/';
export const GOOGLE_ID_TOKEN_KEY_SET = 'https://www.googleapis.com/oauth2/v3/certs';
export const GOOGLE_ID_TOKEN_ISSUER = 'https://accounts.google.com';

/** `aud` of every authorization token, whichever application asked for it. */
export const AUTHORIZATION_AUDIENCE = 'cse-authorization';

/** `aud` of a token with which one key service calls another. */
export const MIGRATION_AUDIENCE = 'kacls-migration';
/** `aud` of the tokens that delegate issues. They come back to us alone, so the name is ours to choose. */
export const DELEGATION_AUDIENCE = 'kacls-delegation';

/** Issuers of authorization tokens, by the application they speak for. Each endpoint names the ones it listens to. */
export const AUTHORIZATION_ISSUERS = {
  drive: 'gsuitecse-tokenissuer-drive@system.gserviceaccount.com',
  meet: 'gsuitecse-tokenissuer-meet@system.gserviceaccount.com',
  calendar: 'gsuitecse-tokenissuer-calendar@system.gserviceaccount.com',
  gmail: 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com',
  /** Gmail to recipients without S/MIME ("send to anyone"); content keys, not private keys. Not in Google's table. */
  'gmail-sta': 'gsuitecse-tokenissuer-gmail-sta@system.gserviceaccount.com',
  migration: 'apps-security-cse-kaclscommunication@system.gserviceaccount.com',
} as const;

export type AuthorizationIssuer = keyof typeof AUTHORIZATION_ISSUERS;
export type Application = Exclude<AuthorizationIssuer, 'migration'>;
export const APPLICATIONS: readonly Application[] = ['drive', 'meet', 'calendar', 'gmail', 'gmail-sta'];
/** Those that wrap content keys. */
export const CONTENT_KEY_APPLICATIONS: readonly Application[] = ['drive', 'meet', 'calendar', 'gmail-sta'];

/**
 * One trailing slash is no difference: operations are reached at base + `/` + name, so both spellings name the same
 * endpoints, no other service can stand under the other spelling, and people paste both. Nothing else is
 * normalised: case, port, escapes and scheme must match as written.
 */
export const withoutTrailingSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);
