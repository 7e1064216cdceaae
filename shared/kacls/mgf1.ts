import { createHash } from 'node:crypto';
import type { HashName } from './algorithms.ts';

/** MGF1 of RFC 8017 appendix B.2.1: `length` bytes grown from a seed. */
export function mgf1(hash: HashName, seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let made = 0; made < length; ) {
    const block = createHash(hash).update(seed).update(counter).digest();
    blocks.push(block);
    made += block.length;
    counter.writeUInt32BE(blocks.length);
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** The exclusive or of two strings of the same length. */
export function xor(left: Uint8Array, right: Uint8Array): Buffer {
  const result = Buffer.from(left);
  right.forEach((byte, index) => {
    result[index] = (result[index] ?? 0) ^ byte;
  });
  return result;
}
