/**
 * Public keys as certificates hold them (SubjectPublicKeyInfo), strictly: RSA and the two NIST curves that Google's
 * page and the S/MIME Baseline Requirements 7.1.3.1 both allow. Everything else is `other`, with a name for a sentence.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  DerCursor,
  DerError,
  inside,
  readBitString,
  readInteger,
  readOid,
  readWhole,
  sameBytes,
} from './der-reader.ts';

import { rememberingLast } from './last-read.ts';

export type Curve = 'P-256' | 'P-384';

/** AlgorithmIdentifier of id-ecPublicKey with a named curve (SMBR 7.1.3.1.2), DER. */
export const EC_KEY_ALGORITHMS: Readonly<Record<Curve, Uint8Array>> = {
  'P-256': Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex'),
  'P-384': Buffer.from('301006072a8648ce3d020106052b81040022', 'hex'),
};

/** rsaEncryption with an explicit NULL: the only encoding S/MIME Baseline Requirements 7.1.3.1.1 allow. */
export const RSA_KEY_ALGORITHM: Uint8Array = Buffer.from('300d06092a864886f70d0101010500', 'hex');

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const COORDINATE_BYTES: Readonly<Record<Curve, number>> = { 'P-256': 32, 'P-384': 48 };

export interface RsaPublicKey {
  readonly algorithmDer: Uint8Array;
  readonly modulus: bigint;
  readonly exponent: bigint;
}

export type PublicKey =
  | ({ readonly kind: 'rsa' } & RsaPublicKey)
  | { readonly kind: 'ec'; readonly algorithmDer: Uint8Array; readonly curve: Curve }
  | { readonly kind: 'other'; readonly algorithmDer: Uint8Array; readonly description: string };

/**
 * Reads a SubjectPublicKeyInfo. An RSA key is read whatever its parameters say (the linter wants the NULL). An EC key
 * must name its curve exactly as above, and its point must be uncompressed and on the curve, else it is `other`.
 * Throws `DerError` for bytes that are no SubjectPublicKeyInfo.
 */
export const readPublicKey: (spkiDer: Uint8Array) => PublicKey = rememberingLast((spkiDer): PublicKey => {
  const spki = inside(readWhole(spkiDer, 'SEQUENCE', 'the public key'));
  const algorithm = spki.take('SEQUENCE');
  const bits = readBitString(spki.take('BIT STRING'));
  spki.end('the public key');
  const algorithmDer = algorithm.der;
  const oid = readOid(inside(algorithm).next());
  if (oid === RSA_ENCRYPTION) return { kind: 'rsa', algorithmDer, ...rsaNumbers(bits) };
  if (oid !== EC_PUBLIC_KEY) return { kind: 'other', algorithmDer, description: `a key of algorithm ${oid}` };
  const curve = (Object.keys(EC_KEY_ALGORITHMS) as readonly Curve[]).find((name) =>
    sameBytes(EC_KEY_ALGORITHMS[name], algorithmDer),
  );
  if (curve === undefined) return { kind: 'other', algorithmDer, description: 'an EC key on another curve' };
  if (bits[0] !== 4 || bits.length !== 1 + 2 * COORDINATE_BYTES[curve] || !isOnCurve(spkiDer)) {
    return {
      kind: 'other',
      algorithmDer,
      description: `an EC key whose point is not an uncompressed one on ${curve}`,
    };
  }
  return { kind: 'ec', algorithmDer, curve };
});

function rsaNumbers(bits: Uint8Array): { readonly modulus: bigint; readonly exponent: bigint } {
  const cursor = new DerCursor(bits);
  const key = inside(cursor.take('SEQUENCE'));
  cursor.end('the RSA public key');
  const modulus = readInteger(key.next());
  const exponent = readInteger(key.next());
  key.end('the RSA public key');
  return { modulus, exponent };
}

/** A SubjectPublicKeyInfo as `node:crypto` verifies with it. Throws OpenSSL's error for what it does not take as a key. */
export const publicKeyOf: (spkiDer: Uint8Array) => KeyObject = rememberingLast((spkiDer) =>
  createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' }),
);

/** OpenSSL refuses a point that does not satisfy the curve's equation. */
const isOnCurve = rememberingLast((spkiDer) => {
  try {
    createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
});

/** Reads a SubjectPublicKeyInfo as RSA (RFC 8017 appendix A.1.1). Throws `DerError`, also for a key of another kind. */
export function readRsaPublicKey(spkiDer: Uint8Array): RsaPublicKey {
  const key = readPublicKey(spkiDer);
  if (key.kind !== 'rsa') throw new DerError('the public key is not RSA', 0);
  return key;
}

/** A key in words, for findings: "RSA with 2048 bits", "P-256". */
export function describeKey(key: PublicKey): string {
  switch (key.kind) {
    case 'rsa':
      return `RSA with ${modulusBits(key.modulus)} bits`;
    case 'ec':
      return key.curve;
    default:
      return key.description;
  }
}

/** Bits of a modulus; 0 for one that is not positive. */
export function modulusBits(modulus: bigint): number {
  if (modulus <= 0n) return 0;
  const hex = modulus.toString(16);
  return hex.length * 4 - (Math.clz32(Number.parseInt(hex.charAt(0), 16)) - 28);
}
