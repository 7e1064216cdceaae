import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ID_WORDS,
  isHashed,
  packHalfBytes,
  packIdText,
  unpackedId,
} from '../../../shared/domain/packed-id.ts';

const packed = (userId: string): readonly number[] => {
  const words = new Int32Array(ID_WORDS);
  packIdText(userId, words, 0);
  return [...words];
};
const digits = (least: number, most: number) =>
  fc.stringMatching(new RegExp(`^[1-9][0-9]{${least - 1},${most - 1}}$`));

describe('a packed id', () => {
  it('of up to twenty-one digits comes back as it was', () => {
    fc.assert(
      fc.property(digits(1, 21), (userId) => {
        expect(unpackedId(Int32Array.from(packed(userId)), 0)).toBe(userId);
      }),
    );
  });

  it('is the same from the half bytes in which the ledger keeps it', () => {
    fc.assert(
      fc.property(digits(21, 21), (userId) => {
        const words = new Int32Array(ID_WORDS);
        const bytes = Buffer.from(`0${userId}`, 'hex');
        packHalfBytes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, words, 0);
        expect([...words]).toEqual(packed(userId));
      }),
    );
  });

  it('of any other form is told from all others, and is no number', () => {
    const odd = fc.oneof(
      digits(22, 30),
      fc.stringMatching(/^0[0-9]{0,30}$/),
      fc.string({ unit: 'binary', minLength: 1 }),
    );
    fc.assert(
      fc.property(odd, fc.oneof(odd, digits(1, 21)), (userId, other) => {
        fc.pre(!/^[1-9][0-9]{0,20}$/.test(userId));
        expect(isHashed(Int32Array.from(packed(userId)), 0)).toBe(true);
        expect(unpackedId(Int32Array.from(packed(userId)), 0)).toBeUndefined();
        if (Buffer.from(userId).equals(Buffer.from(other))) return;
        expect(packed(userId)).not.toEqual(packed(other));
      }),
    );
  });
});
