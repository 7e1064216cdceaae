import type { Hint } from '../../../shared/domain/hint.ts';
import type { Bus } from '../../../shared/ports/bus.ts';
import { type Saved, savedLists } from './state.ts';

/** A bus that keeps what was published. */
export interface KeptBus extends Bus, Saved {
  readonly hints: Hint[];
  /** Issuer ids, one for each request. */
  readonly crlRequests: string[];
}

export function keptBus(): KeptBus {
  const hints: Hint[] = [];
  const crlRequests: string[] = [];
  return {
    save: savedLists(hints, crlRequests),
    hints,
    crlRequests,
    publishHint: async (hint) => {
      hints.push(hint);
    },
    publishHints: async (more) => {
      hints.push(...more);
    },
    requestCrl: async (issuerId) => {
      crlRequests.push(issuerId);
    },
  };
}
