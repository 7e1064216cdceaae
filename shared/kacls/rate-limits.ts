/**
 * A token bucket for each caller, in this instance's memory. It keeps one account from using up an instance and makes
 * the mass decryption of a mailbox with stolen tokens slow and loud; it is no quota across instances.
 */
import { retryable } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';

export interface RateLimit {
  /** Calls at once after a pause. */
  readonly burst: number;
  /** Calls per second in the long run; fractions are allowed. */
  readonly perSecond: number;
}

export interface RateLimiter {
  /** Counts one call. Throws `too-many-requests` (retryable, with `retryAfterMs`) when the caller has none left. */
  take(caller: string): void;
}

/** Buckets of the callers seen last. Each has a verified name, so a stranger cannot push others out. */
const MOST_BUCKETS = 10_000;

interface Bucket {
  left: number;
  at: number;
}

export function rateLimiter(limit: RateLimit, clock: Clock): RateLimiter {
  /** Least recently seen first. */
  const buckets = new Map<string, Bucket>();
  return {
    take(caller) {
      const now = clock.now().getTime();
      const known = buckets.get(caller);
      // A clock that was set back refills nothing and takes nothing away.
      const refilled =
        known === undefined
          ? limit.burst
          : known.left + (Math.max(0, now - known.at) / 1000) * limit.perSecond;
      const left = Math.min(limit.burst, refilled);
      buckets.delete(caller);
      buckets.set(caller, { left: left < 1 ? left : left - 1, at: now });
      const oldest = buckets.size > MOST_BUCKETS ? buckets.keys().next().value : undefined;
      if (oldest !== undefined) buckets.delete(oldest);
      if (left >= 1) return;
      throw retryable('too-many-requests', 'Too many requests of this caller; try again shortly.', {
        retryAfterMs: Math.ceil(((1 - left) / limit.perSecond) * 1000),
      });
    },
  };
}
