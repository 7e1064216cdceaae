import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  AFTER_SERIAL,
  type CrlEntry,
  measured,
  packEntries,
  REASON,
} from '../../shared/domain/packed-entries.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../../shared/domain/revocation-reason.ts';
import { CrlBody } from '../../shared/pki/crl-body.ts';
import { unpackEntries } from '../support/packed-entries.ts';

const REASONS = Object.keys(REVOCATION_REASONS) as readonly RevocationReason[];
const instants = fc.date({ min: new Date('1950-01-01'), max: new Date('2049-12-31'), noInvalidDate: true });

/** Of every length, ascending, none twice. */
const entryLists: fc.Arbitrary<readonly CrlEntry[]> = fc
  .uniqueArray(
    fc.record(
      {
        serialHex: fc
          .bigInt({ min: 1n, max: (1n << 159n) - 1n })
          .chain((serial) => fc.nat(158).map((shift) => serial >> BigInt(shift) || 1n))
          .map(contentHex),
        revokedAt: instants,
        reason: fc.constantFrom(...REASONS),
        invalidityDate: instants,
      },
      { requiredKeys: ['serialHex', 'revokedAt', 'reason'] },
    ),
    { selector: ({ serialHex }) => serialHex, maxLength: 30 },
  )
  .map((entries) =>
    entries.toSorted((left, right) =>
      BigInt(`0x${left.serialHex}`) < BigInt(`0x${right.serialHex}`) ? -1 : 1,
    ),
  );

function contentHex(serial: bigint): string {
  const hex = serial.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return /^[89a-f]/.test(even) ? `00${even}` : even;
}

const ENTRY: CrlEntry = { serialHex: '11', revokedAt: new Date('2027-03-01'), reason: 'superseded' };

describe('packed entries of a CRL', () => {
  it('say what was packed, how many they are and which is the last', () => {
    fc.assert(
      fc.property(entryLists, (entries) => {
        const packed = packEntries(entries);
        expect(unpackEntries(packed)).toEqual(entries);
        expect(measured(packed)).toEqual({
          count: entries.length,
          lastSerialHex: entries.at(-1)?.serialHex ?? '',
        });
      }),
    );
  });

  it('become the same bytes of a CRL, a page at a time or each by itself', () => {
    fc.assert(
      fc.property(entryLists, fc.nat(30), (entries, cut) => {
        const oneByOne = new CrlBody();
        for (const entry of entries) oneByOne.append(entry);
        const paged = new CrlBody();
        paged.appendPacked(packEntries(entries.slice(0, cut)));
        paged.appendPacked(packEntries(entries.slice(cut)));
        expect(Buffer.concat(paged.blocks).equals(Buffer.concat(oneByOne.blocks))).toBe(true);
        expect(paged.count).toBe(entries.length);
      }),
    );
  });

  test.each([
    [
      'a reason that is not ours',
      (packed: Uint8Array) => packed.fill(0, packed.length - AFTER_SERIAL + REASON),
    ],
    ['a serial of no octet', (packed: Uint8Array) => packed.subarray(1).fill(0, 0, 1)],
    [
      'a serial of twenty-one octets',
      (packed: Uint8Array) => Buffer.concat([packed.fill(21, 0, 1), Buffer.alloc(40, 1)]),
    ],
    ['an end within the last one', (packed: Uint8Array) => packed.subarray(0, packed.length - 1)],
    ['a negative serial', (packed: Uint8Array) => packed.fill(0x80, 1, 2)],
    [
      'an invalidity date that no CRL can say',
      (packed: Uint8Array) => withInvalidity(packed, Number.POSITIVE_INFINITY),
    ],
  ])('with %s make no CRL', (_what, spoil) => {
    expect(() => new CrlBody().appendPacked(spoil(packEntries([ENTRY])))).toThrow(RangeError);
  });

  it('are not made of a date that is none', () => {
    const never = new Date(Number.NaN);
    expect(() => packEntries([{ ...ENTRY, revokedAt: never }])).toThrow(RangeError);
    expect(() => packEntries([{ ...ENTRY, invalidityDate: never }])).toThrow(RangeError);
  });
});

function withInvalidity(packed: Uint8Array, value: number): Uint8Array {
  new DataView(packed.buffer).setFloat64(2 + 8, value);
  return packed;
}
