import { serviceAccountId } from '../core/service-account-id.ts';
import type { EmulatorState } from '../core/state.ts';
import { type KeyRings, ring } from './key-rings.ts';
import type { IdentitySettings, ServiceAccount, ServiceAccountSettings } from './settings.ts';

/** A service-account key file as the Cloud console downloads it; `token_uri` is the emulator's. */
export interface KeyFile {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key_id: string;
  /** PKCS#8 PEM. */
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
  readonly auth_uri: string;
  readonly token_uri: string;
  readonly auth_provider_x509_cert_url: string;
  readonly client_x509_cert_url: string;
  readonly universe_domain: 'googleapis.com';
}

/** The project's service accounts: who they are, their keys, and what they were granted. */
export class ServiceAccounts {
  readonly #state: EmulatorState;
  readonly #keys: KeyRings;
  readonly #projectId: string;
  readonly #rootUrl: () => string;
  readonly #accounts: Record<string, ServiceAccount>;

  constructor(parts: {
    state: EmulatorState;
    keys: KeyRings;
    settings: IdentitySettings;
    rootUrl: () => string;
  }) {
    this.#state = parts.state;
    this.#keys = parts.keys;
    this.#projectId = parts.settings.projectId;
    this.#rootUrl = parts.rootUrl;
    this.#accounts = parts.state.section('serviceAccounts', () => ({}));
    for (const account of parts.settings.serviceAccounts) this.put(account);
  }

  /** Makes the account, or sets its grants anew when it exists; its keys stay. */
  put(settings: ServiceAccountSettings): ServiceAccount {
    const { email, delegatedScopes = [], tokenCreators = [] } = settings;
    if (!/^[a-z0-9-]{1,63}@[a-z0-9.-]+\.gserviceaccount\.com$/.test(email)) {
      throw new RangeError(
        `"${email}" is no service account: write it as name@project.iam.gserviceaccount.com.`,
      );
    }
    const account: ServiceAccount = {
      email,
      uniqueId: serviceAccountId(email),
      delegatedScopes: [...delegatedScopes],
      tokenCreators: tokenCreators.map((creator) => creator.toLowerCase()),
    };
    this.#accounts[email] = account;
    this.#state.changed();
    return account;
  }

  /** By e-mail address or unique id. */
  find(emailOrId: string): ServiceAccount | undefined {
    const email = emailOrId.toLowerCase();
    if (Object.hasOwn(this.#accounts, email)) return this.#accounts[email];
    return Object.values(this.#accounts).find((account) => account.uniqueId === emailOrId);
  }

  /** A new key for the account, in the form of a downloaded key file. The private key is not kept here. */
  async createKeyFile(email: string): Promise<KeyFile> {
    const account = this.find(email);
    if (account === undefined)
      throw new RangeError(`There is no service account ${email} to make a key file for.`);
    const { kid, privateKeyPem } = await this.#keys.handOut(ring.user(account.email));
    const root = this.#rootUrl();
    return {
      type: 'service_account',
      project_id: this.#projectId,
      private_key_id: kid,
      private_key: privateKeyPem,
      client_email: account.email,
      client_id: account.uniqueId,
      auth_uri: 'https://accounts.google.com/o/oauth2/auth',
      token_uri: `${root}token`,
      auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
      client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
      universe_domain: 'googleapis.com',
    };
  }
}
