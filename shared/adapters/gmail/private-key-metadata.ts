import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/v1.js';
import { permanent } from '../../errors.ts';
import type { PrivateKeyPlace } from '../../ports/gmail.ts';

const MAX_WRAPPED_KEY_LENGTH = 8192;

/**
 * `CsePrivateKeyMetadata`: exactly one of its two forms.
 * https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.cse.keypairs#CsePrivateKeyMetadata
 * Throws `gmail-refused` for a wrapped key that is longer than Gmail takes, before anybody is asked.
 */
export function privateKeyMetadata(
  mailbox: string,
  place: PrivateKeyPlace,
): gmail_v1.Schema$CsePrivateKeyMetadata {
  if ('cardDescription' in place) return { hardwareKeyMetadata: { description: place.cardDescription } };
  const { keyServiceUrl, wrappedKey } = place;
  if (wrappedKey.length > MAX_WRAPPED_KEY_LENGTH) {
    throw permanent(
      'gmail-refused',
      `The wrapped key for ${mailbox} has ${wrappedKey.length} characters and Gmail takes ${MAX_WRAPPED_KEY_LENGTH}; the key service must wrap more tightly, or the key be smaller.`,
    );
  }
  return { kaclsKeyMetadata: { kaclsUri: keyServiceUrl, kaclsData: wrappedKey } };
}
