/** Looks for private keys where none may be. */
import type { KeyPool } from './key-pool.ts';

/**
 * Answers whether a value holds, at any depth, a private key that the pool has handed out so far: as bytes, PEM, base64,
 * base64url or hex. Texts that are too short to hold a key are not searched.
 */
export function drawnKeyDetector(pool: KeyPool): (value: unknown) => boolean {
  const found: { readonly bytes: Buffer; readonly texts: readonly string[] }[] = [];
  const drawn = () => {
    // The middle of a PKCS#8 key lies in its private exponent and primes; the public half is elsewhere.
    for (const { pkcs8Der } of pool.keys.slice(found.length, pool.drawn)) {
      const der = Buffer.from(pkcs8Der);
      const texts = [
        der.toString('base64').slice(800, 860),
        der.toString('base64url').slice(800, 860),
        der.toString('hex').slice(1200, 1280),
      ];
      found.push({ bytes: der.subarray(600, 640), texts });
    }
    return found;
  };
  const holds = (value: unknown): boolean => {
    if (typeof value === 'string') {
      if (value.length < 60) return false;
      const joined = value.replaceAll(/\s/g, '');
      return drawn().some(({ texts }) => texts.some((text) => joined.includes(text)));
    }
    if (value instanceof Uint8Array) {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      return drawn().some((key) => bytes.includes(key.bytes));
    }
    if (value === null || typeof value !== 'object') return false;
    return Object.values(value).some(holds);
  };
  return holds;
}
