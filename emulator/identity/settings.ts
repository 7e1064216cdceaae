/**
 * What the wiring tells the identity room about the sample company. Accounts named here are made when they are
 * missing and their grants are set to what is written here at each start; their keys stay in the state.
 */
export interface IdentitySettings {
  /** `acme-sealwright`. */
  readonly projectId: string;
  /** Decimal digits. */
  readonly projectNumber: string;
  /** `europe-west1`; the zone is `<region>-1`, as Cloud Run's metadata server has it. */
  readonly region: string;
  /** Primary domain of the tenant, the `hd` claim of its users' Google ID tokens. */
  readonly domain: string;
  readonly serviceAccounts: readonly ServiceAccountSettings[];
  /** Service accounts the metadata server hands out tokens for; `default` must be among `accounts`. */
  readonly attached: { readonly accounts: readonly string[]; readonly default: string };
  /** The company's own identity provider, which is not Google. */
  readonly identityProvider: { readonly issuer: string; readonly clientId: string };
}

export interface ServiceAccountSettings {
  /** `name@project.iam.gserviceaccount.com`. */
  readonly email: string;
  /** Domain-wide delegation as the Admin console lists it: scopes this account may use for any user of the tenant. */
  readonly delegatedScopes?: readonly string[];
  /** E-mail addresses holding `roles/iam.serviceAccountTokenCreator` on this account; it may name itself. */
  readonly tokenCreators?: readonly string[];
}

/** What the state remembers of a service account. */
export interface ServiceAccount {
  readonly email: string;
  /** 21 decimal digits; also its OAuth client id. */
  readonly uniqueId: string;
  readonly delegatedScopes: readonly string[];
  readonly tokenCreators: readonly string[];
}
