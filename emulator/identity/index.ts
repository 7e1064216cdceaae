/**
 * Who somebody is, as Google and the company's identity provider state it: the OAuth token endpoint, service accounts
 * and IAM Credentials, the metadata server, and the issuers of ID tokens with their public keys. Nobody types a
 * password here and no consent is asked for: people's tokens are made by the emulator's own controls alone.
 */
import type { EmulatorContext } from '../core/context.ts';
import type { Account, AccountChange, Accounts, IdTokens, Room } from '../core/rooms.ts';
import { GmailTokenIssuer, type GmailTokenRequest, type GmailTokens } from './gmail-tokens.ts';
import { iamCredentials } from './iam-credentials.ts';
import { TokenIssuers } from './id-tokens.ts';
import { KeyRings } from './key-rings.ts';
import { keySets } from './key-sets.ts';
import { metadataServer } from './metadata-server.ts';
import { type KeyFile, ServiceAccounts } from './service-accounts.ts';
import type { IdentitySettings, ServiceAccount, ServiceAccountSettings } from './settings.ts';
import { Clocks } from './times.ts';
import { tokenEndpoint } from './token-endpoint.ts';

export { CSE_ISSUERS } from './id-tokens.ts';
export type {
  GmailTokenRequest,
  GmailTokens,
  IdentitySettings,
  KeyFile,
  ServiceAccount,
  ServiceAccountSettings,
};

export interface Identity extends Room {
  readonly idTokens: IdTokens;
  /** Makes a service account, or sets its grants anew. */
  putServiceAccount(settings: ServiceAccountSettings): ServiceAccount;
  /** By e-mail address or unique id. */
  serviceAccount(emailOrId: string): ServiceAccount | undefined;
  /** Throws RangeError for an account that does not exist. */
  createKeyFile(email: string): Promise<KeyFile>;
  /** What Gmail's client sends to a key service with each call. Throws 403 for somebody who cannot sign in. */
  gmailTokens(request: GmailTokenRequest): Promise<GmailTokens>;
  /** The issuer signs with a new key from now on; earlier keys stay published. */
  rotateKeys(issuer: string): Promise<void>;
}

export function createIdentity(
  context: EmulatorContext,
  parts: { readonly accounts: Accounts; readonly settings: IdentitySettings },
): Identity {
  const { tokens, rootUrl, state } = context;
  const { accounts, settings } = parts;
  checkAttached(settings);
  const clocks = new Clocks(context.clock);
  const keys = new KeyRings(state);
  const serviceAccounts = new ServiceAccounts({ state, keys, settings, rootUrl });
  const identityProvider = settings.identityProvider.issuer;
  const issuers = new TokenIssuers({ keys, clocks, serviceAccounts, identityProvider });
  const gmail = new GmailTokenIssuer({ issuers, accounts, settings });
  accounts.onChange((change, account) => {
    if (!endsTokens(change, account)) return;
    const addresses = [account.primaryEmail, ...account.aliases];
    tokens.revoke((caller) => caller.kind === 'user' && addresses.includes(caller.email));
  });
  return {
    routes: [
      tokenEndpoint({ tokens, accounts, serviceAccounts, keys, issuers, clocks, rootUrl }),
      ...iamCredentials({ tokens, serviceAccounts, keys, issuers, clocks }),
      ...metadataServer({ tokens, serviceAccounts, issuers, settings }),
      ...keySets({ issuers, identityProvider, rootUrl }),
    ],
    idTokens: issuers,
    putServiceAccount: (account) => serviceAccounts.put(account),
    serviceAccount: (emailOrId) => serviceAccounts.find(emailOrId),
    createKeyFile: (email) => serviceAccounts.createKeyFile(email),
    gmailTokens: (request) => gmail.mint(request),
    rotateKeys: (issuer) => issuers.rotateKeys(issuer),
  };
}

/** A suspension or deletion ends the tokens minted for that user; a later restore does not bring them back. */
function endsTokens(change: AccountChange, account: Account): boolean {
  return change === 'delete' || account.suspended;
}

function checkAttached({ attached, serviceAccounts }: IdentitySettings): void {
  const known = serviceAccounts.map((account) => account.email);
  const unknown = attached.accounts.find((email) => !known.includes(email));
  if (unknown !== undefined) {
    throw new RangeError(`The metadata server is to hand out ${unknown}, which is no service account here.`);
  }
  if (!attached.accounts.includes(attached.default)) {
    throw new RangeError(
      `The default account ${attached.default} of the metadata server is not attached to it.`,
    );
  }
}
