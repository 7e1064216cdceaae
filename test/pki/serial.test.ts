import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawSerial, isDrawnSerial, SERIAL_BYTES } from '../../shared/pki/serial.ts';

describe('a drawn serial', () => {
  it('is 36 lower-case hex digits whose first octet is 01 to 7F, whatever the random source gives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: SERIAL_BYTES, maxLength: SERIAL_BYTES }), (bytes) => {
        let draws = 0;
        const serial = drawSerial((size) => {
          draws += 1;
          return draws === 1 ? bytes : new Uint8Array(size).fill(0x55);
        });
        expect(serial).toMatch(/^[0-7][0-9a-f]{35}$/);
        const first = Number.parseInt(serial.slice(0, 2), 16);
        expect(first).toBeGreaterThanOrEqual(0x01);
        expect(first).toBeLessThanOrEqual(0x7f);
        expect(isDrawnSerial(serial)).toBe(true);
      }),
    );
  });

  it('keeps all 136 bits after the first octet as the source gave them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: SERIAL_BYTES, maxLength: SERIAL_BYTES }), (bytes) => {
        fc.pre(((bytes[0] ?? 0) & 0x7f) !== 0);
        expect(drawSerial(() => bytes).slice(2)).toBe(Buffer.from(bytes.subarray(1)).toString('hex'));
      }),
    );
  });

  it('has a first octet that is even over 01 to 7F and every other bit fair, in 20,000 draws', () => {
    const draws = 20_000;
    const ones = new Array<number>(SERIAL_BYTES * 8).fill(0);
    const firsts = new Map<number, number>();
    const seen = new Set<string>();
    for (let draw = 0; draw < draws; draw += 1) {
      const serial = Buffer.from(drawSerial(randomBytes), 'hex');
      seen.add(serial.toString('hex'));
      firsts.set(serial.readUInt8(0), (firsts.get(serial.readUInt8(0)) ?? 0) + 1);
      serial.forEach((octet, index) => {
        for (let bit = 0; bit < 8; bit += 1) {
          if (octet & (0x80 >> bit)) ones[index * 8 + bit] = (ones[index * 8 + bit] ?? 0) + 1;
        }
      });
    }
    expect(seen.size).toBe(draws);
    expect(ones[0]).toBe(0);
    // Eight standard deviations: a fair source fails once in 10^15 runs, a stuck bit always.
    const bitTolerance = 8 * Math.sqrt(draws / 4);
    for (const count of ones.slice(8)) expect(Math.abs(count - draws / 2)).toBeLessThan(bitTolerance);
    expect([...firsts.keys()].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 127 }, (_, index) => index + 1),
    );
    const expected = draws / 127;
    for (const count of firsts.values()) {
      expect(Math.abs(count - expected)).toBeLessThan(8 * Math.sqrt(expected));
    }
  });

  it('shares not so much as its last 64 bits with any other of a million', () => {
    const draws = 1_000_000;
    // Drawn from the same source a megabyte at a time: a call for each takes longer than everything else here.
    let pool = Buffer.alloc(0);
    const random = (size: number) => {
      if (pool.length < size) pool = randomBytes(1 << 20);
      const bytes = pool.subarray(0, size);
      pool = pool.subarray(size);
      return bytes;
    };
    const ends = new BigUint64Array(draws);
    for (let draw = 0; draw < draws; draw += 1)
      ends[draw] = BigInt.asUintN(64, BigInt(`0x${drawSerial(random).slice(-16)}`));
    ends.sort();
    // A fair source has two alike once in 37 million runs.
    expect(ends.findIndex((end, index) => index > 0 && end === ends[index - 1])).toBe(-1);
  });

  it('is drawn again where the first octet would be zero, rather than changed', () => {
    const answers = [
      new Uint8Array(SERIAL_BYTES),
      Buffer.from('80'.padEnd(36, '1'), 'hex'),
      Buffer.alloc(18, 7),
    ];
    expect(drawSerial(() => answers.shift() ?? new Uint8Array())).toBe('07'.repeat(18));
  });

  it('is not drawn at all from a source that gives only zeros', () => {
    expect(() => drawSerial((size) => new Uint8Array(size))).toThrow('gives only zeros');
  });

  it('is not drawn from a source that gives fewer bytes than asked for', () => {
    expect(() => drawSerial(() => Uint8Array.of(1, 2, 3))).toThrow('gave 3 bytes');
  });
});

describe('a text', () => {
  it.each([
    ['00'.padEnd(36, 'a'), 'a first octet of zero'],
    ['80'.padEnd(36, 'a'), 'a sign bit'],
    ['7f'.padEnd(34, 'a'), '17 octets'],
    ['7F'.padEnd(36, 'A'), 'capital letters'],
    ['', 'nothing in it'],
  ])('%s is no drawn serial, for %s', (text) => {
    expect(isDrawnSerial(text)).toBe(false);
  });
});
