/**
 * Damaged inputs for the parsers of what comes from outside, from a seed: bytes flipped, cut, repeated, swapped between
 * samples, lengths made absurd, elements nested. Used by the fuzz test and by `bench/fuzz-pki.ts`.
 */

/** A small generator of numbers from a seed (mulberry32): the same seed gives the same inputs. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Octets that mean something in DER: tags, indefinite and long lengths, extremes. */
const TELLING = [
  0x00, 0x01, 0x02, 0x04, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xa0, 0xa3, 0xff,
];

/** One damaged copy of a sample. */
export function mutate(
  samples: readonly Uint8Array[],
  sample: Uint8Array,
  next: (below: number) => number,
): Uint8Array {
  let bytes: Buffer = Buffer.from(sample);
  for (let changes = 1 + next(4); changes > 0; changes -= 1) {
    if (bytes.length === 0) return bytes;
    const at = next(bytes.length);
    switch (next(9)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
        break;
      case 1:
        bytes[at] = TELLING[next(TELLING.length)] ?? 0;
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(8))]);
        break;
      case 4: {
        const piece = bytes.subarray(at, at + 1 + next(64));
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
        break;
      }
      case 5: {
        const other = samples[next(samples.length)] ?? sample;
        const from = next(other.length + 1);
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(from, from + next(200)),
          bytes.subarray(at),
        ]);
        break;
      }
      case 6:
        // A length of four octets, most of them absurd.
        for (let index = 0; index < 4 && at + index < bytes.length; index += 1) bytes[at + index] = next(256);
        break;
      case 7:
        // Deep nesting, with lengths that hold and without.
        bytes = Buffer.concat([
          Buffer.alloc(2 * (1 + next(200)), Uint8Array.of(0x30, 0x80)),
          bytes.subarray(at),
        ]);
        break;
      default:
        bytes = Buffer.from(bytes).fill(
          TELLING[next(TELLING.length)] ?? 0,
          at,
          Math.min(bytes.length, at + next(16)),
        );
    }
  }
  return bytes;
}
