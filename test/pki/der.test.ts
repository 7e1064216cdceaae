import * as asn1js from 'asn1js';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  booleanTrue,
  contextConstructed,
  derLength,
  generalizedTime,
  ia5Bytes,
  integer,
  isDottedOid,
  namedBits,
  oid,
  printableString,
  sequence,
  time,
  tlv,
} from '../../shared/pki/der.ts';
import {
  DerCursor,
  DerError,
  inside,
  readBitString,
  readBoolean,
  readEnumerated,
  readInteger,
  readNamedBits,
  readOid,
  readTime,
  readWhole,
} from '../../shared/pki/der-reader.ts';

const element = (der: Uint8Array) => new DerCursor(der).next();
const hex = (text: string) => Buffer.from(text, 'hex');

describe('the DER writer', () => {
  it('writes integers that asn1js and our reader read back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 200n }), (value) => {
        const der = integer(value);
        expect(readInteger(element(der))).toBe(value);
        const theirs = asn1js.fromBER(der).result;
        expect(theirs).toBeInstanceOf(asn1js.Integer);
        expect((theirs as asn1js.Integer).toBigInt()).toBe(value);
      }),
    );
  });

  it('writes object identifiers that asn1js and our reader read back', () => {
    const arcs = fc.array(fc.nat(2 ** 31 - 1), { maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom('0.9', '1.3', '1.2', '2.5', '2.999'), arcs, (head, rest) => {
        const dotted = [head, ...rest].join('.');
        expect(readOid(element(oid(dotted)))).toBe(dotted);
        const theirs = asn1js.fromBER(oid(dotted)).result as asn1js.ObjectIdentifier;
        expect(theirs.valueBlock.toString()).toBe(dotted);
      }),
    );
  });

  it('writes lengths in the shortest form, at each boundary', () => {
    const lengths = [0, 127, 128, 255, 256, 65_535, 65_536, 1_000_000].map((length) =>
      Buffer.from(derLength(length)).toString('hex'),
    );
    expect(lengths).toEqual(['00', '7f', '8180', '81ff', '820100', '82ffff', '83010000', '830f4240']);
  });

  it('writes named bits without trailing zeros, as our reader demands', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(20)), (bits) => {
        expect(readNamedBits(element(namedBits(bits)))).toEqual(bits.toSorted((a, b) => a - b));
      }),
    );
    expect(Buffer.from(namedBits([0, 2])).toString('hex')).toBe('030205a0');
  });

  it('writes UTCTime through 2049 and GeneralizedTime from 2050', () => {
    const last = time(new Date('2049-12-31T23:59:59Z'));
    const first = time(new Date('2050-01-01T00:00:00Z'));
    expect(Buffer.from(last).toString('latin1')).toBe('\x17\x0d491231235959Z');
    expect(Buffer.from(first).toString('latin1')).toBe('\x18\x0f20500101000000Z');
  });

  it('writes times to the second that our reader and asn1js read back', () => {
    const instants = fc.date({
      min: new Date('1950-01-01'),
      max: new Date('9999-12-31'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instants, (instant) => {
        const whole = new Date(Math.floor(instant.getTime() / 1000) * 1000);
        expect(readTime(element(time(whole))).at).toEqual(whole);
        const theirs = asn1js.fromBER(generalizedTime(whole)).result as asn1js.GeneralizedTime;
        expect(theirs.toDate()).toEqual(whole);
      }),
    );
  });

  test.each([
    ['a time with milliseconds', () => time(new Date('2026-01-01T00:00:00.001Z'))],
    ['a year before 1950', () => time(new Date('1949-12-31T23:59:59Z'))],
    ['a negative integer', () => integer(-1)],
    ['an @ in a PrintableString', () => printableString('a@b')],
    ['a non-ASCII IA5String', () => ia5Bytes('ä')],
    ['an object identifier with a leading zero', () => oid('1.2.03')],
    ['an object identifier with a second arc of 40 under 1', () => oid('1.40')],
  ])('refuses to write %s', (_what, write) => {
    expect(write).toThrow(RangeError);
  });

  test.each(['1', '3.1', '1.2.', '1..2', 'a.b', '', '1.2 '])(
    'knows that "%s" is no object identifier',
    (text) => {
      expect(isDottedOid(text)).toBe(false);
    },
  );
});

