import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto';
import { type GenerateKey, generateRsaKey, type RsaKey } from '../../../shared/pki/key.ts';
import { type Saved, stateCell } from './state.ts';

/** A few RSA-2048 keys, handed out in turn as copies, because whoever gets one wipes it. */
export interface KeyPool extends Saved {
  readonly keys: readonly RsaKey[];
  readonly generateKey: GenerateKey;
  /** How many were handed out. */
  readonly drawn: number;
  /** The first key is the next one. */
  startOver(): void;
}

export async function keyPool(size = 5): Promise<KeyPool> {
  return poolOf(await Promise.all(Array.from({ length: size }, () => generateRsaKey(2048))));
}

/**
 * Many different keys for little time: each pair of a few primes is one. Only for tests: whoever has two of them finds
 * the prime they share.
 */
export async function keyPoolOfPairs(size: number): Promise<KeyPool> {
  const made = Math.ceil((1 + Math.sqrt(1 + 8 * size)) / 4);
  const sources = await Promise.all(Array.from({ length: made }, () => generateRsaKey(2048)));
  const primes = sources.flatMap(({ pkcs8Der }) => {
    const { p, q } = createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' }).export({
      format: 'jwk',
    });
    return [numberOf(p), numberOf(q)];
  });
  const pairs = primes.flatMap((p, index) => primes.slice(index + 1).map((q) => keyOfPrimes(p, q)));
  return poolOf(pairs.slice(0, size));
}

/** Keys made when they are asked for, of which a copy is kept. */
export function freshKeys(): KeyPool {
  const keys: RsaKey[] = [];
  return {
    keys,
    get drawn() {
      return keys.length;
    },
    save: () => () => undefined,
    startOver: () => undefined,
    generateKey: async (modulusBits) => {
      const key = await generateRsaKey(modulusBits);
      keys.push({ pkcs8Der: Uint8Array.from(key.pkcs8Der), spkiDer: key.spkiDer });
      return key;
    },
  };
}

function poolOf(keys: readonly RsaKey[]): KeyPool {
  const cell = stateCell({ drawn: 0 });
  return {
    keys,
    save: cell.save,
    get drawn() {
      return cell.now.drawn;
    },
    startOver: () => {
      cell.now.drawn = 0;
    },
    generateKey: async (modulusBits) => {
      const key = keys[cell.now.drawn % keys.length];
      cell.now.drawn += 1;
      if (key === undefined || modulusBits !== 2048)
        throw new Error(`The pool has no RSA-${modulusBits} key.`);
      return { pkcs8Der: Uint8Array.from(key.pkcs8Der), spkiDer: Uint8Array.from(key.spkiDer) };
    },
  };
}

const numberOf = (base64url = ''): bigint =>
  BigInt(`0x${Buffer.from(base64url, 'base64url').toString('hex')}`);

const textOf = (value: bigint): string => {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
};

/** RFC 8017 §3.2, with e = 65537. */
function keyOfPrimes(one: bigint, other: bigint): RsaKey {
  const [p, q] = one > other ? [one, other] : [other, one];
  const e = 65537n;
  const d = inverse(e, (p - 1n) * (q - 1n));
  const jwk: JsonWebKey = {
    ...{ kty: 'RSA', n: textOf(p * q), e: textOf(e), d: textOf(d), p: textOf(p), q: textOf(q) },
    ...{ dp: textOf(d % (p - 1n)), dq: textOf(d % (q - 1n)), qi: textOf(inverse(q, p)) },
  };
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  return {
    pkcs8Der: new Uint8Array(key.export({ type: 'pkcs8', format: 'der' })),
    spkiDer: new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' })),
  };
}

/** By the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [old, rest] = [value, modulus];
  let [factor, next] = [1n, 0n];
  while (rest !== 0n) {
    const quotient = old / rest;
    [old, rest] = [rest, old - quotient * rest];
    [factor, next] = [next, factor - quotient * next];
  }
  return ((factor % modulus) + modulus) % modulus;
}
