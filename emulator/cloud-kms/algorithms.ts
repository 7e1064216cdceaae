/**
 * Making keys and signing digests with them. KMS signs a digest it is given, which `node:crypto` offers for RSA only
 * by hand and for ECDSA not at all; the arithmetic here is for sample keys and makes no attempt at constant time.
 */
import {
  constants,
  createECDH,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  privateEncrypt,
  randomBytes,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { Algorithm, Purpose } from './records.ts';

type Hash = 'sha256' | 'sha384' | 'sha512';

interface RsaAlgorithm {
  readonly kind: 'rsa';
  readonly modulusBits: number;
  readonly hash: Hash;
}
interface EcAlgorithm {
  readonly kind: 'ec';
  readonly curve: 'prime256v1' | 'secp384r1';
  readonly hash: Hash;
  readonly order: bigint;
}

const SIGNING: Readonly<
  Record<Exclude<Algorithm, 'GOOGLE_SYMMETRIC_ENCRYPTION'>, RsaAlgorithm | EcAlgorithm>
> = {
  RSA_SIGN_PKCS1_2048_SHA256: { kind: 'rsa', modulusBits: 2048, hash: 'sha256' },
  RSA_SIGN_PKCS1_3072_SHA256: { kind: 'rsa', modulusBits: 3072, hash: 'sha256' },
  RSA_SIGN_PKCS1_4096_SHA256: { kind: 'rsa', modulusBits: 4096, hash: 'sha256' },
  RSA_SIGN_PKCS1_4096_SHA512: { kind: 'rsa', modulusBits: 4096, hash: 'sha512' },
  EC_SIGN_P256_SHA256: {
    kind: 'ec',
    curve: 'prime256v1',
    hash: 'sha256',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  EC_SIGN_P384_SHA384: {
    kind: 'ec',
    curve: 'secp384r1',
    hash: 'sha384',
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
};

/** RFC 8017 section 9.2, note 1: the DigestInfo before the digest. */
const DIGEST_INFO: Readonly<Record<Hash, string>> = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};
export const DIGEST_BYTES: Readonly<Record<Hash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

export function isAlgorithm(name: string): name is Algorithm {
  return name === 'GOOGLE_SYMMETRIC_ENCRYPTION' || Object.hasOwn(SIGNING, name);
}

export const purposeOf = (algorithm: Algorithm): Purpose =>
  algorithm === 'GOOGLE_SYMMETRIC_ENCRYPTION' ? 'ENCRYPT_DECRYPT' : 'ASYMMETRIC_SIGN';

/** The hash whose digests this algorithm signs; undefined for a symmetric one. */
export const hashOf = (algorithm: Algorithm): Hash | undefined =>
  algorithm === 'GOOGLE_SYMMETRIC_ENCRYPTION' ? undefined : SIGNING[algorithm].hash;

/** A new key as it is stored: PKCS#8 or 32 bytes. */
export async function makeMaterial(algorithm: Algorithm): Promise<Buffer> {
  if (algorithm === 'GOOGLE_SYMMETRIC_ENCRYPTION') return randomBytes(32);
  const spec = SIGNING[algorithm];
  const generate = promisify(generateKeyPair);
  const { privateKey } =
    spec.kind === 'rsa'
      ? await generate('rsa', { modulusLength: spec.modulusBits, publicExponent: 0x10001 })
      : await generate('ec', { namedCurve: spec.curve });
  return privateKey.export({ type: 'pkcs8', format: 'der' });
}

/** True when the private key is one this algorithm signs with. */
export function fits(algorithm: Algorithm, key: KeyObject): boolean {
  if (algorithm === 'GOOGLE_SYMMETRIC_ENCRYPTION') return false;
  const spec = SIGNING[algorithm];
  const details = key.asymmetricKeyDetails;
  return spec.kind === 'rsa'
    ? key.asymmetricKeyType === 'rsa' && details?.modulusLength === spec.modulusBits
    : key.asymmetricKeyType === 'ec' && details?.namedCurve === spec.curve;
}

export const privateKeyOf = (material: Buffer): KeyObject =>
  createPrivateKey({ key: material, format: 'der', type: 'pkcs8' });

/** PKCS#1 v1.5, or ECDSA in DER (RFC 3279 section 2.2.3), over a digest of the algorithm's hash. */
export function signDigest(algorithm: Algorithm, key: KeyObject, digest: Buffer): Buffer {
  if (algorithm === 'GOOGLE_SYMMETRIC_ENCRYPTION') throw new RangeError('A symmetric key signs nothing.');
  const spec = SIGNING[algorithm];
  if (spec.kind === 'ec') return signEcdsa(spec, key, digest);
  const info = Buffer.concat([Buffer.from(DIGEST_INFO[spec.hash], 'hex'), digest]);
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info);
}

/** FIPS 186-5 section 6.4.1; the point multiplication is the platform's own. */
function signEcdsa(spec: EcAlgorithm, key: KeyObject, digest: Buffer): Buffer {
  const { order } = spec;
  const bytes = DIGEST_BYTES[spec.hash];
  const secret = integer(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'));
  // Both curves' orders are as long as their hash, so the digest is not cut.
  const hashed = integer(digest);
  for (;;) {
    const nonce = (integer(randomBytes(bytes + 8)) % (order - 1n)) + 1n;
    const ephemeral = createECDH(spec.curve);
    ephemeral.setPrivateKey(Buffer.from(nonce.toString(16).padStart(bytes * 2, '0'), 'hex'));
    const r = integer(ephemeral.getPublicKey().subarray(1, 1 + bytes)) % order;
    const s = (power(nonce, order - 2n, order) * ((hashed + r * secret) % order)) % order;
    if (r !== 0n && s !== 0n) return sequence([derInteger(r), derInteger(s)]);
  }
}

const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function derInteger(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const positive = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
  return Buffer.concat([Buffer.from([0x02, positive.length]), positive]);
}

/** Two integers of at most 49 bytes: the length always fits into one octet. */
function sequence(parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}
