import type { AddressBook } from '../ports/address-book.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import type { RewrappedKeys } from '../ports/ledger/rewrapped-keys.ts';
import type { OtherKeyServices } from '../ports/other-key-services.ts';
import type { TokenSigningKeys } from '../ports/token-signing-keys.ts';
import type { KeySets } from './key-sets.ts';
import type { RateLimiter } from './rate-limits.ts';
import type { KeyServiceSettings } from './settings.ts';

/** Unpredictable bytes; `crypto.randomBytes` in production. */
export type RandomBytes = (length: number) => Uint8Array;

/** Everything an endpoint may reach. */
export interface KeyServiceContext {
  readonly settings: KeyServiceSettings;
  readonly keySets: KeySets;
  readonly keyEncryptionKeys: KeyEncryptionKeys;
  readonly addressBook: AddressBook;
  /**
   * Where the newer form of a blob is found whose key-encryption key is gone. Without it such a blob stays shut: that is so
   * where there is no ledger.
   */
  readonly newerForms: Pick<RewrappedKeys, 'newerWrappedKey'> | undefined;
  /** For tokens of our own. Without them certs, delegate and rewrap do not exist. */
  readonly tokenSigningKeys: TokenSigningKeys | undefined;
  /** For rewrap, which does not exist without it. */
  readonly otherKeyServices: OtherKeyServices | undefined;
  readonly rateLimits: { readonly users: RateLimiter; readonly privileged: RateLimiter };
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Version of this build, for /status. */
  readonly version: string;
}
