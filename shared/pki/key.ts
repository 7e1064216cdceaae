/** Making RSA keys with node:crypto. The private half leaves as PKCS#8 DER; who gets it wraps or stores it and drops it. */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

const generate = promisify(generateKeyPair);

export interface RsaKey {
  /** PKCS#8, unencrypted. Never logged, never written anywhere in this form. */
  readonly pkcs8Der: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spkiDer: Uint8Array;
}

/** A way to make keys; tests pass their own to save time. */
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
