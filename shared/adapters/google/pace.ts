/**
 * A quota of Google's, spent by all instances together. Units are booked in the ledger a handful at a time, so that not every
 * call costs a statement; what an instance has booked and not used within two seconds is lost, never saved up.
 *
 * Never more than the limit in any minute: of the limit a twentieth may be spent at once, and the rest is spread over a
 * minute and the two seconds for which a booking is good.
 */
import { type ErrorCode, retryable } from '../../errors.ts';
import type { PaceLedger } from '../../ports/ledger/paces.ts';
import type { GoogleCallFailure } from './call-error.ts';
import { isThrottling } from './retry.ts';

export interface Pace {
  /** Waits until these units may be spent. Throws the pace's code (retryable) where that would take too long. */
  take(units: number): Promise<void>;
  /** To be told of every failure: where Google throttles the project, everybody waits. */
  failed(failure: GoogleCallFailure): Promise<void>;
}

export interface PaceOptions {
  readonly ledger: PaceLedger;
  /** Names the quota among all instances. */
  readonly pace: string;
  readonly unitsPerMinute: number;
  /** Booked at once. */
  readonly unitsPerBooking: number;
  /** Of many mailboxes: where one has spent its own quota, whoever works on it backs off, and nobody else waits. */
  readonly hasUserQuotas?: boolean;
  /** Of the error where the wait would be too long. */
  readonly code: ErrorCode;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** In milliseconds, from anywhere; `performance.now`. */
  readonly elapsedMs: () => number;
}

const BURST = 0.05;
const GOOD_FOR_MS = 2_000;
/** Shorter than a call may take in all, and long enough to even out a burst. */
const LONGEST_WAIT_MS = 30_000;
/** Where Google does not say how long; its own advice begins with a second. */
const HOLD_MS = 1_000;
const LONGEST_HOLD_MS = 60_000;

export function googlePace(options: PaceOptions): Pace {
  const { ledger, pace, unitsPerMinute, elapsedMs } = options;
  const burstUnits = Math.max(1, unitsPerMinute * BURST);
  const spread = {
    unitsPerMinute: ((unitsPerMinute - burstUnits) * 60_000) / (60_000 + GOOD_FOR_MS),
    burstUnits,
  };
  let credit = { units: 0, fromMs: 0 };
  let turn: Promise<void> = Promise.resolve();

  async function book(units: number): Promise<void> {
    const booked = Math.max(units, options.unitsPerBooking);
    const waitMs = await ledger.bookPace({ pace, units: booked, maxWaitMs: LONGEST_WAIT_MS, ...spread });
    if (waitMs === undefined) {
      throw retryable(
        options.code,
        `The quota ${pace} (${unitsPerMinute} units a minute for all instances) is spent for longer than ${LONGEST_WAIT_MS / 1000} s; the call was not made and is tried again later.`,
        { retryAfterMs: LONGEST_WAIT_MS },
      );
    }
    credit = { units: booked, fromMs: elapsedMs() + waitMs };
  }

  async function takeInTurn(units: number): Promise<void> {
    if (credit.units < units || elapsedMs() > credit.fromMs + GOOD_FOR_MS) await book(units);
    credit = { ...credit, units: credit.units - units };
    const waitMs = credit.fromMs - elapsedMs();
    if (waitMs > 0) await options.sleep(waitMs);
  }

  return {
    take: (units) => {
      const mine = turn.then(() => takeInTurn(units));
      turn = mine.catch(() => undefined);
      return mine;
    },
    failed: async (failure) => {
      if (!isThrottling(failure)) return;
      if (options.hasUserQuotas === true && isUserLimit(failure)) return;
      const waitMs = Math.min(failure.retryAfterMs ?? HOLD_MS, LONGEST_HOLD_MS);
      await ledger.holdPace(pace, waitMs + (burstUnits * 60_000) / spread.unitsPerMinute);
      credit = { units: 0, fromMs: 0 };
    },
  };
}

/**
 * The quota of one user, by its reason or, since Gmail mostly gives the project's reason for it, by its wording.
 * https://developers.google.com/workspace/gmail/api/guides/handle-errors
 */
const isUserLimit = ({ reasons, text }: GoogleCallFailure): boolean =>
  reasons.includes('userRateLimitExceeded') ||
  /\bper user\b|\buser[- ]rate limit\b|\bconcurrent requests for user\b/i.test(text);

/** No limit, for tools that make a handful of calls. */
export const unpaced: Pace = { take: async () => undefined, failed: async () => undefined };
