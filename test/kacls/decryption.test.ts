import { constants, createHash, publicEncrypt, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { decryptContentKey } from '../../shared/kacls/decryption.ts';
import { type RsaPair, rsaPair } from './support.ts';

const HASH_BYTES = 32;
const MODULUS_BYTES = 256;
const BLOCK_BYTES = MODULUS_BYTES - HASH_BYTES - 1;
const message = randomBytes(16);
const labelHash = createHash('sha256').update('').digest();

/** MGF1 with SHA-1, written apart from the product's. */
function mask(seed: Buffer, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 20) }, (_, index) =>
    createHash('sha1')
      .update(seed)
      .update(Buffer.of(0, 0, 0, index))
      .digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}
const xor = (left: Buffer, right: Buffer): Buffer =>
  Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));

/** EME-OAEP of RFC 8017 section 7.1.1 with its parts open to tampering. */
function encode(parts: { first?: number; padding?: Buffer; separator?: number } = {}): Buffer {
  const { first = 0, separator = 1 } = parts;
  const padding = parts.padding ?? Buffer.alloc(BLOCK_BYTES - HASH_BYTES - 1 - message.length);
  const block = Buffer.concat([labelHash, padding, Buffer.of(separator), message]);
  expect(block).toHaveLength(BLOCK_BYTES);
  const seed = randomBytes(HASH_BYTES);
  const maskedBlock = xor(block, mask(seed, BLOCK_BYTES));
  return Buffer.concat([Buffer.of(first), xor(seed, mask(maskedBlock, HASH_BYTES)), maskedBlock]);
}

describe('OAEP with another mask hash than its own', () => {
  let pair: RsaPair;
  beforeAll(async () => {
    pair = await rsaPair(2048);
  });
  const decrypt = (encoded: Buffer) =>
    decryptContentKey(
      pair.privateKey,
      { scheme: 'oaep', hash: 'sha256' },
      publicEncrypt({ key: pair.publicKey, padding: constants.RSA_NO_PADDING }, encoded),
      { oaepMgf1: 'sha1' },
    );
  const zeros = BLOCK_BYTES - HASH_BYTES - 1 - message.length;

  it('reads what is encoded as the standard says', () => {
    expect(decrypt(encode())).toEqual(message);
  });

  it('reads a message that begins with the bytes of the padding', () => {
    const encoded = encode({ padding: Buffer.alloc(zeros).fill(1, zeros - 1), separator: 0 });
    expect(decrypt(encoded)).toEqual(Buffer.concat([Buffer.of(0), message]));
  });

  it.each([
    ['a first byte that is not zero', { first: 1 }],
    ['a stray byte at the start of the padding', { padding: Buffer.alloc(zeros).fill(2, 0, 1) }],
    ['a stray byte right before the separator', { padding: Buffer.alloc(zeros).fill(0x80, zeros - 1) }],
    ['another separator', { separator: 2 }],
  ])('refuses %s', (_what, parts) => {
    expect(() => decrypt(encode(parts))).toThrow(
      '"encrypted_data_encryption_key" cannot be decrypted with this key.',
    );
  });

  it('refuses a block that has no separator at all', () => {
    const block = Buffer.concat([labelHash, Buffer.alloc(BLOCK_BYTES - HASH_BYTES)]);
    const seed = randomBytes(HASH_BYTES);
    const maskedBlock = xor(block, mask(seed, BLOCK_BYTES));
    const encoded = Buffer.concat([Buffer.of(0), xor(seed, mask(maskedBlock, HASH_BYTES)), maskedBlock]);
    expect(() => decrypt(encoded)).toThrow(/cannot be decrypted/);
  });
});
