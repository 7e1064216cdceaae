import type { GmailIdentity, GmailKeypair } from '../domain/gmail.ts';

/** Where the private key of a pair is: wrapped by a key service, or on the user's smart card. */
export type PrivateKeyPlace =
  | { readonly keyServiceUrl: string; readonly wrappedKey: string }
  | { readonly cardDescription: string };

/**
 * Gmail client-side encryption settings of one mailbox, by delegation as that user.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.keypairs
 *
 * Throws `mailbox-not-ready`, `cse-not-enabled`, `delegation-refused` (permanent, but worth slow retries for up to 24
 * hours), `gmail-refused` (permanent), `gmail-unavailable` (retryable).
 */
export interface Gmail {
  listKeypairs(mailbox: string): Promise<readonly GmailKeypair[]>;
  listIdentities(mailbox: string): Promise<readonly GmailIdentity[]>;
  /** `already-exists` when Gmail answers 409: the caller looks again and adopts. */
  createKeypair(
    mailbox: string,
    keypair: {
      readonly pkcs7Pem: string;
      readonly privateKey: PrivateKeyPlace;
      /**
       * `none`: neither chain nor revocation is checked, and no identity can use the pair unless it would have passed. For old
       * certificates, to read old mail. Google's default, `all`, unless given.
       */
      readonly chainValidation?: 'none';
    },
  ): Promise<{ readonly kind: 'created'; readonly keypairId: string } | { readonly kind: 'already-exists' }>;
  enableKeypair(mailbox: string, keypairId: string): Promise<void>;
  disableKeypair(mailbox: string, keypairId: string): Promise<void>;
  /**
   * Destroys the pair for ever: mail encrypted to it is lost to users and admins alike. Gmail refuses (`gmail-refused`)
   * unless it has been disabled for more than 30 days. `absent` when there is no such pair, which is done already.
   * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.keypairs/obliterate
   */
  obliterateKeypair(mailbox: string, keypairId: string): Promise<'obliterated' | 'absent'>;
  createIdentity(mailbox: string, identity: GmailIdentity): Promise<'created' | 'already-exists'>;
  /** `absent` when Gmail answers 404. */
  patchIdentity(mailbox: string, identity: GmailIdentity): Promise<'patched' | 'absent'>;
  /** Deleting what is absent succeeds. */
  deleteIdentity(mailbox: string, address: string): Promise<void>;
}
