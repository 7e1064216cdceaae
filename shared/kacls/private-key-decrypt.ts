/**
 * POST privatekeydecrypt, https://developers.google.com/workspace/cse/reference/private-key-decrypt, and POST
 * privilegedprivatekeydecrypt, https://developers.google.com/workspace/cse/reference/privileged-private-key-decrypt:
 * for mail that was exported, where the key is named in the body because no token of Google names it.
 */
import type { KeyObject } from 'node:crypto';
import { invalidInput } from '../errors.ts';
import type { KeyServiceRequest, Operation } from './access.ts';
import { algorithmLabel, type EncryptionAlgorithm, encryptionAlgorithm } from './algorithms.ts';
import { encodeBase64 } from './base64.ts';
import type { KeyServiceContext } from './context.ts';
import { decryptContentKey } from './decryption.ts';
import { optionalBytes, requiredBytes, requiredText } from './fields.ts';
import { openKeyFor, openNamedKey } from './key-use.ts';
import { type PrivilegedPerson, requirePerimeterOfPerson } from './privileged-access.ts';
import type { AuthorizedUser } from './user-access.ts';

const LONGEST_CIPHERTEXT = 1024;
/** Not limited by the API; long enough for any label in use. */
const LONGEST_LABEL = 1024;

/** Answers `{data_encryption_key}`. */
export const privateKeyDecrypt: Operation<AuthorizedUser> = async (request, user, context) => {
  const encrypted = readEncrypted(request);
  return answer(await openKeyFor(user, request, context), encrypted, context);
};

/** Answers `{data_encryption_key}`. Whose key it is does not matter: that is what makes it privileged. */
export const privilegedPrivateKeyDecrypt: Operation<PrivilegedPerson> = async (request, person, context) => {
  const encrypted = readEncrypted(request);
  if (requiredText(request.body, 'spki_hash_algorithm') !== 'SHA-256') {
    throw invalidInput('malformed-request', '"spki_hash_algorithm" must be SHA-256.');
  }
  const spkiSha256 = requiredBytes(request.body, 'spki_hash', 64);
  if (spkiSha256.length !== 32) throw invalidInput('malformed-request', '"spki_hash" is no SHA-256.');
  const { key, perimeterId } = await openNamedKey(spkiSha256, request, context);
  requirePerimeterOfPerson(person, perimeterId, context);
  return answer(key, encrypted, context);
};

interface Encrypted {
  readonly algorithm: EncryptionAlgorithm;
  readonly ciphertext: Uint8Array;
  readonly label: Uint8Array | undefined;
}

function readEncrypted({ body, note }: KeyServiceRequest): Encrypted {
  const algorithm = encryptionAlgorithm(requiredText(body, 'algorithm'));
  note({ algorithm: algorithmLabel(algorithm) });
  const ciphertext = requiredBytes(body, 'encrypted_data_encryption_key', LONGEST_CIPHERTEXT);
  const label =
    algorithm.scheme === 'oaep' ? optionalBytes(body, 'rsa_oaep_label', LONGEST_LABEL) : undefined;
  return { algorithm, ciphertext, label };
}

function answer(
  key: KeyObject,
  { algorithm, ciphertext, label }: Encrypted,
  { settings }: KeyServiceContext,
) {
  const contentKey = decryptContentKey(key, algorithm, ciphertext, { label, oaepMgf1: settings.oaepMgf1 });
  try {
    return { data_encryption_key: encodeBase64(contentKey) };
  } finally {
    contentKey.fill(0);
  }
}
