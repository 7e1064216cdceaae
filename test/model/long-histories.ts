/**
 * Histories that are drawn long and shrunk to any length. fast-check draws the length too, up to a limit, and a command that is
 * impossible when its turn comes is passed over: most of what it draws would carry out far less than was asked for.
 */
import fc from 'fast-check';
import { anyCommand, type Command } from './commands.ts';

class Long extends fc.Arbitrary<Iterable<Command>> {
  readonly #any: fc.Arbitrary<Iterable<Command>>;
  readonly #atLeast: number;

  constructor(atLeast: number) {
    super();
    this.#atLeast = atLeast;
    this.#any = fc.commands(anyCommand, { maxCommands: Math.ceil(atLeast * 1.5), size: 'max' });
  }

  generate(random: fc.Random, biasFactor: number | undefined): fc.Value<Iterable<Command>> {
    for (;;) {
      const drawn = this.#any.generate(random, biasFactor);
      if ([...drawn.value_].length >= this.#atLeast) return drawn;
    }
  }

  canShrinkWithoutContext(value: unknown): value is Iterable<Command> {
    return this.#any.canShrinkWithoutContext(value);
  }

  shrink(value: Iterable<Command>, context: unknown): fc.Stream<fc.Value<Iterable<Command>>> {
    return this.#any.shrink(value, context);
  }
}

/** Of so many commands at least, some of which will turn out to be impossible. */
export const longHistory = (atLeast: number): fc.Arbitrary<Iterable<Command>> => new Long(atLeast);