describe('the DER reader', () => {
  it('reads what the writer nests, with views into the same bytes', () => {
    const der = sequence(integer(5), contextConstructed(3, sequence(booleanTrue())));
    const body = inside(readWhole(der, 'SEQUENCE', 'the sample'));
    expect(readInteger(body.next())).toBe(5n);
    const wrapped = inside(inside(body.next()).take('SEQUENCE'));
    expect(readBoolean(wrapped.next())).toBe(true);
    body.end('the sample');
  });

  test.each([
    ['an indefinite length', '3080020105 0000'],
    ['a length in a longer form than needed', '04810105'],
    ['a two-octet length that fits in one', '0482008000'],
    ['contents that are cut short', '040501'],
    ['a tag without a length', '04'],
    ['a tag of several octets', '1f8101 00'],
    ['a length of five octets', '04850000000001'],
  ])('refuses %s', (_what, bytes) => {
    expect(() => element(hex(bytes.replaceAll(' ', '')))).toThrow(DerError);
  });

  test.each([
    ['an integer with a needless zero', '02020005', readInteger],
    ['an integer with a needless FF', '0202ff85', readInteger],
    ['an integer without contents', '0200', readInteger],
    ['a boolean of 01', '010101', readBoolean],
    ['named bits that end in zeros', '03020480', readNamedBits],
    ['a bit string with eight unused bits', '030208ff', readNamedBits],
    ['unused bits of an empty bit string', '030101', readNamedBits],
    ['a bit string of seven bits as octets', '03020180', readBitString],
    ['an object identifier that is cut short', '06022a86', readOid],
    ['an object identifier with a padded arc', '06032a8001', readOid],
    ['an empty object identifier', '0600', readOid],
    ['an enumerated of two octets', '0a020001', readEnumerated],
    ['a UTCTime without seconds', '170b323631313232313030305a', readTime],
    ['a UTCTime with an offset', `1711${Buffer.from('261122100000+0100').toString('hex')}`, readTime],
    ['a GeneralizedTime with fractions', `1811${Buffer.from('20261122100000.5Z').toString('hex')}`, readTime],
    ['the 30th of February', `170d${Buffer.from('260230100000Z').toString('hex')}`, readTime],
    ['the 13th month', `170d${Buffer.from('261322100000Z').toString('hex')}`, readTime],
    ['the 25th hour', `170d${Buffer.from('261122240000Z').toString('hex')}`, readTime],
    ['the 61st minute', `170d${Buffer.from('261122106000Z').toString('hex')}`, readTime],
    ['a leap second', `170d${Buffer.from('261231235960Z').toString('hex')}`, readTime],
    ['a text where a time should be', '0c00', readTime],
  ] as const)('refuses %s', (_what, bytes, read) => {
    expect(() => read(element(hex(bytes)))).toThrow(DerError);
  });

  it('refuses bytes after the end, saying where', () => {
    const der = Buffer.concat([sequence(integer(1)), Uint8Array.of(0)]);
    expect(() => readWhole(der, 'SEQUENCE', 'the sample')).toThrow(
      'the sample has more elements than it may have (at byte 5)',
    );
  });

  it('counts offsets from the beginning of the outermost bytes', () => {
    const inner = inside(inside(element(sequence(sequence(integer(1), tlv(0x01, hex('01')))))).next());
    inner.next();
    expect(() => readBoolean(inner.next())).toThrow('a BOOLEAN must be 00 or FF (at byte 7)');
  });

  it('reads negative integers as what they are', () => {
    expect(readInteger(element(hex('0201ff')))).toBe(-1n);
    expect(readInteger(element(hex('02028000')))).toBe(-32_768n);
  });

  it('fails with a DerError or reads, but never otherwise, whatever bytes it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const cursor = new DerCursor(bytes);
          while (!cursor.atEnd) cursor.next();
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });
});
