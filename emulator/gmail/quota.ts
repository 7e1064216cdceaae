import type { EmulatorContext } from '../core/context.ts';
import { GoogleError } from '../core/google-error.ts';

/** Units per minute for one user in one project, as for projects made since May 2026. */
const UNITS_PER_USER_MINUTE = 6_000;
const MINUTE_MS = 60_000;

/** Google publishes no figures for the CSE methods; these are those of the settings methods next to them. */
export const UNITS = { write: 5, read: 1 } as const;

/** Counts quota units by user and minute of the emulator's clock. Only while quotas are switched on. */
export class Quota {
  readonly #context: EmulatorContext;
  #minute = 0;
  #spent = new Map<string, number>();

  constructor(context: EmulatorContext) {
    this.#context = context;
  }

  /** Throws 429 `rateLimitExceeded` when the user has no units left in this minute. */
  spend(accountId: string, units: number): void {
    if (!this.#context.faults.current.quotas) return;
    const minute = Math.floor(this.#context.clock.nowMs() / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#spent = new Map();
    }
    const spent = (this.#spent.get(accountId) ?? 0) + units;
    if (spent > UNITS_PER_USER_MINUTE) {
      throw new GoogleError(
        429,
        'rateLimitExceeded',
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com'.",
        { domain: 'usageLimits' },
      );
    }
    this.#spent.set(accountId, spent);
  }
}
