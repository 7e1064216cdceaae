/** Numbers drawn from a seed, the same in every run: xorshift128 over a digest of the seed. */
import { createHash } from 'node:crypto';

export interface Dice {
  /** 0 inclusive to 1 exclusive. */
  fraction(): number;
  /** 0 inclusive to `below` exclusive. */
  below(below: number): number;
  /** True so often of a hundred times. */
  percent(chance: number): boolean;
  one<T>(items: readonly T[]): T;
}

export function dice(seed: string): Dice {
  const words = createHash('sha256').update(seed).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((offset) => words.readUInt32LE(offset)) as [
    number,
    number,
    number,
    number,
  ];
  const fraction = () => {
    let mixed = d;
    [d, c, b] = [c, b, a];
    mixed ^= mixed << 11;
    mixed ^= mixed >>> 8;
    a = (mixed ^ a ^ (a >>> 19)) >>> 0;
    return a / 0x1_0000_0000;
  };
  const below = (limit: number) => Math.floor(fraction() * limit);
  return {
    fraction,
    below,
    percent: (chance) => fraction() * 100 < chance,
    one: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error('Nothing to draw from.');
      return item;
    },
  };
}
