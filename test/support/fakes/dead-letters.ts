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
    settle: async (wanted, settle) => {
      const chosen = letters.filter(wanted);
      for (const letter of chosen) {
        await settle(letter);
        letters.splice(letters.indexOf(letter), 1);
      }
      return chosen;
    },
    republish: async (letter) => {
      republished.push(letter);
    },
  };
}
