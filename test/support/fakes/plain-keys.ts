/** Looks for private keys where none may be. */
import type { KeyPool } from './key-pool.ts';

/** Answers whether a value holds, at any depth, a private key of the pool: as bytes, PEM, base64, base64url or hex. */
export function plainKeyDetector(pool: KeyPool): (value: unknown) => boolean {
  // The middle of a PKCS#8 key lies in its private exponent and primes; the public half is elsewhere.
  const secrets = pool.keys.map(({ pkcs8Der }) => Buffer.from(pkcs8Der));
  const bytes = secrets.map((der) => der.subarray(600, 640));
  const texts = secrets.flatMap((der) => [
    der.toString('base64').slice(800, 860),
    der.toString('base64url').slice(800, 860),
    der.toString('hex').slice(1200, 1280),
  ]);
  const holds = (value: unknown): boolean => {
    if (typeof value === 'string') {
      const joined = value.replaceAll(/\s/g, '');
      return texts.some((text) => joined.includes(text));
    }
    if (value instanceof Uint8Array) return bytes.some((part) => Buffer.from(value).includes(part));
    if (value === null || typeof value !== 'object') return false;
    return Object.values(value).some(holds);
  };
  return holds;
}
