import { constants, publicEncrypt, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, type Answer, type Keys, makeKeys, startWorld, type World } from './world.ts';

const MODULUS_BYTES = 256;

let keys: Keys;
let world: World;
let wrapped_private_key: string;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys);
  wrapped_private_key = await world.wrappedKey(keys.alice, ALICE.userId);
});
afterAll(() => world.close());

/** Bytes without zeros, as PKCS#1 v1.5 pads. */
const nonZero = (length: number) => Buffer.from(randomBytes(length).map((byte) => byte || 1));

/** 00 02 padding 00 message, RFC 8017 section 7.2.1, with its parts open to tampering. */
function block(parts: { first?: number; type?: number; padding?: Buffer; separator?: number } = {}): Buffer {
  const message = nonZero(32);
  const padding = parts.padding ?? nonZero(MODULUS_BYTES - 3 - message.length);
  const { first = 0, type = 2, separator = 0 } = parts;
  return Buffer.concat([Buffer.of(first, type), padding, Buffer.of(separator), message]);
}

function decrypt(encoded: Buffer): Promise<Answer> {
  expect(encoded).toHaveLength(MODULUS_BYTES);
  const ciphertext = publicEncrypt({ key: keys.alice.publicKey, padding: constants.RSA_NO_PADDING }, encoded);
  return decryptBytes(ciphertext);
}

const decryptBytes = async (ciphertext: Buffer): Promise<Answer> =>
  world.post('privatekeydecrypt', {
    authentication: await world.authentication(),
    authorization: await world.authorization({ role: 'decrypter' }),
    algorithm: 'RSA/ECB/PKCS1Padding',
    encrypted_data_encryption_key: ciphertext.toString('base64'),
    wrapped_private_key,
  });

/** All of an answer that an attacker can see, but for the bytes of the key, their number and the date. */
function shape(answer: Answer) {
  const headers = [...answer.headers.entries()]
    .filter(([name]) => !['date', 'content-length', 'etag'].includes(name))
    .toSorted();
  return { status: answer.status, headers, fields: Object.keys(answer.json) };
}

const PADDING_BYTES = MODULUS_BYTES - 35;
const bad: readonly (readonly [string, () => Buffer])[] = [
  ['a first byte that is not zero', () => block({ first: 1 })],
  ['the block type of signatures', () => block({ type: 1 })],
  ['an unknown block type', () => block({ type: 3 })],
  ['no end of the padding', () => block({ separator: 0x55 })],
  ['a padding of none', () => block({ padding: Buffer.concat([Buffer.of(0), nonZero(PADDING_BYTES - 1)]) })],
  [
    'a padding of seven bytes',
    () => block({ padding: Buffer.concat([nonZero(7), Buffer.of(0), nonZero(PADDING_BYTES - 8)]) }),
  ],
  ['zeros only', () => Buffer.alloc(MODULUS_BYTES)],
];

describe('privatekeydecrypt with PKCS#1 v1.5', () => {
  it('reads blocks that are padded as the standard says, also around an empty message', async () => {
    const encoded = block();
    const answer = await decrypt(encoded);
    expect(answer.json['data_encryption_key']).toBe(encoded.subarray(-32).toString('base64'));
    const empty = Buffer.concat([Buffer.of(0, 2), nonZero(MODULUS_BYTES - 3), Buffer.of(0)]);
    expect((await decrypt(empty)).json).toEqual({ data_encryption_key: '' });
  });

  it.each(bad)('answers %s exactly as a good padding', async (_what, encode) => {
    const good = await decrypt(block());
    expect(good.status).toBe(200);
    const encoded = encode();
    const answer = await decrypt(encoded);
    expect(shape(answer)).toEqual(shape(good));
    // The same meaningless bytes again: asking twice does not tell chance from content.
    const ciphertext = publicEncrypt(
      { key: keys.alice.publicKey, padding: constants.RSA_NO_PADDING },
      encoded,
    );
    expect((await decryptBytes(ciphertext)).json).toEqual(answer.json);
  });

  it('writes the same audit line for good and bad paddings', async () => {
    const lines = [];
    for (const encoded of [block(), ...bad.map(([, encode]) => encode())]) {
      world.log.lines.length = 0;
      await decrypt(encoded);
      const [line, ...more] = world.log.lines;
      expect(more).toEqual([]);
      lines.push({ ...line, fields: { ...line?.fields, correlationId: '' } });
    }
    for (const line of lines) expect(line).toEqual(lines[0]);
  });

  it('answers bad paddings with lengths of every kind, not with one that gives them away', async () => {
    const lengths = new Set<number>();
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const { json } = await decrypt(block({ type: 1 }));
      lengths.add(Buffer.from(String(json['data_encryption_key']), 'base64').length);
    }
    expect(lengths.size).toBeGreaterThan(1);
  });
});
