/**
 * The pair of tokens Gmail's client sends to a key service with each call:
 * https://developers.google.com/workspace/cse/reference/authorization-tokens. Who cannot sign in gets none.
 */
import { randomUUID } from 'node:crypto';
import { permissionDenied } from '../core/google-error.ts';
import type { Account, Accounts } from '../core/rooms.ts';
import { CSE_ISSUERS, type TokenIssuers } from './id-tokens.ts';
import type { IdentitySettings } from './settings.ts';

export interface GmailTokenRequest {
  /** Address of the user whose client calls. */
  readonly email: string;
  readonly role: 'signer' | 'decrypter';
  /** Gmail's id of the key pair, the end of `resource_name`. */
  readonly keyPairId: string;
  /** SHA-256 of the certificate's SPKI, standard base64 with padding. */
  readonly spkiHashBase64: string;
  /** Base URL of the key service as registered with Google, without a trailing slash. */
  readonly kaclsUrl: string;
  /** RFC 5322 Message-ID with its angle brackets. */
  readonly messageId: string;
  readonly perimeterId?: string;
}

export interface GmailTokens {
  /** By the company's identity provider: who is asking. */
  readonly authentication: string;
  /** By Gmail: what may be done with which key. */
  readonly authorization: string;
}

export class GmailTokenIssuer {
  readonly #issuers: TokenIssuers;
  readonly #accounts: Accounts;
  readonly #settings: IdentitySettings;

  constructor(parts: { issuers: TokenIssuers; accounts: Accounts; settings: IdentitySettings }) {
    this.#issuers = parts.issuers;
    this.#accounts = parts.accounts;
    this.#settings = parts.settings;
  }

  /** The claims are those of real Gmail tokens, none more. Throws 403 for somebody who cannot sign in. */
  async mint(request: GmailTokenRequest): Promise<GmailTokens> {
    const account = this.#signedIn(request.email);
    const email = account.primaryEmail;
    const { issuer, clientId } = this.#settings.identityProvider;
    const user = encodeURIComponent(email);
    const [authentication, authorization] = await Promise.all([
      this.#issuers.mint(issuer, {
        aud: clientId,
        sub: account.id,
        email,
        email_verified: true,
        nonce: `${randomUUID()}:https://client-side-encryption.google.com`,
        jti: randomUUID(),
      }),
      this.#issuers.mint(CSE_ISSUERS.gmail, {
        aud: 'cse-authorization',
        email,
        role: request.role,
        resource_name: `//gmail.googleapis.com/gmail/users/${user}/settings/cse/keypairs/${request.keyPairId}`,
        perimeter_id: request.perimeterId ?? '',
        kacls_url: request.kaclsUrl,
        kacls_owner_domain: this.#settings.domain,
        spki_hash: request.spkiHashBase64,
        spki_hash_algorithm: 'SHA-256',
        message_id: request.messageId,
      }),
    ]);
    return { authentication, authorization };
  }

  #signedIn(email: string): Account {
    const account = this.#accounts.byAddress(email);
    if (account === undefined) throw permissionDenied(`Nobody with the address ${email} can sign in.`);
    if (account.suspended || account.archived) {
      const state = account.suspended ? 'suspended' : 'archived';
      throw permissionDenied(`The account of ${email} is ${state} and cannot sign in.`);
    }
    return account;
  }
}
