/** POST privatekeydecrypt, https://developers.google.com/workspace/cse/reference/private-key-decrypt */
import type { AuthorizedUser, Operation } from './access.ts';
import { algorithmLabel, encryptionAlgorithm } from './algorithms.ts';
import { encodeBase64 } from './base64.ts';
import { decryptContentKey } from './decryption.ts';
import { optionalBytes, requiredBytes, requiredText } from './fields.ts';
import { openKeyFor } from './key-use.ts';

const LONGEST_CIPHERTEXT = 1024;
/** Not limited by the API; long enough for any label in use. */
const LONGEST_LABEL = 1024;

/** Answers `{data_encryption_key}`. */
export const privateKeyDecrypt: Operation<AuthorizedUser> = async (request, user, context) => {
  const { body, note } = request;
  const algorithm = encryptionAlgorithm(requiredText(body, 'algorithm'));
  note({ algorithm: algorithmLabel(algorithm) });
  const ciphertext = requiredBytes(body, 'encrypted_data_encryption_key', LONGEST_CIPHERTEXT);
  const label =
    algorithm.scheme === 'oaep' ? optionalBytes(body, 'rsa_oaep_label', LONGEST_LABEL) : undefined;
  const key = await openKeyFor(user, request, context);
  const contentKey = decryptContentKey(key, algorithm, ciphertext, {
    label,
    oaepMgf1: context.settings.oaepMgf1,
  });
  try {
    return { data_encryption_key: encodeBase64(contentKey) };
  } finally {
    contentKey.fill(0);
  }
};
