/** Making keys with node:crypto. The private half leaves as PKCS#8 DER; who gets it wraps or stores it and drops it. */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { Curve } from './public-key.ts';

const generate = promisify(generateKeyPair);

export interface KeyPair {
  /** PKCS#8, unencrypted. Never logged, never written anywhere in this form. */
  readonly pkcs8Der: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spkiDer: Uint8Array;
}

export type RsaKey = KeyPair;

/** A way to make RSA keys; tests pass their own to save time. */
export type GenerateKey = (modulusBits: number) => Promise<RsaKey>;

/** An RSA key with exponent 65537. Encoded at generation, which is quicker than exporting a KeyObject. */
export const generateRsaKey: GenerateKey = async (modulusBits) => {
  const { privateKey, publicKey } = await generate('rsa', {
    modulusLength: modulusBits,
    publicExponent: 0x10001,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { pkcs8Der: privateKey, spkiDer: publicKey };
};

/** A key on a named curve, its point uncompressed. */
export async function generateEcKey(curve: Curve): Promise<KeyPair> {
  const { privateKey, publicKey } = await generate('ec', {
    namedCurve: curve,
    paramEncoding: 'named',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { pkcs8Der: privateKey, spkiDer: publicKey };
}
