import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64, requireBase64 } from '../../shared/kacls/base64.ts';

describe('base64 of the key service', () => {
  it('reads what it writes, padded or not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(decodeBase64(text)).toEqual(Buffer.from(bytes));
        expect(decodeBase64(text.replace(/=+$/, ''))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('accepts one text for one value: whatever it reads it would write, but for padding', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABgwz09+/-_= \n'), maxLength: 12 }), (text) => {
        const bytes = decodeBase64(text);
        if (bytes === undefined) return;
        expect([encodeBase64(bytes), encodeBase64(bytes).replace(/=+$/, '')]).toContain(text);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['A', 'AB', 'AAAAA', 'YQ=', 'YQ===', 'YWI==', 'YWJj=', 'Y=Q=', '=', 'Y Q==', '-_-_', 'YQ==YQ=='])(
    'refuses "%s"',
    (text) => {
      expect(decodeBase64(text)).toBeUndefined();
    },
  );

  it('names the field that is wrong or too long', () => {
    expect(() => requireBase64('digest', '*', 9)).toThrow(/"digest" is not standard base64/);
    expect(() => requireBase64('digest', 'AAAA', 2)).toThrow(/"digest" holds 3 bytes; at most 2/);
  });
});
