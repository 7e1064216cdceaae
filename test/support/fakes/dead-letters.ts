import type { DeadLetter, DeadLetters } from '../../../shared/ports/dead-letters.ts';
import { type Saved, savedLists } from './state.ts';

/** Dead letters in memory; whatever is published again is kept. */
export interface KeptDeadLetters extends DeadLetters, Saved {
  readonly letters: DeadLetter[];
  readonly republished: DeadLetter[];
}

export function keptDeadLetters(): KeptDeadLetters {
  const letters: DeadLetter[] = [];
  const republished: DeadLetter[] = [];
  return {
    save: savedLists(letters, republished),
    letters,
    republished,
    look: async (limit) => ({ letters: letters.slice(0, limit), more: letters.length > limit }),
    find: async (id) => {
      const letter = letters.find((one) => one.id === id);
      return letter === undefined ? { more: false } : { letter, more: false };
    },
    settle: async (chosen, settle) => {
      const wanted = letters.filter(({ id }) => chosen === 'all' || chosen.has(id));
      const settled = wanted.length === 0 ? [] : await settle(wanted);
      for (const letter of settled) letters.splice(letters.indexOf(letter), 1);
      return { settled, more: false };
    },
    republish: async (some) => {
      republished.push(...some);
    },
  };
}
