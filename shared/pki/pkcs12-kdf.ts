/** The key derivation of PKCS#12 (RFC 7292 appendix B.2), which its MAC and its old encryption use. */
import { hash } from 'node:crypto';

export interface Pkcs12Derivation {
  readonly salt: Uint8Array;
  readonly iterations: number;
  /** 1 encryption key, 2 initialization vector, 3 MAC key. */
  readonly purpose: 1 | 2 | 3;
  readonly length: number;
}

export type Pkcs12Hash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const SIZES: Readonly<Record<Pkcs12Hash, { readonly block: number; readonly output: number }>> = {
  sha1: { block: 64, output: 20 },
  sha256: { block: 64, output: 32 },
  sha384: { block: 128, output: 48 },
  sha512: { block: 128, output: 64 },
};

/** The password goes in as UTF-16, high octet first, with two zero octets after it. */
export function pkcs12Key(name: Pkcs12Hash, password: string, derivation: Pkcs12Derivation): Uint8Array {
  const { block, output } = SIZES[name];
  const { salt, iterations, purpose, length } = derivation;
  const passwordBytes = Buffer.from(`${password}\0`, 'utf16le').swap16();
  const input = Buffer.concat([
    Buffer.alloc(block, purpose),
    filled(salt, block),
    filled(passwordBytes, block),
  ]);
  const result = Buffer.alloc(Math.ceil(length / output) * output);
  for (let at = 0; at < length; at += output) {
    let digest = hash(name, input, 'buffer');
    for (let round = 1; round < iterations; round += 1) digest = hash(name, digest, 'buffer');
    digest.copy(result, at);
    addToEach(input.subarray(block), filled(digest, block).subarray(0, block), block);
  }
  passwordBytes.fill(0);
  return result.subarray(0, length);
}

/** Repeated until it fills whole blocks; empty stays empty. */
function filled(bytes: Uint8Array, block: number): Buffer {
  if (bytes.length === 0) return Buffer.alloc(0);
  return Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes);
}

/** To each block of `blocks` the number `addend` + 1 is added, modulo its size. */
function addToEach(blocks: Uint8Array, addend: Uint8Array, block: number): void {
  for (let at = 0; at < blocks.length; at += block) {
    let carry = 1;
    for (let index = block - 1; index >= 0; index -= 1) {
      carry += (blocks[at + index] ?? 0) + (addend[index] ?? 0);
      blocks[at + index] = carry & 0xff;
      carry >>= 8;
    }
  }
}
