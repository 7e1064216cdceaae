/** The Directory's limits: https://developers.google.com/workspace/admin/directory/v1/limits */
import type { EmulatorContext } from '../core/context.ts';
import { GoogleError } from '../core/google-error.ts';

const REQUESTS_PER_USER = { count: 2400, windowMs: 60_000 };
const USER_CREATIONS = { count: 10, windowMs: 1000 };
const UNIT_WRITES = { count: 1, windowMs: 1000 };

/** Sliding windows over the emulator's clock, in force only while `faults.quotas` is on. */
export class Quota {
  readonly #context: EmulatorContext;
  readonly #seen = new Map<string, number[]>();

  constructor(context: EmulatorContext) {
    this.#context = context;
  }

  /** 2,400 calls a minute for each user; throws 403 `userRateLimitExceeded`. */
  request(callerEmail: string): void {
    this.#count(
      `request ${callerEmail}`,
      REQUESTS_PER_USER,
      'userRateLimitExceeded',
      'User Rate Limit Exceeded',
    );
  }

  /** 10 new users a second for each domain; throws 403 `quotaExceeded`. */
  userCreation(domain: string): void {
    this.#count(`create ${domain}`, USER_CREATIONS, 'quotaExceeded', 'Quota exceeded for creating users.');
  }

  /** One new or changed unit a second; throws 403 `quotaExceeded`. */
  unitWrite(): void {
    this.#count('unit', UNIT_WRITES, 'quotaExceeded', 'Quota exceeded for changing organizational units.');
  }

  #count(key: string, limit: { count: number; windowMs: number }, reason: string, message: string): void {
    if (!this.#context.faults.current.quotas) return;
    const nowMs = this.#context.clock.nowMs();
    const recent = (this.#seen.get(key) ?? []).filter((atMs) => atMs > nowMs - limit.windowMs);
    this.#seen.set(key, recent);
    if (recent.length >= limit.count) {
      throw new GoogleError(403, reason, message, { domain: 'usageLimits', status: 'RESOURCE_EXHAUSTED' });
    }
    recent.push(nowMs);
  }
}
