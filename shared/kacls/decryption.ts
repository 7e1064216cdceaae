/**
 * Decrypts the content key of a message. Whatever is wrong with a ciphertext, the answer is one and the same, so that
 * nobody learns anything by sending altered ones (Bleichenbacher 1998, Manger 2001).
 */
import {
  constants,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  timingSafeEqual,
} from 'node:crypto';
import { invalidInput } from '../errors.ts';
import { type EncryptionAlgorithm, HASH_BYTES, type HashName } from './algorithms.ts';
import { mgf1, xor } from './mgf1.ts';
import { modulusBitsOf } from './private-key.ts';

/**
 * Answers the content key; the caller wipes it. `label` is for OAEP (RFC 8017 section 7.1) and ignored otherwise.
 * With PKCS#1 v1.5 an altered ciphertext gives meaningless bytes instead of an error (implicit rejection). Throws
 * `malformed-request` (invalid input), always with the same words.
 */
export function decryptContentKey(
  key: KeyObject,
  algorithm: EncryptionAlgorithm,
  ciphertext: Uint8Array,
  options: { readonly label?: Uint8Array | undefined; readonly oaepMgf1: 'same' | 'sha1' },
): Buffer {
  if (ciphertext.length !== Math.ceil(modulusBitsOf(key) / 8)) throw undecryptable();
  const label = options.label ?? new Uint8Array();
  try {
    if (algorithm.scheme === 'pkcs1') {
      return privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, ciphertext);
    }
    if (options.oaepMgf1 === 'sha1' && algorithm.hash !== 'sha1') {
      return decryptOaepMgf1Sha1(key, algorithm.hash, ciphertext, label);
    }
    return privateDecrypt(
      {
        key,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: algorithm.hash,
        ...(label.length === 0 ? {} : { oaepLabel: label }),
      },
      ciphertext,
    );
  } catch {
    throw undecryptable();
  }
}

/** EME-OAEP-DECODE, RFC 8017 section 7.1.2 step 3. Node's own OAEP cannot take another hash for MGF1. */
function decryptOaepMgf1Sha1(
  key: KeyObject,
  hash: HashName,
  ciphertext: Uint8Array,
  label: Uint8Array,
): Buffer {
  const hashBytes = HASH_BYTES[hash];
  const encoded = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext);
  const maskedBlock = encoded.subarray(1 + hashBytes);
  const seed = xor(encoded.subarray(1, 1 + hashBytes), mgf1('sha1', maskedBlock, hashBytes));
  const block = xor(maskedBlock, mgf1('sha1', seed, maskedBlock.length));
  const labelFits = timingSafeEqual(block.subarray(0, hashBytes), createHash(hash).update(label).digest());

  // One pass over all bytes, whatever they hold: 0…0 1 and then the message.
  let separatorAt = 0;
  let stray = 0;
  for (let at = hashBytes; at < block.length; at += 1) {
    const byte = block[at] ?? 0;
    const before = Number(separatorAt === 0);
    separatorAt += before * Number(byte === 1) * at;
    stray |= before * Number(byte !== 1) * byte;
  }
  const wrong = (encoded[0] ?? 0) | stray | Number(separatorAt === 0) | Number(!labelFits);
  const message = Buffer.from(block.subarray(separatorAt + 1));
  for (const secret of [encoded, seed, block]) secret.fill(0);
  if (wrong !== 0) {
    message.fill(0);
    throw undecryptable();
  }
  return message;
}

const undecryptable = () =>
  invalidInput('malformed-request', '"encrypted_data_encryption_key" cannot be decrypted with this key.');

/**
 * Refuses a runtime on which Gmail's RSA/ECB/PKCS1Padding would not work or not be safe: OpenSSL before 3.2 has no
 * implicit rejection, and Node then either refuses to decrypt (CVE-2023-46809) or tells good padding from bad. With
 * implicit rejection a ciphertext that is no encryption of anything gives bytes, and the same ones each time.
 */
export function assertImplicitRejection(): void {
  // Small and thrown away: only the runtime's behaviour is asked for, and 1024 bits are made in milliseconds.
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const garbage = Buffer.alloc(128, 1);
  const attempt = () => privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, garbage);
  try {
    if (attempt().equals(attempt())) return;
  } catch (error) {
    throw new Error(unsafeRuntime, { cause: error });
  }
  throw new Error(unsafeRuntime);
}

const unsafeRuntime =
  `This runtime (Node ${process.versions.node}, OpenSSL ${process.versions.openssl}) cannot decrypt RSA PKCS#1 v1.5 ` +
  'with implicit rejection, which Gmail needs. Run the key service on Node 24 or later.';
