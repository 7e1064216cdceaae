/**
 * Signs a digest that the client has already made. Nothing here hashes what it is given: doing it twice is the mistake
 * other key services have shipped, and Gmail's signatures then verify nowhere.
 */
import { constants, createHash, type KeyObject, privateEncrypt } from 'node:crypto';
import { invalidInput } from '../errors.ts';
import { HASH_BYTES, type HashName, type SignatureAlgorithm } from './algorithms.ts';
import type { RandomBytes } from './context.ts';
import { mgf1, xor } from './mgf1.ts';
import { modulusBitsOf } from './private-key.ts';

/** DER of DigestInfo up to the digest itself, RFC 8017 section 9.2 note 1. */
const DIGEST_INFO_PREFIX: Readonly<Record<HashName, Buffer>> = {
  sha1: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};

/**
 * Answers the raw signature, as long as the modulus. `saltLength` in bytes is for PSS, by default the length of the
 * hash, and ignored otherwise. Throws `malformed-request` (invalid input) for a digest of the wrong length and for a
 * salt that does not fit the key.
 */
export function signDigest(
  key: KeyObject,
  algorithm: SignatureAlgorithm,
  digest: Uint8Array,
  options: { readonly saltLength?: number | undefined; readonly random: RandomBytes },
): Buffer {
  const hashBytes = HASH_BYTES[algorithm.hash];
  if (digest.length !== hashBytes) {
    throw invalidInput(
      'malformed-request',
      `"digest" has ${digest.length} bytes; ${algorithm.hash.toUpperCase()} gives ${hashBytes}.`,
    );
  }
  if (algorithm.scheme === 'pkcs1') {
    return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(algorithm.hash, digest));
  }
  const encoded = encodePss(algorithm.hash, digest, {
    modulusBits: modulusBitsOf(key),
    saltLength: options.saltLength ?? hashBytes,
    random: options.random,
  });
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
}

/** DER of the DigestInfo that a PKCS#1 v1.5 signature carries, RFC 8017 section 9.2. */
export const digestInfo = (hash: HashName, digest: Uint8Array): Buffer =>
  Buffer.concat([DIGEST_INFO_PREFIX[hash], digest]);

/** EMSA-PSS-ENCODE, RFC 8017 section 9.1.1, from step 2's mHash on; as long as the modulus. MGF1 uses the same hash. */
function encodePss(
  hash: HashName,
  digest: Uint8Array,
  options: { modulusBits: number; saltLength: number; random: RandomBytes },
): Buffer {
  const encodedBits = options.modulusBits - 1;
  const encodedLength = Math.ceil(encodedBits / 8);
  const maskedLength = encodedLength - digest.length - 1;
  if (options.saltLength < 0 || options.saltLength > maskedLength - 1) {
    throw invalidInput(
      'malformed-request',
      `"rsa_pss_salt_length" is ${options.saltLength}; with this key and hash 0 to ${maskedLength - 1} fit.`,
    );
  }
  const salt = options.random(options.saltLength);
  const h = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
  const dataBlock = Buffer.concat([Buffer.alloc(maskedLength - salt.length - 1), Buffer.of(1), salt]);
  const masked = xor(dataBlock, mgf1(hash, h, maskedLength));
  // The leftmost bits beyond emBits are zero, so that the number stays below the modulus.
  masked[0] = (masked[0] ?? 0) & (0xff >> (8 * encodedLength - encodedBits));
  const encoded = Buffer.concat([masked, h, Buffer.of(0xbc)]);
  return Buffer.concat([Buffer.alloc(Math.ceil(options.modulusBits / 8) - encodedLength), encoded]);
}
