/** RSA signatures, PKCS#1 v1.5, over a digest that is made already (RFC 8017 §8.2). Node signs bytes only, and digests them itself. */
import { constants, type KeyObject, privateEncrypt, publicDecrypt } from 'node:crypto';
import { sameBytes } from './der-reader.ts';

export type DigestName = 'sha256' | 'sha384' | 'sha512';

/** DigestInfo up to the digest itself (RFC 8017 §9.2, note 1). */
const BEFORE_DIGEST: Readonly<Record<DigestName, Uint8Array>> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};

const padding = constants.RSA_PKCS1_PADDING;

/** Byte for byte what `sign` answers over the bytes that have this digest. Throws what OpenSSL throws. */
export const signRsaDigest = (key: KeyObject, name: DigestName, digest: Uint8Array): Uint8Array =>
  privateEncrypt({ key, padding }, Buffer.concat([BEFORE_DIGEST[name], digest]));

/** What the signature holds is compared as a whole: nothing in it is parsed, so nothing can be hidden in it. */
export function isRsaSignature(
  key: KeyObject,
  name: DigestName,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  let held: Uint8Array;
  try {
    held = publicDecrypt({ key, padding }, signature);
  } catch {
    return false;
  }
  return sameBytes(held, Buffer.concat([BEFORE_DIGEST[name], digest]));
}
