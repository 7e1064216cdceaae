import type { AddressBook } from '../ports/address-book.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import type { KeySets } from './key-sets.ts';
import type { KeyServiceSettings } from './settings.ts';

/** Unpredictable bytes; `crypto.randomBytes` in production. */
export type RandomBytes = (length: number) => Uint8Array;

/** Everything an endpoint may reach. */
export interface KeyServiceContext {
  readonly settings: KeyServiceSettings;
  readonly keySets: KeySets;
  readonly keyEncryptionKeys: KeyEncryptionKeys;
  readonly addressBook: AddressBook;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Version of this build, for /status. */
  readonly version: string;
}
